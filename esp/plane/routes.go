package plane

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
)

// Route says that packets for Dst go into the device, the host's own among them
// from an address in Local; or, with Bypass, that they do not.
type Route = hostnet.Route

// Network leads packets for protected networks into the device.
type Network interface {
	// Set makes these all the routes that there are. They are sorted, without
	// doubles, and belong to the callee.
	Set(ctx context.Context, routes []Route) error
}

// lead is what an outbound policy asks of routing.
type lead struct {
	sel      esp.Selector
	priority uint32
	bypass   bool
}

func compareLeads(a, b lead) int {
	return cmp.Or(comparePrefixes(a.sel.Dst, b.sel.Dst), comparePrefixes(a.sel.Src, b.sel.Src),
		cmp.Compare(a.priority, b.priority), cmp.Compare(bit(a.bypass), bit(b.bypass)), cmp.Compare(a.sel.Proto, b.sel.Proto),
		comparePorts(a.sel.SrcPorts, b.sel.SrcPorts), comparePorts(a.sel.DstPorts, b.sel.DstPorts))
}

func comparePorts(a, b esp.PortRange) int {
	return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
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

// routes are the routes that the outbound policies ask for. Guarded by
// Plane.applying.
type routes struct {
	leads []lead  // sorted
	count []int   // by how many policies
	set   []Route // what Set was given last
	dirty bool    // Set has failed
}

// want counts a policy more or less for a lead, and tells whether that changed the
// leads.
func (r *routes) want(l lead, by int) (changed bool) {
	i, found := slices.BinarySearchFunc(r.leads, l, compareLeads)
	if !found {
		r.leads = slices.Insert(r.leads, i, l)
		r.count = slices.Insert(r.count, i, by)
		return true
	}
	if r.count[i] += by; r.count[i] > 0 {
		return false
	}
	r.leads = slices.Delete(r.leads, i, i+1)
	r.count = slices.Delete(r.count, i, i+1)
	return true
}

// list is the routes for the leads.
func (r *routes) list() []Route {
	list := make([]Route, 0, len(r.leads))
	for _, l := range r.leads {
		route := Route{Dst: l.sel.Dst, Local: l.sel.Src}
		if l.bypass {
			if !r.mayBypass(l.sel.Dst) {
				continue
			}
			route = Route{Dst: l.sel.Dst, Bypass: true}
		}
		if n := len(list); n == 0 || list[n-1] != route { // equal ones are neighbours
			list = append(list, route)
		}
	}
	return list
}

// mayBypass tells whether all packets for dst may go around the device: a route knows
// no more than the destination, and no packet may escape by it that is of another
// policy. Where that is not so packets of a bypass enter the device, and end there.
// More specific destinations have a more specific route.
func (r *routes) mayBypass(dst netip.Prefix) bool {
	for _, l := range r.leads {
		if l.bypass || l.sel.Dst.Bits() > dst.Bits() || !l.sel.Dst.Contains(dst.Addr()) {
			continue
		}
		if l.sel.Dst == dst || !slices.ContainsFunc(r.leads, func(b lead) bool { return b.bypass && b.sel.Dst == dst && b.frees(l) }) {
			return false
		}
	}
	return true
}

// frees tells whether all packets of l for the destination of b are those of b: it
// matches them, and comes before l.
func (b lead) frees(l lead) bool {
	within := func(l, b esp.PortRange) bool { return b.First <= l.First && l.Last <= b.Last }
	switch {
	case b.sel.Src.Bits() > l.sel.Src.Bits() || !b.sel.Src.Contains(l.sel.Src.Addr()):
		return false
	case b.sel.Proto != 0 && b.sel.Proto != l.sel.Proto:
		return false
	case !within(l.sel.SrcPorts, b.sel.SrcPorts) || !within(l.sel.DstPorts, b.sel.DstPorts):
		return false
	case b.priority != l.priority:
		return b.priority < l.priority
	}
	return b.sel.Src.Bits()+b.sel.Dst.Bits() >= l.sel.Src.Bits()+l.sel.Dst.Bits()
}

// reroute notes the leads of policies that came and went; both may be nil.
func (p *Plane) reroute(came, went *policy, c *change) {
	a, isA := leadOf(came)
	b, isB := leadOf(went)
	if isA && isB && a == b {
		return
	}
	if isA && p.routes.want(a, 1) {
		c.policies = true
	}
	if isB && p.routes.want(b, -1) {
		c.policies = true
	}
}

// leadOf is what an outbound policy asks of routing: packets that are protected or
// discarded must not leave by another way, those of a bypass must.
func leadOf(pol *policy) (lead, bool) {
	if pol == nil || pol.Dir != esp.Out {
		return lead{}, false
	}
	return lead{sel: pol.Sel, priority: pol.Priority, bypass: pol.Action == esp.Bypass}, true
}

func (p *Plane) setRoutes(ctx context.Context) error {
	if p.cfg.Network == nil {
		return nil
	}
	list := p.routes.list()
	if !p.routes.dirty && slices.Equal(list, p.routes.set) {
		return nil
	}
	p.routes.set = list
	err := p.cfg.Network.Set(ctx, slices.Clone(list))
	if p.routes.dirty = err != nil; err != nil {
		return fmt.Errorf("routes into the tunnel device: %w", err)
	}
	return nil
}
