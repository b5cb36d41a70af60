//go:build linux

package hostnet

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Snapshot is what a host's network is at a time. Interfaces that were excluded, and
// tunnel interfaces of ours, are left out.
type Snapshot struct {
	// Own are the addresses of this host that may be a source: those of interfaces that
	// are up and no tunnels of IPsec, none of loopback, of a link alone, or that are not
	// usable yet. Permanent ones come first.
	Own []netip.Addr
	// Attached are the networks that interfaces which are up reach without a router:
	// those of their addresses that the main table has a route to. Networks of loopback,
	// of a link alone, and single hosts are none. They are sorted and distinct.
	Attached []netip.Prefix
}

// Look looks at the host's network, without the interfaces that exclude names.
func Look(exclude ...string) (Snapshot, error) {
	l, err := newLooker(exclude)
	if err != nil {
		return Snapshot{}, err
	}
	defer l.close()
	return l.look()
}

// InterfaceOf is the index of the interface that has a local address, 0 when it is
// not known.
func InterfaceOf(local netip.Addr) int {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return 0
	}
	zone := 0
	if z := local.Zone(); z != "" {
		if zone = indexOf(z); zone == 0 {
			return 0
		}
	}
	local = local.Unmap().WithZone("")
	for _, a := range list {
		if a.IPNet != nil && addrOf(a.IP) == local && (zone == 0 || a.LinkIndex == zone) {
			return a.LinkIndex
		}
	}
	return 0
}

// indexOf is the index of the interface of a zone, which is its name or index.
func indexOf(zone string) int {
	if i, err := strconv.Atoi(zone); err == nil {
		return i
	}
	link, err := netlink.LinkByName(zone)
	if err != nil {
		return 0
	}
	return link.Attrs().Index
}

// looker makes snapshots.
type looker struct {
	exclude []string
	handle  *netlink.Handle
}

func newLooker(exclude []string) (*looker, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("the kernel's routing (netlink) cannot be reached: %w", err)
	}
	// With this, from Linux 4.20 on, the kernel sends only the routes asked for.
	_ = h.SetStrictCheck(true)
	return &looker{exclude, h}, nil
}

func (l *looker) close() { l.handle.Close() }

func (l *looker) look() (Snapshot, error) {
	var ifs []netlink.Link
	var addrs []netlink.Addr
	err := whole(func() (err error) {
		if ifs, err = l.handle.LinkList(); err == nil {
			addrs, err = l.handle.AddrList(nil, netlink.FAMILY_ALL)
		}
		return err
	})
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading the interfaces and addresses of this host: %w", err)
	}
	up, tunnel := make(map[int]bool), make(map[int]bool) // by index; those that count
	for _, i := range ifs {
		if a := i.Attrs(); !slices.Contains(l.exclude, a.Name) && !isTunnel(i) {
			up[a.Index], tunnel[a.Index] = a.Flags&net.FlagUp != 0, tunnelKind(i)
		}
	}
	addrs = slices.DeleteFunc(addrs, func(a netlink.Addr) bool { return !up[a.LinkIndex] })
	s := Snapshot{Own: sources(slices.DeleteFunc(slices.Clone(addrs), func(a netlink.Addr) bool { return tunnel[a.LinkIndex] }))}
	s.Attached, err = l.attached(addrs)
	return s, err
}

// network is a network on an interface.
type network struct {
	prefix netip.Prefix
	link   int
}

// networkOf is the network of an address, invalid when it is none of interest.
func networkOf(a *netlink.Addr) (n network) {
	of := a.IPNet
	if a.Peer != nil { // whose prefix it is
		of = a.Peer
	}
	if of == nil {
		return n
	}
	ones, _ := of.Mask.Size()
	p := netip.PrefixFrom(addrOf(of.IP), ones).Masked()
	if !p.IsValid() || p.IsSingleIP() || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() || ones == 0 {
		return n
	}
	return network{p, a.LinkIndex}
}

// attachers are who makes routes to attached networks: the kernel for nearly all, and
// programs for addresses that the kernel was told to make none for.
var attachers = []netlink.RouteProtocol{
	unix.RTPROT_KERNEL, unix.RTPROT_RA, unix.RTPROT_DHCP, unix.RTPROT_STATIC, unix.RTPROT_BOOT,
}

// attached is which networks of addresses have a route. It does not read whole tables,
// which may be large.
func (l *looker) attached(addrs []netlink.Addr) ([]netip.Prefix, error) {
	missing := make(map[network]bool)
	for i := range addrs {
		if n := networkOf(&addrs[i]); n.prefix.IsValid() {
			missing[n] = true
		}
	}
	var attached []netip.Prefix
	for _, by := range attachers {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			if !lacks(missing, family) {
				continue
			}
			found, err := l.direct(family, by)
			if err != nil {
				return nil, err
			}
			for _, n := range found {
				if missing[n] {
					attached = append(attached, n.prefix)
					delete(missing, n)
				}
			}
		}
	}
	slices.SortFunc(attached, netip.Prefix.Compare)
	return slices.Compact(attached), nil
}

func lacks(missing map[network]bool, family int) bool {
	for n := range missing {
		if familyOf(n.prefix.Addr()) == family {
			return true
		}
	}
	return false
}

// direct is the routes without a router in the main table.
func (l *looker) direct(family int, by netlink.RouteProtocol) (found []network, err error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: by}
	var routes []netlink.Route
	err = whole(func() (err error) {
		routes, err = l.handle.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
		return err
	})
	if err != nil && !noFamily(err) {
		return nil, fmt.Errorf("reading the routes of this host: %w", err)
	}
	for i := range routes {
		r := &routes[i]
		if dst, ok := dstOf(family, r); ok && r.Type == unix.RTN_UNICAST && r.Gw == nil && r.Via == nil && r.LinkIndex != 0 {
			found = append(found, network{dst, r.LinkIndex})
		}
	}
	return found, nil
}
