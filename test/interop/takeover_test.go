//go:build linux

package interop

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// TestHandover puts another goiked in the place of one with the userspace data plane.
// After an orderly end the child SA goes on as it was, after a kill it is there again in a
// moment; the IKE SA goes on, and strongSwan is not asked for another.
func TestHandover(t *testing.T) {
	for _, c := range []struct {
		name     string
		goikeAtA bool
	}{{"goiked initiates", true}, {"goiked responds", false}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(shortLived())
			own, other := a, b
			if c.goikeAtA {
				own.behavior, b.encap, other.encap = "start", true, true
			} else {
				own, other = b, a
				a.encap, other.encap = true, true
			}
			s := other.startSwanShort(t, false)
			run := t.TempDir()
			start := func() goike {
				g, err := lab.StartGoiked(own.at, binaries(t), own.config(), lab.GoikedOptions{Args: []string{"--run-dir", run}})
				if g != nil && g.Process != nil {
					t.Cleanup(func() { g.Stop() })
				}
				if err != nil {
					t.Fatal(err)
				}
				return goike{g}
			}
			g := start()
			if !c.goikeAtA {
				if err := s.Up("lan"); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
				t.Fatal(err, last(g.Log(), 20))
			}
			log, kills := "", 0
			for i := range 10 {
				if i%3 == 2 {
					g.Kill()
					kills++
				} else {
					if err := g.Signal(syscall.SIGUSR2); err != nil {
						t.Fatal(err)
					}
					if code, ended := g.Wait(wait); !ended || code != 0 {
						t.Fatalf("exit code %d, ended %v", code, ended)
					}
				}
				log += g.Log()
				g = start()
				begun := time.Now()
				if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
					t.Fatal(i, err, last(log+g.Log(), 40), last(s.Log(), 10))
				}
				if took := time.Since(begun); took > 3*time.Second {
					t.Errorf("after %d: %s until packets passed", i, took)
				}
			}
			log += g.Log()
			if n := strings.Count(log, "phase 1 established"); n != 1 {
				t.Errorf("set up %d times: %s", n, last(log, 60))
			}
			if n := strings.Count(log, "site: phase 1 with"); n != 10 {
				t.Errorf("taken over %d times: %s", n, last(log, 60))
			}
			// A killed one has handed no sequence numbers over.
			lost := strings.Count(log, "could not be taken over, it is set up anew: SA")
			if n := strings.Count(log, "could not be taken over, it is set up anew"); n != lost || lost < kills || lost > 2*kills {
				t.Errorf("%d children could not be taken over after %d kills: %s", n, kills, last(log, 60))
			}
		})
	}
}

// TestHandoverUnderTraffic does so while packets go both ways and both ends replace all
// that they have every few seconds: each time a moment's packets are lost and no more, no
// SA is set up anew, and what was received before is still a replay.
func TestHandoverUnderTraffic(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(shortLived())
	a.behavior, b.encap = "start", true
	s := b.startSwanShort(t, false)
	config := strings.Replace(a.config(), "  [[phase1.phase2]]\n", "  [[phase1.phase2]]\n"+shortChild, 1)
	run := t.TempDir()
	start := func() goike {
		g, err := lab.StartGoiked(a.at, binaries(t), config, lab.GoikedOptions{Args: []string{"--run-dir", run}})
		if g != nil && g.Process != nil {
			t.Cleanup(func() { g.Stop() })
		}
		if err != nil {
			t.Fatal(err)
		}
		g.URI = "unix://" + run + "/goiked.vici"
		return goike{g}
	}
	g := start()
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	stop := []func() (sent int, lost lab.Lost){
		pings(t, w.HostA, lab.HostA4, lab.HostB4, often), pings(t, w.HostB, lab.HostB4, lab.HostA4, often),
	}
	log := ""
	for i := range handovers {
		if err := g.WaitLine("replaced, SPIs", 30*time.Second); err != nil {
			t.Fatal(i, err, last(g.Log(), 20))
		}
		if err := g.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		if code, ended := g.Wait(wait); !ended || code != 0 {
			t.Fatalf("exit code %d, ended %v", code, ended)
		}
		log += g.Log()
		g = start()
	}
	if err := g.WaitLine("replaced, SPIs", 30*time.Second); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	for _, stop := range stop {
		sent, lost := stop()
		t.Logf("%d of %d packets were lost in %d handovers", len(lost), sent, handovers)
		if len(lost) > handovers*mostLost {
			t.Errorf("%d of %d packets were lost: %v: %s", len(lost), sent, lost, last(log, 60))
		}
	}
	log += g.Log()
	for text, want := range map[string]int{"phase 1 established": 1, "could not be taken over": 0, ": up:": 1, "site: phase 1 with": handovers} {
		if n := strings.Count(log, text); n != want {
			t.Errorf("%q %d times, want %d: %s", text, n, want, last(log, 60))
		}
	}
	atRest(t, g, s) // an IKE SA may just be replaced
}

// handovers are 10, in each of which packets of half a second may be lost.
const (
	handovers = 10
	mostLost  = 50
)

// pings sends an echo request every so often until stop, which tells how many there were
// and which of them had no answer.
func pings(t *testing.T, at *lab.Namespace, from, to netip.Addr, every time.Duration) (stop func() (sent int, lost lab.Lost)) {
	t.Helper()
	p, err := at.Pings(from, to, every)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	return p.Stop
}
