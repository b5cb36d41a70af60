//go:build linux

package hostnet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses that cannot be a source yet, or not any more, and those that are only
// taken when there is no other. IFA_F_TEMPORARY is IFA_F_SECONDARY.
const (
	unusable = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED
	second   = unix.IFA_F_SECONDARY | unix.IFA_F_DEPRECATED
)

// ownAddresses are the addresses of this host that may be a source, the best first.
func (r *Routes) ownAddresses() ([]netip.Addr, error) {
	var list []netlink.Addr
	err := whole(func() (err error) {
		list, err = r.requests.AddrList(nil, netlink.FAMILY_ALL)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the addresses of this host: %w", err)
	}
	return sources(list), nil
}

// sources sorts addresses so that the choice between them does not depend on the
// order in which they were given.
func sources(list []netlink.Addr) []netip.Addr {
	rank := make(map[netip.Addr]int)
	var own []netip.Addr
	for _, l := range list {
		if l.IPNet == nil || l.Flags&unusable != 0 {
			continue
		}
		a := addrOf(l.IP)
		if a.IsLoopback() || !a.IsGlobalUnicast() {
			continue
		}
		own = append(own, a)
		if l.Flags&second != 0 {
			rank[a] = 1
		}
	}
	slices.SortFunc(own, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(rank[a], rank[b]), a.Compare(b)) })
	return slices.Compact(own)
}

// sourceIn is the preferred source of packets to dst: the first address in the local
// network. When any address is local the kernel chooses, as it does without a tunnel.
func sourceIn(own []netip.Addr, local, dst netip.Prefix) netip.Addr {
	if !local.IsValid() || local.Bits() == 0 || local.Addr().Is4() != dst.Addr().Is4() {
		return netip.Addr{}
	}
	for _, a := range own {
		if local.Contains(a) {
			return a
		}
	}
	return netip.Addr{}
}
