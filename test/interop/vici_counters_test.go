//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// What goiked counts is what strongSwan counts at the other end: what one has sent the
// other has received.
func TestCountersAgree(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.startSwan(t, ""), a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	was := agree(t, ga, gb, 1)
	drive(t, w.A, ga.URI, []stock{{args: "--rekey --child lan"}})
	changed(t, ga, func(sa lab.SA) string { return sa.Children[0].Values["spi-in"] }, was)
	drive(t, w.B, gb.URI, []stock{{args: "--rekey --ike site"}})
	changed(t, ga, func(sa lab.SA) string { return sa.Values["initiator-spi"] }, was)
	if err := ga.Down(); err != nil {
		t.Fatal(err)
	}
	gone(t, ga, gb)
	if err := lab.Eventually(wait, func() error { return mirrored(countersOf(t, w.A, ga.URI), countersOf(t, w.B, gb.URI)) }); err != nil {
		t.Error(err)
	}
}

// countersOf are the counters of a daemon by strongSwan's names.
func countersOf(t *testing.T, at *lab.Namespace, uri string) map[string]string {
	t.Helper()
	out, err := at.Swanctl(uri, "--counters")
	if err != nil {
		t.Fatal(err)
	}
	counters := make(map[string]string)
	for line := range strings.Lines(out) {
		if name, n, ok := strings.Cut(line, ": "); ok {
			counters[strings.TrimSpace(name)] = strings.TrimSpace(n)
		}
	}
	return counters
}

// mirrored tells where the counters of two peers do not fit each other.
func mirrored(a, b map[string]string) error {
	if len(a) < 21 || a["ike-init-out-req"] == "0" || a["ike-rekey-resp"] != "1" {
		return fmt.Errorf("not counted: %v", a)
	}
	turn := strings.NewReplacer("-in-", "-out-", "-out-", "-in-", "rekey-init", "rekey-resp", "rekey-resp", "rekey-init")
	for name, n := range a {
		if other := turn.Replace(name); b[other] != n {
			return fmt.Errorf("%s is %s, the peer's %s is %s", name, n, other, b[other])
		}
	}
	return nil
}
