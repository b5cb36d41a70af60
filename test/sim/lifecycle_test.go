package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// short gives both ends short lives, so that both replace everything again and again.
func short(c *conf.Config) *conf.Config {
	conn := c.Connections[0]
	conn.Lifetime, conn.Margin, conn.KeyingTries = 5*time.Minute, 20*time.Second, 0
	for _, k := range conn.Children {
		k.Lifetime = time.Minute
	}
	return c
}

// shortLived makes a world with two sites whose SAs are short-lived.
func shortLived(t testing.TB, seed uint64, f Faults, change ...func(c *conf.Config)) (*World, *Host, *Host) {
	w := New(seed, f)
	cb, ca := short(siteB(conf.ResponderOnly).config(t)), short(siteA(conf.Start).config(t))
	if seed%2 == 1 {
		cb = short(siteB(conf.Start).config(t))
	}
	for _, c := range change {
		c(ca)
		c(cb)
	}
	hb := w.Host("b", addrB, cb)
	ha := w.Host("a", addrA, ca)
	return w, ha, hb
}

// both is nil while packets get through both ways.
func both(a, b *Host) error {
	if err := Carries(a, b, flow); err != nil {
		return err
	}
	back := flow
	back.Src, back.Dst, back.SrcPort, back.DstPort = flow.Dst, flow.Src, flow.DstPort, flow.SrcPort
	return Carries(b, a, back)
}

// Both ends replace children and IKE SAs for hours, in a network that delays and
// doubles: never is there a moment in which a packet would be lost, and nothing is left
// of what was replaced.
func TestRekeyingLosesNothing(t *testing.T) {
	rekeys := 0
	for seed := range uint64(12) {
		f := Faults{Delay: 10 * time.Millisecond, Duplicate: 0.2, Jitter: []time.Duration{0, 50 * time.Millisecond, 3 * time.Second}[seed%3]}
		w, a, b := shortLived(t, seed, f, pfs(t, seed))
		if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		w.Rest(time.Minute) // both may have begun
		a.Reports, b.Reports = nil, nil
		var lost error
		w.Run(2*time.Hour, func() bool {
			lost = both(a, b)
			return lost != nil
		})
		if lost != nil {
			t.Fatalf("seed %d: %v\n%s", seed, lost, tail(w.Trace))
		}
		if !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		for _, h := range []*Host{a, b} {
			for _, r := range h.Reports {
				if r.Kind == ike.Failed || r.Kind == ike.IKEUp {
					t.Errorf("seed %d: %s: %s %s", seed, h.Name, r.Child, r.Text)
				}
				if r.Kind == ike.ChildRekeyed || r.Kind == ike.IKERekeyed {
					rekeys++
				}
			}
		}
	}
	t.Log(rekeys, "replacements seen")
}

// pfs gives the children a key exchange of their own for some seeds.
func pfs(t testing.TB, seed uint64) func(c *conf.Config) {
	return func(c *conf.Config) {
		if seed%4 >= 2 {
			c.Connections[0].Children[0].Proposals = proposals(t, c.Connections[0].Children[0].Protocol, "aes256gcm16-curve25519")
		}
	}
}

// Both ends replace everything in a network that loses a fifth of all messages, for an
// hour; then the network heals, and one tunnel is there.
func TestRekeyingInStorm(t *testing.T) {
	rekeys, crossed := 0, 0
	for seed := range uint64(40) {
		w, a, b := shortLived(t, seed, storm, pfs(t, seed))
		w.Rest(time.Hour)
		w.Faults = calm
		settled := func() bool { return Settled(a, b, 1, flow) == nil }
		if !w.Run(10*time.Minute, settled) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		w.Rest(20 * time.Second)
		if !w.Run(30*time.Second, settled) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		for _, h := range []*Host{a, b} {
			for _, r := range h.Reports {
				switch {
				case r.Kind == ike.ChildRekeyed || r.Kind == ike.IKERekeyed:
					rekeys++
				case strings.Contains(r.Text, "at the same time"):
					crossed++
				}
			}
		}
	}
	t.Log(rekeys, "replacements seen,", crossed, "of both ends at the same time")
}

// Both ends replace a child at the very same moments: one of the two stays every time.
func TestRekeyingAtOnce(t *testing.T) {
	for seed := range uint64(10) {
		w, a, b := shortLived(t, seed, calm, func(c *conf.Config) { c.Connections[0].RekeyFuzz = 0 })
		w.Rest(30 * time.Second)
		var lost error
		kept := w.Now()
		w.Run(time.Hour, func() bool {
			if a.unkept()+b.unkept() == 0 {
				kept = w.Now()
			} else if w.Now().Sub(kept) > time.Second {
				t.Fatalf("seed %d: a restart would lose an IKE SA\n%s", seed, tail(w.Trace))
			}
			lost = both(a, b)
			return lost != nil
		})
		if lost != nil || !w.Run(time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v %v\n%s", seed, lost, Settled(a, b, 1, flow), tail(w.Trace))
		}
		if all := fmt.Sprint(w.Trace); !strings.Contains(all, "at the same time") {
			t.Errorf("seed %d: they never met", seed)
		}
	}
}

// unkept is how many IKE SAs that are up a next process could not carry on.
func (h *Host) unkept() (n int) {
	for _, st := range h.Shard.Statuses() {
		if st.State == ike.Up && h.kept[st.SPIi] == nil && h.kept[st.SPIr] == nil {
			n++
		}
	}
	return n
}
