//go:build linux

package interop

import (
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
