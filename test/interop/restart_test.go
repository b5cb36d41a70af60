//go:build linux

package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// reauthenticating is a link whose IKE SA goiked sets up anew every few seconds.
func reauthenticating() link {
	k := newLink()
	k.behavior = "start"
	k.toml = "lifetime = \"16s\"\nmargintime = \"8s\"\nrekey_fuzz = 0\nreauthenticate = true\n"
	return k
}

// Both kinds of reauthentication: with make_before_break no packet is lost, without it
// the tunnel is back at once.
func TestReauthentication(t *testing.T) {
	for _, c := range []struct {
		name   string
		before bool
	}{{"break before make", false}, {"make before break", true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(reauthenticating())
			b.encap = true
			s := b.startSwan(t, "")
			config := a.config()
			if c.before {
				config = "[ipsec]\nmake_before_break = true\n\n" + config
			}
			g, err := lab.StartGoiked(a.at, binaries(t), config, lab.GoikedOptions{})
			if g != nil && g.Process != nil {
				t.Cleanup(func() { g.Stop() })
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
				t.Fatal(err)
			}
			if c.before {
				w.floodBeside(t, 25*time.Second, s)
			} else {
				for end := time.Now().Add(25 * time.Second); time.Now().Before(end); {
					begun := time.Now()
					if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
						t.Fatal(err, last(g.Output(), 20))
					}
					if took := time.Since(begun); took > 3*time.Second {
						t.Errorf("the tunnel was away for %s", took)
					}
				}
			}
			if n := strings.Count(g.Output(), "phase 1 established"); n < 3 || n > 12 {
				t.Errorf("set up %d times: %s", n, last(g.Output(), 40))
			}
			if n := strings.Count(s.Log(), "is initiating an IKE_SA"); n < 3 {
				t.Errorf("strongSwan knows of %d", n)
			}
			agree(t, goike{g}, s, 1)
		})
	}
}

// strongSwan authenticates again, made before it is broken: no packet is lost.
func TestPeerReauthenticates(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.swan = "reauth_time = 8s\n\t\trand_time = 0s\n\t\tover_time = 8s\n\t\trekey_time = 0s"
	a, b := w.ends(k)
	a.encap = true
	g, s := b.start(t), a.startSwan(t, "\tmake_before_break = yes")
	if err := s.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	w.floodBeside(t, 30*time.Second, s)
	if n := strings.Count(g.Log(), "phase 1 established"); n < 3 {
		t.Errorf("set up %d times: %s", n, last(g.Log(), 40))
	}
	atRest(t, g, s)
}

// A peer that is killed and started again is found out and the tunnel is back in seconds,
// whoever had begun it.
func TestPeerRestarts(t *testing.T) {
	// Two of retransmit.timeout, and dpd_delay; to give the peer up takes 165 s.
	const limit = 30 * time.Second
	t.Run("strongSwan responds", func(t *testing.T) {
		w := newWorld(t)
		k := newLink()
		k.behavior, k.toml = "start", "dpd_delay = \"2s\"\n"
		a, b := w.ends(k)
		b.encap = true
		s := b.startSwan(t, "")
		g := a.start(t)
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		b.startSwan(t, "")
		begun := time.Now()
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 4*limit); err != nil {
			t.Fatal(err, last(g.Log(), 30))
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("back after %s: %s", took, last(g.Log(), 30))
		}
	})
	t.Run("strongSwan initiates", func(t *testing.T) {
		w := newWorld(t)
		a, b := w.ends(newLink())
		a.encap = true
		s := a.startSwan(t, "")
		g := b.start(t)
		if err := s.Up("lan"); err != nil {
			t.Fatal(err)
		}
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		s = a.startSwan(t, "")
		begun := time.Now()
		if err := s.Up("lan"); err != nil {
			t.Fatal(err)
		}
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
			t.Fatal(err, last(g.Log(), 30))
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("back after %s: %s", took, last(g.Log(), 30))
		}
		oneSA(t, g, 1)
	})
	t.Run("goiked that has lost everything", func(t *testing.T) {
		w := newWorld(t)
		k := newLink()
		k.behavior, k.toml = "start", "dpd_delay = \"2s\"\n"
		a, b := w.ends(k)
		b.behavior = "responder-only"
		killed, err := lab.StartGoiked(b.at, binaries(t), b.config(), lab.GoikedOptions{})
		if killed != nil && killed.Process != nil {
			t.Cleanup(killed.Kill)
		}
		if err != nil {
			t.Fatal(err)
		}
		ga := a.start(t)
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
			t.Fatal(err)
		}
		killed.Kill()
		b.start(t) // with a run directory of its own, so that nothing is taken over
		begun := time.Now()
		if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 4*limit); err != nil {
			t.Fatal(err, last(ga.Log(), 30))
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("back after %s: %s", took, last(ga.Log(), 30))
		}
		logged(t, ga, "INVALID_IKE_SPI")
	})
}
