//go:build linux

package kernel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// reauthenticating is a link whose IKE SA goiked, or strongSwan, sets up anew every few
// seconds.
func reauthenticating(goike bool) link {
	k := newLink(gcm)
	if goike {
		k.behavior = "start"
		k.toml = "lifetime = \"10s\"\nmargintime = \"5s\"\nrekey_fuzz = 0\nreauthenticate = true\n"
	} else {
		k.swan = "reauth_time = 5s\n\t\trand_time = 0s\n\t\tover_time = 5s\n\t\trekey_time = 0s"
	}
	return k.wide()
}

// Reauthentication of both kinds, by either side. Made before it is broken, the tunnel
// loses no packet but those by which strongSwan overtakes its own answer, and those that
// it has not opened yet when it deletes the old SA; broken before, it is back at once.
func TestReauthentication(t *testing.T) {
	for _, c := range []struct {
		name            string
		goike, swanPeer bool // who begins, and whether strongSwan is the other one
		before          bool
	}{
		{"goiked begins, make before break", true, true, true},
		{"goiked begins, break before make", true, true, false},
		{"strongSwan begins, make before break", false, true, true},
		{"two goiked, make before break", true, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			k := reauthenticating(c.goike)
			if c.before {
				k.global = "[ipsec]\nmake_before_break = true\n"
			}
			a, b := w.ends(k)
			var other lister
			if c.swanPeer {
				charon, err := lab.StartStrongSwanKernel(b.at, "\tmake_before_break = "+yes(c.before))
				if charon != nil && charon.Process != nil {
					t.Cleanup(func() { charon.Stop() })
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := charon.Load(b.swanctl()); err != nil {
					t.Fatal(err)
				}
				other = swan{charon, newVICI(charon.URI)}
				w.shut(t)
			} else {
				b.behavior, b.toml = "responder-only", ""
				other = w.start(t, b)
			}
			g := w.start(t, a)
			if !c.goike {
				if err := other.Up("lan"); err != nil {
					t.Fatal(err)
				}
			}
			must(t, w.hosts4())
			stop := w.hosts4().pings(t)
			end := time.Now().Add(20 * time.Second)
			if err := lab.Eventually(2*time.Minute, func() error {
				if n := strings.Count(g.Log(), "phase 1 established"); n < 4 || time.Now().Before(end) {
					return fmt.Errorf("set up %d times: %s", n, last(g.Log(), 20))
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			sent, lost := stop()
			most := 0
			switch {
			case !c.before:
				most = sent / 5
			case c.swanPeer:
				most = min(early(t, w.A)+late(t, w.A)+late(t, w.B), slowest*strings.Count(g.Log(), "phase 1 established"))
			}
			if len(lost) > most || sent < 500 {
				t.Errorf("%d of %d packets were lost, %d may be: %v: %s\nA: %s\nB: %s", len(lost), sent, most, lost, last(g.Log(), 60),
					run(t, w.A, "cat", "/proc/net/xfrm_stat"), run(t, w.B, "cat", "/proc/net/xfrm_stat"))
			}
			must(t, w.hosts4())
		})
	}
}

// The line is cut: goiked finds out that strongSwan is silent, and the tunnel comes back
// when the line does.
func TestDPD(t *testing.T) {
	w := newWorld(t)
	k := newLink(gcm)
	k.behavior, k.toml = "start", "dpd_delay = \"1s\"\n"
	k.global = "[retransmit]\ntimeout = \"1s\"\ntries = 2\n"
	a, b := w.ends(k)
	s, g := w.startSwan(t, b), w.start(t, a)
	must(t, w.hosts4())
	if err := w.Drop(""); err != nil {
		t.Fatal(err)
	}
	if err := lab.Eventually(2*wait, func() error {
		if !strings.Contains(g.Log(), "the peer does not answer") {
			return fmt.Errorf("not noticed: %s", last(g.Log(), 10))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.hosts4().blocked(t)
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	if err := lab.Eventually(4*wait, w.hosts4().ping); err != nil {
		t.Error(err, last(g.Log(), 20), last(s.Log(), 20))
	}
	a.holds(t, g, 1)
}

// An on-demand tunnel is given up after keying_tries, and the next packet asks for it
// again: nothing is left in the kernel that answers it.
func TestGivenUpWaitsForTraffic(t *testing.T) {
	w := newWorld(t)
	k := newLink(gcm)
	k.behavior, k.toml = "on-demand", "keying_tries = 1\n"
	k.global = "[retransmit]\ntimeout = \"500ms\"\ntries = 1\n"
	a, b := w.ends(k)
	g := w.start(t, a)
	w.hosts4().blocked(t)
	if err := lab.Eventually(wait, func() error {
		if !strings.Contains(g.Log(), "given up after 1 try") {
			return fmt.Errorf("not given up: %s", last(g.Log(), 10))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s := w.startSwan(t, b)
	if err := w.hosts4().ping(); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	oneSA(t, s, 1)
}

// A tunnel is replaced before it has carried as many packets as it may, without a packet
// lost, and closed when it has carried none for some time; the next one brings it up.
func TestLimitsAndInactivity(t *testing.T) {
	w := newWorld(t)
	k := newLink(gcm)
	k.behavior = "on-demand"
	k.children[0].toml = "  lifetime_packets = 1000\n  inactivity = \"5s\"\n"
	a, b := w.ends(k.wide())
	s, g := w.startSwan(t, b), w.start(t, a)
	must(t, w.hosts4())
	stop := w.hosts4().pings(t)
	if err := lab.Eventually(2*time.Minute, func() error {
		if n := strings.Count(g.Log(), "lan: replaced"); n < 3 {
			return fmt.Errorf("replaced %d times: %s", n, last(g.Log(), 30))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if sent, lost := stop(); len(lost) > 0 || strings.Contains(g.Log(), "reached its limit") {
		t.Errorf("%d of %d packets were lost: %v: %s", len(lost), sent, lost, last(g.Log(), 30))
	}
	gone(t, g)
	gone(t, s)
	stateless(t, w.A)
	must(t, w.hosts4())
}
