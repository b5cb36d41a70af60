//go:build linux

package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// Both ends replace everything every few seconds. The lines of goiked's configuration
// stand for 5 to 10 s of a child and 20 to 30 s of an IKE SA, and so do strongSwan's.
const (
	shortIKE   = "lifetime = \"40s\"\nmargintime = \"10s\"\nrekey_fuzz = 100\ndpd_delay = \"3s\"\n"
	shortChild = "  lifetime = \"20s\"\n"
	swanIKE    = "rekey_time = 30s\n\t\trand_time = 10s\n\t\tover_time = 10s"
	swanChild  = "\n\t\t\t\trekey_time = 10s\n\t\t\t\trand_time = 5s\n\t\t\t\tlife_time = 20s"
)

// shortLived is a link whose SAs are replaced again and again.
func shortLived() link {
	k := newLink()
	k.toml, k.swan = shortIKE, swanIKE
	k.children[0].esp = "aes256gcm16-curve25519"
	return k
}

// startShort starts goiked with a short-lived child.
func (e end) startShort(t *testing.T) goike {
	t.Helper()
	config := strings.Replace(e.config(), "  [[phase1.phase2]]\n", "  [[phase1.phase2]]\n"+shortChild, 1)
	g, err := lab.StartGoiked(e.at, binaries(t), config, lab.GoikedOptions{})
	if g != nil && g.Process != nil {
		t.Cleanup(func() { g.Stop() })
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g}
}

// startSwanShort starts strongSwan with a short-lived child.
func (e end) startSwanShort(t *testing.T, together bool) swan {
	t.Helper()
	e.children = append([]tunnel(nil), e.children...)
	e.children[0].esp += swanChild
	if together {
		e.children[0].esp = strings.Replace(e.children[0].esp, "rand_time = 5s", "rand_time = 0s", 1)
	}
	return e.startSwan(t, "")
}

// often is how often packets follow where none may be lost.
const often = 10 * time.Millisecond

// flood sends a packet often, both ways, and demands that each is answered.
func (w *world) flood(t *testing.T, d time.Duration) {
	t.Helper()
	w.floodBut(t, d, func() int { return 0 })
}

// floodBeside allows strongSwan's own ESP to refuse packets: it takes SAs away, and puts
// policies in, beside threads that have packets for them.
func (w *world) floodBeside(t *testing.T, d time.Duration, s swan) {
	t.Helper()
	before := refused(s)
	w.floodBut(t, d, func() int { return min(refused(s)-before, 5) })
}

// refused is how many packets strongSwan's own ESP has had no SA or policy for.
func refused(s swan) (n int) {
	log := s.Log()
	for _, why := range []string{
		"inbound ESP packet does not belong to an installed SA", "discarding inbound IP packet",
		"no matching outbound IPsec policy", "could not find an outbound IPsec SA",
	} {
		n += strings.Count(log, why)
	}
	return n
}

// floodBut allows some packets of each way to be lost.
func (w *world) floodBut(t *testing.T, d time.Duration, most func() int) {
	t.Helper()
	count := int(d / often)
	flow := func(at *lab.Namespace, from, to netip.Addr) *lab.Pings {
		p, err := at.Pings(from, to, often)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Stop() })
		return p
	}
	for _, p := range []*lab.Pings{flow(w.HostA, lab.HostA4, lab.HostB4), flow(w.HostB, lab.HostB4, lab.HostA4)} {
		if err := p.Wait(count, 3*d); err != nil {
			t.Error(err)
		}
		sent, lost := p.Stop()
		if most := most(); len(lost) > most {
			t.Errorf("%s: %d of %d packets were lost, %d may be: %v", p, len(lost), sent, most, lost)
		}
	}
}

// restTime is how long it may take until nothing is left of what was replaced: strongSwan's
// threads may read that an IKE SA is deleted before they read the answer by which it was
// replaced, and then never delete the redundant one, which goiked keeps for a minute.
const restTime = 90 * time.Second

// atRest waits until both ends have one IKE SA with one child, and agree about them.
func atRest(t *testing.T, a, b peer) {
	t.Helper()
	if err := lab.Eventually(restTime, func() error {
		x, err := a.SAs()
		if err != nil {
			return err
		}
		y, err := b.SAs()
		if err != nil {
			return err
		}
		if len(x) != 1 || len(y) != 1 || len(x[0].Children) != 1 || len(y[0].Children) != 1 || twin(y[0], x[0].Children[0]) == nil {
			return fmt.Errorf("A has %v, B has %v", x, y)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestRekeying lets goiked and strongSwan replace children and IKE SAs from both ends
// while packets pass: none is lost, and nothing is left over.
func TestRekeying(t *testing.T) {
	for _, c := range []struct {
		name     string
		goikeAtA bool
		together bool // both at the same moment
	}{{"goiked initiates", true, false}, {"goiked responds", false, false}, {"both at once", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			k := shortLived()
			if c.together {
				k.toml = strings.Replace(k.toml, "rekey_fuzz = 100", "rekey_fuzz = 0", 1)
				k.swan = strings.Replace(k.swan, "rand_time = 10s", "rand_time = 0s", 1)
			}
			a, b := w.ends(k)
			if c.goikeAtA {
				b.encap = true
			} else {
				a.encap = true
			}
			var atA, atB peer
			var g goike
			var s swan
			if c.goikeAtA {
				s, g = b.startSwanShort(t, c.together), a.startShort(t)
				atA, atB = g, s
			} else {
				g, s = b.startShort(t), a.startSwanShort(t, c.together)
				atA, atB = s, g
			}
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err)
			}
			w.carries(t)
			w.floodBeside(t, 40*time.Second, s)
			for range 4 { // they need not meet at once
				if !c.together || strings.Contains(g.Log(), "at the same time") {
					break
				}
				w.floodBeside(t, 20*time.Second, s)
			}
			atRest(t, atA, atB)
			for what, least := range map[string]int{"lan: replaced": 3, "phase 1 replaced": 1} {
				if n := strings.Count(g.Log(), what); n < least {
					t.Errorf("%d times %q: %s", n, what, last(g.Log(), 40))
				}
			}
			if c.together && !strings.Contains(g.Log(), "at the same time") {
				t.Error("they have never met")
			}
			if strings.Contains(g.Log(), "does not answer") {
				t.Error(last(g.Log(), 40))
			}
		})
	}
}

// TestTwoGoikedRekeying is the same between two goiked, with raw ESP.
func TestTwoGoikedRekeying(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(shortLived())
	gb, ga := b.startShort(t), a.startShort(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	w.flood(t, 40*time.Second)
	atRest(t, ga, gb)
	if n := strings.Count(ga.Log(), "lan: replaced"); n < 3 {
		t.Errorf("replaced %d times: %s", n, last(ga.Log(), 40))
	}
}

// TestDPD cuts the line: goiked finds out that strongSwan is silent, and the tunnel comes
// back when the line does.
func TestDPD(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.behavior = "start"
	k.toml = "dpd_delay = \"1s\"\n"
	a, b := w.ends(k)
	b.encap = true
	s := b.startSwan(t, "")
	config := strings.Replace(a.config(), "[dataplane]\n", "[retransmit]\ntimeout = \"1s\"\ntries = 2\n\n[dataplane]\n", 1)
	lg, err := lab.StartGoiked(a.at, binaries(t), config, lab.GoikedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lg.Stop() })
	g := goike{lg}
	w.carries(t)
	logged(t, g, "established")
	if err := w.Drop("udp dport { 500, 4500 }"); err != nil {
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
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 4*wait); err != nil {
		t.Error(err, last(g.Log(), 20), last(s.Log(), 20))
	}
}
