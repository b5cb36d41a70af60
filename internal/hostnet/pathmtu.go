package hostnet

import (
	"net/netip"

	"github.com/vishvananda/netlink"
)

// defaultMTU stands for what cannot be found out.
const defaultMTU = 1500

// PathMTU is the MTU of the route by which a packet with a mark leaves for an
// address, or of the link that it leaves by: 1500 when there is none.
func PathMTU(to netip.Addr, mark uint32) int {
	routes, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{Mark: mark})
	if err != nil || len(routes) == 0 {
		return defaultMTU
	}
	if routes[0].MTU > 0 {
		return routes[0].MTU
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil || link.Attrs().MTU <= 0 {
		return defaultMTU
	}
	return link.Attrs().MTU
}
