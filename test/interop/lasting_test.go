//go:build linux

package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// hasty lets goiked give a silent peer up after some seconds.
const hasty = "[retransmit]\ntimeout = \"500ms\"\nbase = 1.2\ntries = 3\n\n[dataplane]\n"

// startLasting starts goiked with lines for its child and other sections before.
func (e end) startLasting(t *testing.T, child, sections string) goike {
	t.Helper()
	config := strings.Replace(e.config(), "  [[phase1.phase2]]\n", "  [[phase1.phase2]]\n"+child, 1)
	if sections != "" {
		config = strings.Replace(config, "[dataplane]\n", sections, 1)
	}
	g, err := lab.StartGoiked(e.at, binaries(t), config, lab.GoikedOptions{})
	if g != nil && g.Process != nil {
		t.Cleanup(func() { g.Stop() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g}
}

// A child is replaced before it has carried as much as it may, and no packet is lost.
// One that is not to be replaced ends then, and another one is set up.
func TestLimitsUnderTraffic(t *testing.T) {
	for _, c := range []struct{ name, limit, rekey string }{
		{"packets", "  lifetime_packets = 1000\n", "true"},
		{"octets", "  lifetime_bytes = 100000\n", "true"},
		{"packets, not replaced", "  lifetime_packets = 1000\n", "false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			k := newLink()
			k.behavior, k.toml = "start", "rekey = "+c.rekey+"\n"
			a, b := w.ends(k)
			b.encap = true
			s, g := b.startSwan(t, ""), a.startLasting(t, c.limit, "")
			w.carries(t)
			if c.rekey == "true" {
				w.floodBeside(t, 20*time.Second, s)
				if n := strings.Count(g.Log(), "lan: replaced"); n < 3 {
					t.Errorf("replaced %d times: %s", n, last(g.Log(), 30))
				}
				if strings.Contains(g.Log(), "reached its limit") {
					t.Error("it has reached its limit:", last(g.Log(), 30))
				}
			} else {
				w.floodBut(t, 20*time.Second, func() int { return 300 }) // in the time that deleting and setting up take
				w.carries(t)
				if n := strings.Count(g.Log(), "reached its limit"); n < 2 || strings.Contains(g.Log(), "lan: replaced") {
					t.Errorf("at its limit %d times: %s", n, last(g.Log(), 30))
				}
			}
			atRest(t, g, s)
		})
	}
}

// A tunnel without traffic is closed, with its IKE SA, and traffic brings it up again.
func TestInactivity(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	b.encap = true
	s, g := b.startSwan(t, ""), a.startLasting(t, "  inactivity = \"3s\"\n", "")
	for range 2 {
		w.carries(t)
		first := oneSA(t, g, 1)
		w.flood(t, 5*time.Second) // longer than that, under traffic
		if sa := oneSA(t, g, 1); sa.Values["uniqueid"] != first.Values["uniqueid"] {
			t.Errorf("closed under traffic: %s", last(g.Log(), 20))
		}
		if err := lab.Eventually(wait, func() error {
			x, err := g.SAs()
			if err != nil || len(x) == 0 {
				return err
			}
			return fmt.Errorf("not closed: %v", x)
		}); err != nil {
			t.Fatal(err)
		}
		gone(t, s)
	}
	logged(t, g, "no traffic for 3s (inactivity)")
	if out, _, err := g.Ctl("status"); err != nil || !strings.Contains(out, "on-demand") {
		t.Error(err, out)
	}
}

// An on-demand tunnel whose peer is away is given up after keying_tries, holds its
// traffic back, says so, and is up when traffic asks for it and the peer is back.
func TestGivenUpWaitsForTraffic(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.toml = "keying_tries = 2\n"
	a, b := w.ends(k)
	b.encap = true
	g := a.startLasting(t, "", hasty)
	if err := w.HostA.PingOnce(lab.HostA4, lab.HostB4); err == nil {
		t.Fatal("a ping came back without a peer")
	}
	status := func(want ...string) func() error {
		return func() error {
			out, _, err := g.Ctl("status")
			for _, word := range want {
				if err == nil && !strings.Contains(out, word) {
					err = fmt.Errorf("no %q in %s", word, out)
				}
			}
			return err
		}
	}
	if err := lab.Eventually(2*wait, status("retrying in ", "try 2 of 2, last error ", "the peer does not answer")); err != nil {
		t.Error(err)
	}
	if err := lab.Eventually(4*wait, status("given up after 2 tries", "on-demand")); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	b.startSwan(t, "")
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 2*wait); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	if err := status("try")(); err == nil {
		t.Error("status still tells of tries")
	}
}

// A peer that does not answer holds up neither `goikectl down` nor the end of goiked.
func TestEndWithDeadPeer(t *testing.T) {
	for _, how := range []string{"down", "down --timeout", "SIGTERM"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			before := w.state(t)
			a, b := w.ends(newLink())
			b.encap = true
			s, g := b.startSwan(t, ""), a.startLasting(t, "", "")
			w.carries(t)
			s.Kill()
			begun, limit := time.Now(), 10*time.Second
			switch how {
			case "down":
				limit = 40 * time.Second
				if _, code, err := g.Ctl("down", "site"); code != 0 {
					t.Error(code, err)
				}
			case "down --timeout":
				if _, code, err := g.Ctl("--timeout", "1s", "down", "site"); code != 1 {
					t.Error(code, err)
				}
			}
			if err := g.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			code, ended := g.Wait(limit)
			if took := time.Since(begun); !ended || code != 0 || took > limit {
				t.Errorf("ended %v with code %d after %s: %s", ended, code, took, last(g.Log(), 20))
			}
			if after := w.state(t); after != before {
				t.Errorf("left behind: %s\nbefore: %s", after, before)
			}
		})
	}
}
