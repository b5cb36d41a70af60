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

// The metrics of a route that leads somewhere, and of the one behind it that holds
// packets back when the device is gone.
const (
	metricLead = 100
	metricHold = 1 << 30
)

// anyScope removes a route whatever its scope is.
const anyScope = netlink.Scope(unix.RT_SCOPE_NOWHERE)

// lead is a route that leads somewhere; the zero value: there is none.
type lead struct {
	throw bool       // packets leave our table, and go where they would without us
	link  int        // index of the interface
	next  netip.Addr // the next hop, if any
	src   netip.Addr // the preferred source, if any
}

// sameWay tells whether both lead to the same place.
func (l lead) sameWay(o lead) bool {
	l.src, o.src = netip.Addr{}, netip.Addr{}
	return l == o
}

// entry is what our table has for a destination.
type entry struct {
	lead lead
	hold bool // there is an unreachable route behind it
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
	case route.Priority == metricLead && route.Type == unix.RTN_THROW:
		e.lead = lead{throw: true}
	case route.Priority == metricLead:
		e.lead = lead{link: route.LinkIndex, next: addrOf(route.Gw), src: addrOf(route.Src)}
	default:
		return false
	}
	t[dst] = e
	return true
}

// addrOf is the address in ip, invalid when there is none.
func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
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

// put makes of what is there for a destination what is wanted. What holds packets back
// comes first and goes last.
func (r *Routes) put(dst netip.Prefix, is, want entry) error {
	var errs failures
	if want.hold && !is.hold {
		hold := r.route(dst, metricHold)
		hold.Type = unix.RTN_UNREACHABLE
		err := r.install(hold, false)
		is.hold = err == nil
		errs.add(routeError("unreachable route", dst, err))
	}
	if is.lead != want.lead {
		err := r.replace(dst, is.lead, want.lead)
		if err == nil {
			is.lead = want.lead
		}
		errs.add(err)
	}
	if is.hold && !want.hold {
		err := r.remove(dst, metricHold)
		is.hold = err != nil
		errs.add(err)
	}
	if is == (entry{}) {
		delete(r.is, dst)
	} else {
		r.is[dst] = is
	}
	return errs.err()
}

// replace makes l the route that leads to a destination, instead of the one that is.
func (r *Routes) replace(dst netip.Prefix, is, l lead) error {
	if l == (lead{}) {
		return r.remove(dst, metricLead)
	}
	route := r.route(dst, metricLead)
	switch {
	case l.throw:
		route.Type = unix.RTN_THROW
	case l.next.IsValid():
		// We know that it is on the link; our table, which the kernel would ask, does not.
		route.LinkIndex, route.Gw, route.Flags = l.link, l.next.AsSlice(), int(netlink.FLAG_ONLINK)
	default:
		route.LinkIndex, route.Scope = l.link, netlink.SCOPE_LINK
	}
	if l.src.IsValid() {
		route.Src = l.src.AsSlice()
	}
	err := r.install(route, is != lead{})
	if errors.Is(err, unix.EINVAL) && l.src.IsValid() {
		// The address is gone since we looked. Packets must not be held up by that.
		route.Src = nil
		r.seen |= everything
		err = r.install(route, is != lead{})
	}
	return routeError("route", dst, err)
}

// install sets a route. It takes the place of another of the same metric only when
// that is ours.
func (r *Routes) install(route *netlink.Route, instead bool) error {
	defer r.note()
	if instead {
		return r.requests.RouteReplace(route)
	}
	err := r.requests.RouteAdd(route)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("another program has one in table %d with metric %d: %w", route.Table, route.Priority, err)
	}
	return err
}

// remove removes one of the routes to a destination.
func (r *Routes) remove(dst netip.Prefix, metric int) error {
	route := r.route(dst, metric)
	route.Scope = anyScope
	err := r.requests.RouteDel(route)
	r.note()
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
