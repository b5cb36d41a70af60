//go:build linux

package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The metrics of a route into the device, and of the one behind it that holds
// packets back when the device is gone.
const (
	metricDevice = 100
	metricHold   = 1 << 30
)

// anyScope removes a route whatever its scope is.
const anyScope = netlink.Scope(unix.RT_SCOPE_NOWHERE)

// entry is what our table has for a destination.
type entry struct {
	link int        // index of the device that the route leads into, 0: there is none
	src  netip.Addr // its preferred source, if any
	hold bool       // there is an unreachable route behind it
}

// table is our routing table, of both families.
type table map[netip.Prefix]entry

// list reads what is ours in the table, and counts what is not.
func (r *Routes) list() (table, error) {
	is := make(table)
	r.foreign = 0
	for _, family := range r.families {
		var routes []netlink.Route
		err := whole(func() (err error) {
			routes, err = r.dumps.RouteListFiltered(family, &netlink.Route{Table: r.opts.Table}, netlink.RT_FILTER_TABLE)
			return err
		})
		switch {
		case errors.Is(err, unix.ENOENT): // nobody has put anything there yet
		case err != nil:
			return nil, fmt.Errorf("reading routing table %d: %w", r.opts.Table, err)
		}
		for i := range routes {
			if !is.add(family, &routes[i]) {
				r.foreign++
			}
		}
	}
	return is, nil
}

// add takes a route that was read into the table, and tells whether it is ours.
func (t table) add(family int, route *netlink.Route) bool {
	dst, ok := dstOf(family, route)
	if !ok || route.Protocol != protocol {
		return false
	}
	e := t[dst]
	switch {
	case route.Priority == metricHold && route.Type == unix.RTN_UNREACHABLE:
		e.hold = true
	case route.Priority == metricDevice:
		e.link, e.src = route.LinkIndex, netip.Addr{}
		if src, ok := netip.AddrFromSlice(route.Src); ok {
			e.src = src.Unmap()
		}
	default:
		return false
	}
	t[dst] = e
	return true
}

// dstOf is the destination of a route.
func dstOf(family int, route *netlink.Route) (netip.Prefix, bool) {
	if route.Dst == nil { // the default route
		if family == unix.AF_INET6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	}
	addr, ok := netip.AddrFromSlice(route.Dst.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	if family == unix.AF_INET {
		addr = addr.Unmap()
	}
	ones, _ := route.Dst.Mask.Size()
	return netip.PrefixFrom(addr, ones), true
}

// route is what our routes to a destination have in common.
func (r *Routes) route(dst netip.Prefix, metric int) *netlink.Route {
	return &netlink.Route{
		Table: r.opts.Table, Protocol: protocol, Priority: metric,
		Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())},
	}
}

// put sets what is missing for a destination, first what holds packets back.
func (r *Routes) put(dst netip.Prefix, src netip.Addr) error {
	var errs failures
	e := r.is[dst]
	if !e.hold {
		hold := r.route(dst, metricHold)
		hold.Type = unix.RTN_UNREACHABLE
		err := r.requests.RouteReplace(hold)
		e.hold = err == nil
		errs.add(routeError("unreachable route", dst, err))
	}
	if e.link != r.link || e.src != src {
		err := r.lead(dst, src)
		if err == nil {
			e.link, e.src = r.link, src
		}
		errs.add(routeError("route", dst, err))
	}
	if e != (entry{}) {
		r.is[dst] = e
	}
	return errs.err()
}

// lead sets the route into the device.
func (r *Routes) lead(dst netip.Prefix, src netip.Addr) error {
	into := r.route(dst, metricDevice)
	into.LinkIndex, into.Scope = r.link, netlink.SCOPE_LINK
	if src.IsValid() {
		into.Src = src.AsSlice()
	}
	err := r.requests.RouteReplace(into)
	if errors.Is(err, unix.EINVAL) && src.IsValid() {
		// The address is gone since we looked. Packets must not be held up by that.
		into.Src, r.stale = nil, true
		err = r.requests.RouteReplace(into)
	}
	return err
}

// remove removes the routes to a destination, last what holds packets back.
func (r *Routes) remove(dst netip.Prefix, e entry) error {
	var errs failures
	if e.link != 0 {
		errs.add(r.removeOne(dst, metricDevice))
	}
	if e.hold {
		errs.add(r.removeOne(dst, metricHold))
	}
	return errs.err()
}

func (r *Routes) removeOne(dst netip.Prefix, metric int) error {
	route := r.route(dst, metric)
	route.Scope = anyScope
	err := r.requests.RouteDel(route)
	if errors.Is(err, unix.ESRCH) { // it went with the device
		return nil
	}
	return routeError("removing the route", dst, err)
}

func routeError(what string, dst netip.Prefix, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s to %s: %w", what, dst, err)
}

// failures keeps the first error and counts the others: of thousands of routes one
// line is enough.
type failures struct {
	first error
	more  int
}

func (f *failures) add(err error) {
	switch {
	case err == nil:
	case f.first == nil:
		f.first = err
	default:
		f.more++
	}
}

func (f *failures) err() error {
	if f.more == 0 {
		return f.first
	}
	return fmt.Errorf("%w (and %d more failures)", f.first, f.more)
}
