//go:build linux

package main

import (
	"testing"

	"github.com/goike/goike/test/lab"
)

// All IKE SAs from one address are kept, none is lost.
func TestNoneIsLost(t *testing.T) {
	lab.Need(t, "swanctl")
	b, err := newBench(lab.ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	const n = 1500
	f, err := b.measure(n, b.goiked)
	if err != nil {
		t.Fatal(err)
	}
	if f.kept != n {
		t.Errorf("%d IKE SAs of %d are there", f.kept, n)
	}
	if f.cpu <= 0 || f.took <= 0 {
		t.Errorf("not measured: %+v", f)
	}
}

func TestNumber(t *testing.T) {
	const raw = "stats reply {uptime {running=1 minute} ikesas {total=1200 half-open=3} plugins=[vici]}"
	for key, want := range map[string]int{"total=": 1200, "half-open=": 3} {
		if got, err := number(raw, key, "ikesas {"); err != nil || got != want {
			t.Errorf("%s%d, want %d: %v", key, got, want, err)
		}
	}
	if _, err := number("nothing", "total=", "ikesas {"); err == nil {
		t.Error("a number out of nothing")
	}
}
