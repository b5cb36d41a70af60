//go:build linux

package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// plan is what our table shall have. Of several routes to a destination the first
// counts that leads somewhere now; the source is from the first that leads there and
// has an address of this host.
func (r *Routes) plan(routes []Route) (table, error) {
	want := make(table, len(routes))
	var errs failures
	for i := range routes {
		if !routes[i].Dst.IsValid() {
			continue
		}
		dst := routes[i].Dst.Masked()
		if !slices.Contains(r.families, familyOf(dst.Addr())) {
			continue
		}
		e, ok, err := r.entryFor(dst, &routes[i])
		errs.add(err)
		if ok {
			want.merge(dst, e)
		}
	}
	r.sparePeers(want, routes)
	return want, errs.err()
}

// merge adds what one more route to a destination asks for.
func (t table) merge(dst netip.Prefix, e entry) {
	is, found := t[dst]
	switch {
	case !found, is.lead == lead{}:
		t[dst] = e
	case !is.lead.src.IsValid() && is.lead.sameWay(e.lead):
		is.lead.src = e.lead.src
		t[dst] = is
	}
}

// entryFor is what a route asks for; not ok: nothing, since there is no way now.
func (r *Routes) entryFor(dst netip.Prefix, route *Route) (e entry, ok bool, err error) {
	switch {
	case route.Bypass:
		return entry{lead: lead{throw: true}}, true, nil
	case route.Via.IsValid():
		w := r.wayTo(route.Via)
		e.lead = w.lead(dst)
		e.lead.src = sourceIn(r.own, route.Local, dst)
		return e, w.link != 0, nil
	}
	name := route.Device
	if name == "" {
		name = r.opts.Device
	}
	e.hold = true
	link, err := r.device(name)
	if err != nil {
		return e, true, routeError("route", dst, err)
	}
	e.lead = lead{link: link, src: sourceIn(r.own, route.Local, dst)}
	return e, true, nil
}

// device is the index of a tunnel device.
func (r *Routes) device(name string) (int, error) {
	index, known := r.devices[name]
	if !known && name != "" {
		link, err := r.requests.LinkByName(name)
		if err == nil {
			index = link.Attrs().Index
		} else if _, none := errors.AsType[netlink.LinkNotFoundError](err); !none {
			return 0, fmt.Errorf("tunnel device %s: %w", name, err)
		}
		r.devices[name] = index
	}
	switch {
	case name == "":
		return 0, errors.New("no tunnel device is named")
	case index == 0:
		return 0, fmt.Errorf("there is no tunnel device %s", name)
	}
	return index, nil
}

// way is how packets leave for an address.
type way struct {
	link int        // 0: there is none
	next netip.Addr // the next hop, the address itself when it is on the link
}

// wayTo finds the way to a peer, which stays until there is news.
func (r *Routes) wayTo(to netip.Addr) way {
	w, known := r.ways[to]
	if !known {
		w = r.lookUp(to)
		r.ways[to] = w
	}
	return w
}

func (r *Routes) lookUp(to netip.Addr) way {
	found, err := r.requests.RouteGetWithOptions(to.Unmap().AsSlice(), lookupOptions(to, r.opts.Mark))
	if err != nil || len(found) == 0 || found[0].Type != unix.RTN_UNICAST {
		return way{}
	}
	w := way{link: found[0].LinkIndex}
	next, ok := netip.AddrFromSlice(found[0].Gw)
	switch {
	case ok:
		w.next = next.Unmap()
	case found[0].Via == nil: // else the next hop is of the other family
		w.next = to.Unmap().WithZone("")
	}
	return w
}

// lookupOptions are those of a packet with a mark to an address.
func lookupOptions(to netip.Addr, mark uint32) *netlink.RouteGetOptions {
	o := &netlink.RouteGetOptions{Mark: mark}
	if index, err := strconv.Atoi(to.Zone()); err == nil {
		o.OifIndex = index
	} else {
		o.Oif = to.Zone()
	}
	return o
}

// lead is the route by which packets to dst leave that way. Where the next hop is of
// the other family there is none: it matters little, as what is protected is sent on
// from there as ESP, by its own route.
func (w way) lead(dst netip.Prefix) lead {
	l := lead{link: w.link}
	if w.next.IsValid() && w.next.Is4() == dst.Addr().Is4() && w.next != dst.Addr() {
		l.next = w.next
	}
	return l
}

// sparePeers keeps the way to the peers free: what the kernel has protected has no
// mark, and must not be caught by a route that covers the peer.
func (r *Routes) sparePeers(want table, routes []Route) {
	bits := want.lengths()
	for i := range routes {
		peer := routes[i].Via.Unmap().WithZone("")
		if routes[i].Bypass || !peer.IsValid() || !slices.Contains(r.families, familyOf(peer)) {
			continue
		}
		host := netip.PrefixFrom(peer, peer.BitLen())
		covering, found := want.covering(peer, bits[peer.Is4()])
		// A route to the peer alone is asked for, and goes the way to it anyhow.
		if found && covering != host && !want[covering].lead.throw {
			want[host] = entry{lead: lead{throw: true}}
		}
	}
}

// lengths is which lengths the prefixes have, the longest first, of IPv4 (true) and
// IPv6.
func (t table) lengths() map[bool][]int {
	var has [2][129]bool
	for dst := range t {
		if dst.Addr().Is4() {
			has[1][dst.Bits()] = true
		} else {
			has[0][dst.Bits()] = true
		}
	}
	bits := make(map[bool][]int)
	for n := 128; n >= 0; n-- {
		if has[0][n] {
			bits[false] = append(bits[false], n)
		}
		if has[1][n] {
			bits[true] = append(bits[true], n)
		}
	}
	return bits
}

// covering is the most specific destination with an address in it.
func (t table) covering(a netip.Addr, bits []int) (netip.Prefix, bool) {
	for _, n := range bits {
		if dst, err := a.Prefix(n); err == nil {
			if _, found := t[dst]; found {
				return dst, true
			}
		}
	}
	return netip.Prefix{}, false
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
