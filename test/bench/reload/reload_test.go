//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// A thousand connections are loaded, and one of them changed, in less time than
// strongSwan takes. Absolute times would be those of what else the machine does.
func TestThousand(t *testing.T) {
	lab.Need(t, "swanctl")
	b, err := newBench(lab.ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	const n, rounds = 1000, 3
	theirs, err := measure(n, rounds, b.charon)
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]func(int) (daemon, time.Duration, error){"goike.toml": b.goikedToml, "swanctl.conf": b.goikedSwanctl} {
		t.Run(name, func(t *testing.T) {
			f, err := measure(n, rounds, start)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("loaded in %v, one changed in %v; charon: %v and %v", f.load, f.reload, theirs.load, theirs.reload)
			if f.load > theirs.load || f.reload > theirs.reload {
				t.Error("goiked is no faster")
			}
		})
	}
}
