package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// between is nil when the SAs of both hosts go between two addresses.
func between(a, b *Host, x, y netip.Addr) error {
	for _, side := range []struct {
		h             *Host
		local, remote netip.Addr
	}{{a, x, y}, {b, y, x}} {
		for _, sa := range side.h.Plane.SAs(esp.Out) {
			if sa.Src != side.local || sa.ID.Dst != side.remote {
				return fmt.Errorf("%s sends SPI %08x from %s to %s, what works is from %s to %s", side.h.Name, sa.ID.SPI, sa.Src, sa.ID.Dst, side.local, side.remote)
			}
		}
	}
	return both(a, b)
}

// Both hosts have three addresses. Again and again all paths but one go silent, in a
// network that loses, doubles and corrupts, while everything is replaced: the tunnel finds
// the one that works, and stays what it was.
func TestMOBIKEMultihomed(t *testing.T) {
	moves, kept := 0, 0
	for seed := range uint64(12) {
		f := Faults{Delay: 10 * time.Millisecond, Jitter: 50 * time.Millisecond}
		if seed%2 == 1 {
			f.Loss, f.Duplicate, f.Corrupt = 0.1, 0.1, 0.02
		}
		w, a, b := shortLived(t, seed&^1, f, func(c *conf.Config) {
			conn := c.Connections[0]
			conn.MOBIKE, conn.DPDDelay, conn.Lifetime, conn.Margin = true, 20*time.Second, 30*time.Minute, 5*time.Minute
			conn.Children[0].Lifetime = 10 * time.Minute
			if conn.Behavior == conf.ResponderOnly {
				conn.Gateways = conf.Gateways{{Any: true}}
			}
		})
		if !w.Run(5*time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		a.Join(netip.MustParseAddr("192.0.2.102"), netip.MustParseAddr("192.0.2.103"))
		b.Join(netip.MustParseAddr("198.51.100.102"), netip.MustParseAddr("198.51.100.103"))
		w.Rest(time.Minute)
		rng := rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // a simulation
		for i := range 20 {
			x, y := a.own()[rng.IntN(3)], b.own()[rng.IntN(3)]
			for _, p := range a.own() {
				for _, q := range b.own() {
					w.Link(p, q).Cut, w.Link(q, p).Cut = p != x || q != y, p != x || q != y
				}
			}
			if !w.Run(4*time.Minute, func() bool { return between(a, b, x, y) == nil }) {
				t.Fatalf("seed %d, move %d: %v\n%s", seed, i, between(a, b, x, y), tail(w.Trace))
			}
			w.Rest(time.Duration(rng.IntN(200)) * time.Second)
			moves++
		}
		switch again := len(ofKind(a, ike.IKEUp)); {
		case again == 1:
			kept++
		case f.Loss == 0:
			t.Errorf("seed %d: set up %d times\n%s", seed, again, tail(w.Trace))
		}
		if len(a.Plane.Offences)+len(b.Plane.Offences) > 0 {
			t.Errorf("seed %d: %v %v", seed, a.Plane.Offences, b.Plane.Offences)
		}
	}
	t.Logf("%d moves; %d of 12 tunnels were never set up again", moves, kept)
	if kept < 9 {
		t.Errorf("%d of 12 tunnels were never set up again", kept)
	}
}
