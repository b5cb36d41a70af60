//go:build linux

package xfrm

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
)

// routes are the routes that the outbound policies in force ask for.
type routes struct {
	wanted []hostnet.Route // sorted
	count  []int           // by how many policies
	dirty  bool            // Network may not have them
}

func compareRoutes(a, b hostnet.Route) int {
	return cmp.Or(comparePrefixes(a.Dst, b.Dst), comparePrefixes(a.Local, b.Local), a.Via.Compare(b.Via),
		cmp.Compare(a.Device, b.Device), cmp.Compare(bit(a.Bypass), bit(b.Bypass)))
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// want counts a policy more or less for a route.
func (r *routes) want(route hostnet.Route, by int) {
	i, found := slices.BinarySearchFunc(r.wanted, route, compareRoutes)
	if !found {
		r.wanted = slices.Insert(r.wanted, i, route)
		r.count = slices.Insert(r.count, i, by)
		r.dirty = true
		return
	}
	if r.count[i] += by; r.count[i] > 0 {
		return
	}
	r.wanted = slices.Delete(r.wanted, i, i+1)
	r.count = slices.Delete(r.count, i, i+1)
	r.dirty = true
}

// list is the routes without those that would lead packets that are to be protected
// elsewhere: to routing a destination is all one.
func (r *routes) list() []hostnet.Route {
	out := make([]hostnet.Route, 0, len(r.wanted))
	for i, w := range r.wanted {
		if w.Bypass && r.protects(i) {
			continue
		}
		out = append(out, w)
	}
	return out
}

// protects tells whether a route beside the one at i leads its destination into a
// tunnel.
func (r *routes) protects(i int) bool {
	for j := i - 1; j >= 0 && r.wanted[j].Dst == r.wanted[i].Dst; j-- {
		if !r.wanted[j].Bypass {
			return true
		}
	}
	for j := i + 1; j < len(r.wanted) && r.wanted[j].Dst == r.wanted[i].Dst; j++ {
		if !r.wanted[j].Bypass {
			return true
		}
	}
	return false
}

// setRoutes tells Network what has changed. What failed is tried again the next time.
func (p *Plane) setRoutes(ctx context.Context) error {
	if p.cfg.Network == nil || !p.routes.dirty {
		return nil
	}
	if err := p.cfg.Network.Set(ctx, p.routes.list()); err != nil {
		return fmt.Errorf("the routes to protected networks: %w", err)
	}
	p.routes.dirty = false
	return nil
}

// wayOut sets the routes of policies that let packets pass, before these policies are
// there: on the way to a peer nothing is to be seen in the clear. The caller gives back
// what it returns. Without routes there are no such policies.
func (p *Plane) wayOut(ctx context.Context, ops []esp.Op) (_ []esp.Op, early []hostnet.Route, err error) {
	for _, op := range ops {
		if add, ok := op.(esp.AddPolicy); ok && add.Policy.Action == esp.Bypass {
			early = append(early, p.routesOf(&add.Policy)...)
		}
	}
	for _, r := range early {
		p.routes.want(r, 1)
	}
	if len(early) == 0 {
		return ops, nil, nil
	}
	if err = p.setRoutes(ctx); err == nil {
		return ops, early, nil
	}
	return slices.DeleteFunc(slices.Clone(ops), func(op esp.Op) bool {
		add, ok := op.(esp.AddPolicy)
		return ok && add.Policy.Action == esp.Bypass && add.Policy.Dir == esp.Out
	}), early, err
}

// routesOf is what a policy asks of routing. Packets of a policy that is for an XFRM
// interface go there; without that interface they cannot be its packets. The peer itself
// must not be looked for there.
func (p *Plane) routesOf(pol *esp.Policy) []hostnet.Route {
	if pol == nil || pol.Dir != esp.Out {
		return nil
	}
	sel, err := normal(pol.Sel)
	if err != nil {
		return nil
	}
	if pol.Action == esp.Bypass {
		if sel.Proto != 0 || sel.SrcPorts != esp.AnyPort || sel.DstPorts != esp.AnyPort {
			return nil
		}
		return []hostnet.Route{{Dst: sel.Dst, Bypass: true}}
	}
	r := hostnet.Route{Dst: sel.Dst, Local: sel.Src}
	peer := pol.Dst.Unmap()
	if pol.IfID == 0 {
		if !known(peer) {
			return nil // they go as others do, and are dropped or wait on the way
		}
		r.Via = peer
		return []hostnet.Route{r}
	}
	if p.cfg.Device != nil {
		r.Device = p.cfg.Device(pol.IfID)
	}
	switch {
	case r.Device == "":
		return nil
	case known(peer) && sel.Dst.Contains(peer):
		return []hostnet.Route{r, {Dst: netip.PrefixFrom(peer, peer.BitLen()), Bypass: true}}
	}
	return []hostnet.Route{r}
}
