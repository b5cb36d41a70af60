//go:build linux

package kernel

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/goike/goike/test/lab"
)

// TestHandover puts another goiked in the place of one again and again, under traffic
// and while both ends replace their SAs: the IKE SA is the same afterwards, no packet is
// lost, and strongSwan notices nothing. A killed one is replaced likewise.
func TestHandover(t *testing.T) {
	w := newWorld(t)
	k := shortLived()
	k.behavior = "start"
	a, b := w.ends(k)
	s := w.startSwan(t, b)
	run := t.TempDir() // that of all
	opts := lab.GoikedOptions{Args: []string{"--run-dir", run, "--socket", run + "/vici"}}
	start := func() goike {
		g := w.startWith(t, a, "kernel", opts)
		g.vici = newVICI(run + "/vici")
		return g
	}
	g := start()
	oneSA(t, g, 1)
	must(t, w.hosts4())
	stop := w.hosts4().pings(t)
	log := ""
	for i := range handovers {
		if i%5 == 4 {
			g.Kill()
		} else {
			if err := g.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			if code, ended := g.Wait(wait); !ended || code != 0 {
				t.Fatalf("exit code %d, ended %v: %s", code, ended, last(g.Log(), 20))
			}
		}
		log += g.Log()
		g = start()
		if err := lab.Eventually(wait, func() error {
			if st, po := states(t, w.A), policies(t, w.A); len(st) < 2 || len(po) != 3 {
				return fmt.Errorf("states %v, policies %v", st, po)
			}
			sas, err := g.SAs()
			if err != nil || len(sas) != 1 || len(sas[0].Children) == 0 {
				return fmt.Errorf("%v: %w", sas, err)
			}
			return nil
		}); err != nil {
			t.Fatal(i, err, last(log+g.Log(), 60))
		}
	}
	log += g.Log()
	if sent, lost := stop(); lost > 0 || sent < 500 {
		t.Errorf("%d of %d packets were lost: %s", lost, sent, last(log, 80))
	}
	if n := strings.Count(log, "phase 1 established"); n != 1 {
		t.Errorf("set up %d times: %s", n, last(log, 80))
	}
	if n := strings.Count(log, "taken over"); n < handovers {
		t.Errorf("taken over %d times", n)
	}
	if n := strings.Count(s.Log(), "parsed IKE_SA_INIT request"); n != 1 {
		t.Errorf("strongSwan was asked for %d IKE SAs", n)
	}
	must(t, w.hosts4())
}

const handovers = 50
