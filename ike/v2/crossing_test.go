package v2

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// deeds are what a side may begin, by name.
var deeds = map[string]func(h *host, sa *SA){
	"rekeys the child":   func(h *host, sa *SA) { h.step(sa, ike.Notice{Notice: esp.Expire{ID: sa.children[0].InboundID()}}) },
	"deletes the child":  func(h *host, sa *SA) { h.step(sa, ike.Terminate{ChildID: sa.children[0].ID, Why: "test"}) },
	"rekeys the IKE SA":  func(h *host, sa *SA) { sa.rekeyAt = h.net.now; h.step(sa, ike.Timeout{}) },
	"deletes the IKE SA": func(h *host, sa *SA) { h.step(sa, ike.Terminate{Why: "test"}) },
	"adds a child":       func(h *host, sa *SA) { h.step(sa, ike.Initiate{Child: "second"}) },
	"asks for life":      func(h *host, sa *SA) { sa.push(&liveness{}); h.step(sa, ike.Timeout{}) },
	"does nothing":       func(*host, *SA) {},
}

// outcome is how many IKE SAs and children are left after two deeds.
func outcome(x, y string) (ikes, children int) {
	is := func(s string) bool { return x == s || y == s }
	switch {
	case is("deletes the IKE SA"):
		return 0, 0
	case is("deletes the child"):
		children = 0
	default:
		children = 1
	}
	if is("adds a child") {
		children++
	}
	return 1, children
}

// crossing is a network in which both sides are about to begin something.
func crossing(t *testing.T, seed byte) (*network, *SA, *SA) {
	n := newNetwork(t, second(t, "aes256gcm16", "aes256gcm16-curve25519"), func(a, b *conf.Connection) {
		a.Rekey, b.Rekey = true, true
		b.Children[1].Proposals = a.Children[1].Proposals
	})
	n.rand = rand.NewChaCha8([32]byte{seed})
	a := n.a.dial()
	n.run()
	n.established(1)
	return n, a, n.b.list()[0]
}

// watch fails the test at the first moment in which a packet would be lost. It is for
// deeds that delete nothing.
func (n *network) watch() {
	check := func() {
		for _, h := range []*host{n.a, n.b} {
			peer := n.a
			if h == n.a {
				peer = n.b
			}
			found := false
			for _, p := range h.plane.policies {
				if p.Dir != esp.Out {
					continue
				}
				found = true
				out, ok := h.plane.sending(p.ReqID)
				if !ok {
					n.t.Fatalf("%s has a policy and no SA\n%s", h.name, n.story())
				}
				in, ok := peer.plane.sas[esp.SAID{Dst: out.ID.Dst, SPI: out.ID.SPI, Proto: out.ID.Proto}]
				if !ok || string(in.EncrKey) != string(out.EncrKey) {
					n.t.Fatalf("%s sends by %08x, which %s does not know\n%s", h.name, out.ID.SPI, peer.name, n.story())
				}
			}
			if !found {
				n.t.Fatalf("%s has no policy\n%s", h.name, n.story())
			}
		}
	}
	n.a.plane.watch, n.b.plane.watch = check, check
}

// settled fails the test unless both hosts are at rest, agree, and have left nothing.
func (n *network) settled(ikes, children int) {
	n.t.Helper()
	n.a.plane.watch, n.b.plane.watch = nil, nil
	if ikes == 0 {
		if len(n.a.sas)+len(n.b.sas) > 0 {
			n.t.Fatalf("%d IKE SAs at a, %d at b\n%s", len(n.a.sas), len(n.b.sas), n.story())
		}
		n.a.empty()
		n.b.empty()
		return
	}
	for _, sa := range []*SA{first(n.established(children)), n.b.list()[0]} {
		if sa.active != nil || len(sa.queue) > 0 || sa.win.out != nil || sa.serving != nil || len(sa.tickets) > 0 || len(sa.leftovers) > 0 {
			n.t.Fatalf("IKE SA %d is not at rest: %v %v\n%s", sa.ID, sa.Status().Active, sa.Status().Queued, n.story())
		}
		for _, c := range sa.children {
			if c.Quiet || c.Outlived || c.Behind || c.Waiting != nil || c.State != ike.ChildInstalled {
				n.t.Fatalf("child %d does not serve: %+v\n%s", c.ID, c, n.story())
			}
		}
	}
	for _, h := range []*host{n.a, n.b} {
		spis := 0
		for _, waits := range h.plane.reserved {
			if waits {
				spis++
			}
		}
		if len(h.plane.sas) != 2*children || len(h.plane.policies) != 3*children || spis != 0 {
			n.t.Fatalf("%s: %d SAs, %d policies, %d SPIs reserved for %d children\n%s", h.name, len(h.plane.sas), len(h.plane.policies), spis, children, n.story())
		}
		n.bookkeeping(h, children)
	}
}

func first(a, _ *SA) *SA { return a }

// bookkeeping fails the test unless the reports of a host tell what there is.
func (n *network) bookkeeping(h *host, children int) {
	n.t.Helper()
	up := make(map[uint64]bool)
	ikes := make(map[uint64]bool)
	for _, r := range h.reports {
		switch r.Kind {
		case ike.IKEUp:
			ikes[r.IKE] = true
		case ike.IKERekeyed:
			if !ikes[r.IKE] || ikes[r.NewID] {
				n.t.Fatalf("%s: IKE SA %d to %d\n%s", h.name, r.IKE, r.NewID, n.story())
			}
			ikes[r.NewID] = true
		case ike.IKEDown:
			if !ikes[r.IKE] {
				n.t.Fatalf("%s: IKE SA %d down\n%s", h.name, r.IKE, n.story())
			}
			delete(ikes, r.IKE)
		case ike.ChildUp:
			up[r.ChildID] = true
		case ike.ChildRekeyed:
			if !up[r.ChildID] || up[r.NewID] {
				n.t.Fatalf("%s: child %d to %d\n%s", h.name, r.ChildID, r.NewID, n.story())
			}
			up[r.NewID] = true
		case ike.ChildDown:
			if !up[r.ChildID] {
				n.t.Fatalf("%s: child %d down\n%s", h.name, r.ChildID, n.story())
			}
			delete(up, r.ChildID)
		}
	}
	if len(up) != children || len(ikes) != 1 {
		n.t.Fatalf("%s: by the reports %d children and %d IKE SAs are left\n%s", h.name, len(up), len(ikes), n.story())
	}
}

// faults are what happens to one message of a crossing.
var faults = map[string]func(n *network, p packet) []packet{
	"in order": func(_ *network, p packet) []packet { return []packet{p} },
	"lost":     func(*network, packet) []packet { return nil },
	"doubled":  func(_ *network, p packet) []packet { return []packet{p, p} },
	"late":     func(n *network, p packet) []packet { n.late = append(n.late, p); return nil },
	"last":     func(n *network, p packet) []packet { n.last = append(n.last, p); return nil },
}

// TestCrossings lets both sides begin something at the same time, with each message in
// order, lost, doubled, behind the next one, and behind all others.
func TestCrossings(t *testing.T) {
	for x, left := range deeds {
		for y, right := range deeds {
			t.Run(fmt.Sprintf("a %s, b %s", x, y), func(t *testing.T) {
				for seed := range byte(2) {
					for fault, f := range faults {
						for k := range 10 {
							if fault == "in order" && k > 0 {
								break
							}
							n, a, b := crossing(t, byte(k)*2+seed)
							n.a.hold, n.b.hold = seed == 1, seed == 1
							ikes, children := outcome(x, y)
							if n.gentle(x, y) {
								n.watch()
							}
							count := 0
							n.intercept = func(p packet) []packet {
								if count++; count == k+1 {
									return f(n, p)
								}
								return []packet{p}
							}
							left(n.a, a)
							right(n.b, b)
							n.passHeld(4 * time.Minute)
							if t.Logf("seed %d, message %d %s", seed, k, fault); count <= k && k > 0 {
								break
							}
							n.settled(ikes, children)
						}
					}
				}
			})
		}
	}
}

// gentle tells whether deeds leave the tunnel up all the time.
func (n *network) gentle(deeds ...string) bool {
	for _, d := range deeds {
		if d == "deletes the child" || d == "deletes the IKE SA" || d == "adds a child" {
			return false
		}
	}
	return true
}
