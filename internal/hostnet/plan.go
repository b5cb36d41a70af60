package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// plan is what has to be in the table: for every destination a route into the
// device and an unreachable one behind it.
func (r *Routes) plan(routes []Route) (map[key]netlink.Route, []error) {
	want := make(map[key]netlink.Route, 2*len(routes))
	own, err := ownAddresses()
	for _, route := range routes {
		dst := route.Dst.Masked()
		if !dst.IsValid() || !slices.Contains(r.families, familyOf(dst.Addr())) {
			continue
		}
		k := key{dst, metricDevice}
		into := r.route(dst, metricDevice)
		into.LinkIndex = r.link
		if src, ok := sourceIn(own, route.Local); ok {
			into.Src = src.AsSlice()
		}
		// Of several policies for a destination the first with an address of this host
		// gives the source.
		if old, there := want[k]; there && (old.Src != nil || into.Src == nil) {
			continue
		}
		hold := r.route(dst, metricHold)
		hold.Type = unix.RTN_UNREACHABLE
		want[k], want[key{dst, metricHold}] = into, hold
	}
	if err != nil {
		return want, []error{err}
	}
	return want, nil
}

func (r *Routes) route(dst netip.Prefix, metric int) netlink.Route {
	return netlink.Route{
		Table: r.opts.Table, Protocol: protocol, Priority: metric, Family: familyOf(dst.Addr()),
		Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())},
	}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// same tells whether a route that is set is as it is wanted.
func same(is, want netlink.Route) bool {
	return is.Table == want.Table && is.LinkIndex == want.LinkIndex && is.Src.Equal(want.Src) && is.Priority == want.Priority &&
		(is.Type == unix.RTN_UNREACHABLE) == (want.Type == unix.RTN_UNREACHABLE)
}

// ownAddresses are the addresses of this host that may be a source, in order.
func ownAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, errors.New("cannot read the addresses of this host: " + err.Error())
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			own = append(own, p.Addr().Unmap())
		}
	}
	slices.SortFunc(own, netip.Addr.Compare)
	return own, nil
}

func sourceIn(own []netip.Addr, local netip.Prefix) (netip.Addr, bool) {
	for _, a := range own {
		if local.IsValid() && local.Contains(a) && !a.IsLoopback() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
