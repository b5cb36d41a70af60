package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// follows is nil when the SAs of both hosts go between the addresses that these have.
func follows(a, b *Host) error {
	for _, h := range [][2]*Host{{a, b}, {b, a}} {
		for _, sa := range h[0].Plane.SAs(esp.Out) {
			if sa.Src != h[0].Addr || sa.ID.Dst != h[1].Addr {
				return fmt.Errorf("%s sends SPI %08x from %s to %s; the hosts are at %s and %s", h[0].Name, sa.ID.SPI, sa.Src, sa.ID.Dst, h[0].Addr, h[1].Addr)
			}
		}
	}
	return both(a, b)
}

// Both hosts get other addresses again and again, in a network that loses, doubles and
// corrupts, while everything is replaced every few minutes: the tunnel follows, and
// stays what it was.
func TestMOBIKEFollows(t *testing.T) {
	moves, kept := 0, 0
	for seed := range uint64(20) {
		f := Faults{Delay: 10 * time.Millisecond, Jitter: 50 * time.Millisecond}
		if seed%2 == 1 {
			f.Loss, f.Duplicate, f.Corrupt = 0.1, 0.1, 0.02
		}
		w, a, b := shortLived(t, seed&^1, f, func(c *conf.Config) {
			c.Connections[0].MOBIKE = true
			// A host that has moved is not found again by its configured address.
			c.Connections[0].Lifetime, c.Connections[0].Margin = 15*time.Minute, 3*time.Minute
			c.Connections[0].Children[0].Lifetime = 5 * time.Minute
			if c.Connections[0].Behavior == conf.ResponderOnly {
				c.Connections[0].Gateways = conf.Gateways{{Any: true}}
			}
		})
		if !w.Run(5*time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		for i := range byte(30) {
			w.Rest(time.Duration(20+7*int(i)) * time.Second)
			for h, to := range map[*Host]netip.Addr{a: netip.AddrFrom4([4]byte{192, 0, 2, 100 + i}), b: netip.AddrFrom4([4]byte{198, 51, 100, 100 + i})} {
				if (seed/2+uint64(i))%3 == 2 == (h == b) {
					h.Move(to)
				}
			}
			if !w.Run(3*time.Minute, func() bool { return follows(a, b) == nil }) {
				t.Fatalf("seed %d, move %d: %v\n%s", seed, i, follows(a, b), tail(w.Trace))
			}
			moves++
		}
		again := 0
		for _, r := range a.Reports {
			if r.Kind == ike.IKEUp {
				again++
			}
		}
		if f.Loss == 0 && again != 1 {
			t.Errorf("seed %d: set up %d times", seed, again)
		}
		if again == 1 {
			kept++
		}
	}
	t.Logf("%d moves; %d of 20 tunnels were never set up again", moves, kept)
	if kept < 15 {
		t.Errorf("%d of 20 tunnels were never set up again", kept)
	}
}
