//go:build linux

package hostnet

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// defaultMTU stands for what cannot be found out.
const defaultMTU = 1500

// PathMTU is the MTU of the path by which a packet with a mark leaves for an address:
// that of the route, if it has one or the kernel has learned one (RFC 1191, RFC 8201),
// and else that of the link. It is 1500 when there is no way.
func PathMTU(to netip.Addr, mark uint32) int {
	routes, err := netlink.RouteGetWithOptions(to.Unmap().AsSlice(), lookupOptions(to, mark))
	if err != nil || len(routes) == 0 {
		return defaultMTU
	}
	route := &routes[0]
	link, err := netlink.LinkByIndex(route.LinkIndex)
	switch {
	case err != nil || link.Attrs().MTU <= 0:
		if route.MTU > 0 {
			return route.MTU
		}
		return defaultMTU
	case route.MTU > 0:
		return min(route.MTU, link.Attrs().MTU)
	}
	return link.Attrs().MTU
}
