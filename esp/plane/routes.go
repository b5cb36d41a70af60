package plane

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
)

// Route says that packets for Dst go into the device, the host's own among them
// from an address in Local.
type Route = hostnet.Route

// Network leads packets for protected networks into the device.
type Network interface {
	// Set makes these all the routes that there are. They are sorted, without
	// doubles, and belong to the callee.
	Set(ctx context.Context, routes []Route) error
}

// routes are the routes that the outbound policies ask for. Guarded by
// Plane.applying.
type routes struct {
	wanted []Route // sorted
	count  []int   // by how many policies
	dirty  bool    // Set has failed
}

func compareRoutes(a, b Route) int {
	return cmp.Or(a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Dst.Bits(), b.Dst.Bits()),
		a.Local.Addr().Compare(b.Local.Addr()), cmp.Compare(a.Local.Bits(), b.Local.Bits()))
}

// want counts a policy more or less for a route, and tells whether that changed the
// routes.
func (r *routes) want(route Route, by int) (changed bool) {
	i, found := slices.BinarySearchFunc(r.wanted, route, compareRoutes)
	if !found {
		r.wanted = slices.Insert(r.wanted, i, route)
		r.count = slices.Insert(r.count, i, by)
		return true
	}
	if r.count[i] += by; r.count[i] > 0 {
		return false
	}
	r.wanted = slices.Delete(r.wanted, i, i+1)
	r.count = slices.Delete(r.count, i, i+1)
	return true
}

// reroute notes the routes of policies that came and went; both may be nil.
func (p *Plane) reroute(came, went *policy, c *change) {
	a, isA := routeOf(came)
	b, isB := routeOf(went)
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

// routeOf is the route for a policy that protects or discards: both kinds of packets
// must not leave by another way.
func routeOf(pol *policy) (Route, bool) {
	if pol == nil || pol.Dir != esp.Out || pol.Action == esp.Bypass {
		return Route{}, false
	}
	return Route{Dst: pol.Sel.Dst, Local: pol.Sel.Src}, true
}

func (p *Plane) setRoutes(ctx context.Context) error {
	if p.cfg.Network == nil {
		return nil
	}
	err := p.cfg.Network.Set(ctx, slices.Clone(p.routes.wanted))
	if p.routes.dirty = err != nil; err != nil {
		return fmt.Errorf("routes into the tunnel device: %w", err)
	}
	return nil
}
