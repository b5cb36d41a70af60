//go:build linux

package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newName is the name of an interface that is being made. Only with its alias, which
// is what tells whose it is, it gets its own: one of another name is never in doubt.
const newName = "goike-new"

// isTunnel tells whether an interface is a tunnel interface of this program.
func isTunnel(l netlink.Link) bool {
	return tunnelKind(l) && (strings.HasPrefix(l.Attrs().Alias, DefaultAlias) || l.Attrs().Name == newName)
}

func tunnelKind(l netlink.Link) bool {
	switch l.Type() {
	case "xfrm", "vti", "vti6":
		return true
	}
	return false
}

// isOurs tells whether an interface is of this instance, or was left half made.
func (s *Interfaces) isOurs(l netlink.Link) bool {
	a := l.Attrs()
	return tunnelKind(l) && (a.Alias == s.alias || a.Name == newName && a.Alias == "")
}

// set makes list the interfaces that are ours. Those that are not wanted, or not as
// they are, go first: the kernel allows an ID only once.
func (s *Interfaces) set(ctx context.Context, list []Interface) error {
	there, err := s.look()
	if err != nil {
		return err
	}
	var errs failures
	wanted := make(map[string]bool, len(list))
	for i := range list {
		f := &list[i]
		wanted[f.Name] = true
		if l := there.links[f.Name]; l != nil && s.isOurs(l) && !there.same(f, l) {
			errs.add(s.drop(there, l))
		}
	}
	for name, l := range there.links {
		if s.isOurs(l) && !wanted[name] {
			errs.add(s.drop(there, l))
		}
	}
	for i := range list {
		if ctx.Err() != nil {
			break
		}
		errs.add(s.put(there, &list[i]))
	}
	errs.add(ctx.Err())
	return errs.err()
}

// presence is which interfaces and addresses there are.
type presence struct {
	links map[string]netlink.Link
	addrs map[int][]netlink.Addr // by index
}

func (s *Interfaces) look() (*presence, error) {
	var links []netlink.Link
	var addrs []netlink.Addr
	err := whole(func() (err error) {
		if links, err = s.kernel.LinkList(); err == nil {
			addrs, err = s.kernel.AddrList(nil, netlink.FAMILY_ALL)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the interfaces of this host: %w", err)
	}
	p := &presence{make(map[string]netlink.Link, len(links)), make(map[int][]netlink.Addr)}
	for _, l := range links {
		p.links[l.Attrs().Name] = l
	}
	for _, a := range addrs {
		p.addrs[a.LinkIndex] = append(p.addrs[a.LinkIndex], a)
	}
	return p, nil
}

// same tells whether an interface is the one wanted, but for what can be changed.
func (p *presence) same(f *Interface, l netlink.Link) bool {
	parent := 0
	if f.Parent != "" {
		if on := p.links[f.Parent]; on != nil {
			parent = on.Attrs().Index
		}
	}
	switch l := l.(type) {
	case *netlink.Xfrmi:
		return f.Kind == XFRM && l.Ifid == f.ID && l.ParentIndex == parent
	case *netlink.Vti:
		local, remote := f.ends()
		return f.Kind == VTI && l.IKey == f.ID && l.OKey == f.ID && l.ParentIndex == parent &&
			sameEnd(l.Local, local) && sameEnd(l.Remote, remote)
	}
	return false
}

// sameEnd compares an address with one that was read, which is missing for any.
func sameEnd(is net.IP, want netip.Addr) bool {
	a := addrOf(is)
	return a == want || !a.IsValid() && want.IsUnspecified()
}

// ends are the outer addresses of a VTI, unspecified for any.
func (f *Interface) ends() (local, remote netip.Addr) {
	local, remote = f.Local.Unmap(), f.Remote.Unmap()
	unspecified := netip.IPv4Unspecified()
	if local.Is6() || remote.Is6() {
		unspecified = netip.IPv6Unspecified()
	}
	if !local.IsValid() {
		local = unspecified
	}
	if !remote.IsValid() {
		remote = unspecified
	}
	return local, remote
}

// drop removes an interface of ours.
func (s *Interfaces) drop(there *presence, l netlink.Link) error {
	a := l.Attrs()
	if err := s.kernel.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing interface %s: %w", a.Name, err)
	}
	delete(there.links, a.Name)
	delete(s.given, a.Name)
	return nil
}

// put makes an interface what it shall be.
func (s *Interfaces) put(there *presence, f *Interface) error {
	l := there.links[f.Name]
	switch {
	case l == nil:
		var err error
		if l, err = s.make(there, f); err != nil {
			return err
		}
	case !s.isOurs(l):
		return fmt.Errorf("interface %s is there already, and not ours (kind %s)", f.Name, l.Type())
	case !there.same(f, l):
		return nil // it could not be removed
	}
	var errs failures
	if f.MTU != 0 && l.Attrs().MTU != f.MTU {
		if err := s.kernel.LinkSetMTU(l, f.MTU); err != nil {
			errs.add(fmt.Errorf("interface %s: MTU %d: %w", f.Name, f.MTU, err))
		}
	}
	errs.add(s.address(there, f, l))
	if l.Attrs().Flags&net.FlagUp == 0 {
		if err := s.kernel.LinkSetUp(l); err != nil {
			errs.add(fmt.Errorf("interface %s: bringing it up: %w", f.Name, err))
		}
	}
	return errs.err()
}

// make makes an interface, which is down. It leaves none that is not known as ours.
func (s *Interfaces) make(there *presence, f *Interface) (netlink.Link, error) {
	l, err := f.link(there)
	if err != nil {
		return nil, err
	}
	if err := s.kernel.LinkAdd(l); err != nil {
		return nil, cannotMake(f, err)
	}
	made, err := s.kernel.LinkByName(newName)
	if err == nil {
		err = s.kernel.LinkSetAlias(made, s.alias)
	}
	if err == nil {
		// The kernel would send router solicitations and reports into the tunnel.
		if err = s.kernel.LinkSetIP6AddrGenMode(made, genModeNone); noFamily(err) {
			err = nil // there is no IPv6
		}
	}
	if err == nil {
		err = s.kernel.LinkSetName(made, f.Name)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("interface %s: %w", f.Name, err), s.kernel.LinkDel(l))
	}
	made.Attrs().Name = f.Name
	there.links[f.Name] = made
	return made, nil
}

// genModeNone is IN6_ADDR_GEN_MODE_NONE: no address of the link alone.
const genModeNone = 1

// link is what the kernel is to make.
func (f *Interface) link(there *presence) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = newName, f.MTU
	if f.Parent != "" {
		on := there.links[f.Parent]
		if on == nil {
			return nil, fmt.Errorf("interface %s: there is no interface %s that it could be on", f.Name, f.Parent)
		}
		attrs.ParentIndex = on.Attrs().Index
	}
	if f.Kind == XFRM {
		return &netlink.Xfrmi{LinkAttrs: attrs, Ifid: f.ID}, nil
	}
	local, remote := f.ends()
	vti := &netlink.Vti{LinkAttrs: attrs, IKey: f.ID, OKey: f.ID, Link: uint32(attrs.ParentIndex)}
	vti.Local, vti.Remote = local.AsSlice(), remote.AsSlice()
	vti.ParentIndex = 0
	return vti, nil
}

// address gives an interface the addresses that it lacks, and takes those that Set gave
// it before and are not wanted any more; of an interface that was left, all.
func (s *Interfaces) address(there *presence, f *Interface, l netlink.Link) error {
	want := make(map[netip.Prefix]bool, len(f.Addresses))
	for _, a := range f.Addresses {
		want[a] = true
	}
	given, known := s.given[f.Name]
	is := make(map[netip.Prefix]bool)
	var errs failures
	for _, a := range there.addrs[l.Attrs().Index] {
		p := prefixOf(&a)
		is[p] = true
		if want[p] || known && !given[p] || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		if err := s.kernel.AddrDel(l, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			errs.add(fmt.Errorf("interface %s: removing address %s: %w", f.Name, p, err))
		}
	}
	for p := range want {
		if is[p] {
			continue
		}
		if err := s.kernel.AddrReplace(l, addressOf(p)); err != nil {
			errs.add(fmt.Errorf("interface %s: address %s: %w", f.Name, p, err))
		}
	}
	s.given[f.Name] = want
	return errs.err()
}

// prefixOf is an address with the length of its network.
func prefixOf(a *netlink.Addr) netip.Prefix {
	if a.IPNet == nil {
		return netip.Prefix{}
	}
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(addrOf(a.IP), ones)
}

func addressOf(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // there is nobody to ask
	}
	return a
}
