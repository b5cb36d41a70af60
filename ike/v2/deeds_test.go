package v2

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// TestDeedsInStorm lets both sides begin one thing after another in a network that loses,
// doubles and delays. When the network is well again both sides agree about what there
// is, and nothing else is left.
func TestDeedsInStorm(t *testing.T) {
	names := []string{"rekeys the child", "rekeys the IKE SA", "rekeys the child", "adds a child", "deletes the child", "asks for life"}
	left := 0
	for seed := range byte(120) {
		n, _, _ := crossing(t, seed)
		rng := rand.New(rand.NewPCG(uint64(seed), 3)) //nolint:gosec // a simulation
		for _, h := range []*host{n.a, n.b} {
			h.hold = seed%2 == 1
			c := h.conn()
			c.DPDDelay, c.DPDAction = 20*time.Second, conf.DPDClear
			c.Children[0].Lifetime, c.Margin = 10*time.Minute, time.Minute
		}
		n.intercept = func(p packet) []packet {
			switch x := rng.Float64(); {
			case x < 0.25:
				return nil
			case x < 0.4:
				return []packet{p, p}
			case x < 0.5:
				n.late = append(n.late, p)
				return nil
			case x < 0.6:
				n.last = append(n.last, p)
				return nil
			}
			return []packet{p}
		}
		for range 15 {
			h := []*host{n.a, n.b}[rng.IntN(2)]
			for _, sa := range h.list() {
				if sa.state == ike.Up && len(sa.children) > 0 {
					deeds[names[rng.IntN(len(names))]](h, sa)
					break
				}
			}
			n.passHeld(time.Duration(rng.IntN(15000)) * time.Millisecond)
		}
		n.intercept = nil
		n.passHeld(30 * time.Minute)
		if len(n.a.sas) == 0 && len(n.b.sas) == 0 {
			n.settled(0, 0)
			continue
		}
		left++
		children := 0
		if list := n.a.list(); len(list) > 0 {
			children = len(list[0].children)
		}
		n.settled(1, children)
	}
	if left < 60 {
		t.Errorf("only %d of the IKE SAs are left", left)
	}
}
