//go:build linux

package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// fakeLinks is what a kernel with XFRM and VTI interfaces does with links, and what it
// was told.
type fakeLinks struct {
	links  []netlink.Link
	addrs  []netlink.Addr
	next   int
	log    []string
	fail   map[string]error // by the beginning of what it is told
	noIPv6 bool
}

// did notes what was asked for, and tells whether it fails.
func (k *fakeLinks) did(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	for begin, err := range k.fail {
		if strings.HasPrefix(text, begin) {
			return err
		}
	}
	k.log = append(k.log, text)
	return nil
}

func (k *fakeLinks) find(l netlink.Link) (int, error) {
	i := slices.IndexFunc(k.links, func(o netlink.Link) bool {
		return o.Attrs().Index == l.Attrs().Index || l.Attrs().Index == 0 && o.Attrs().Name == l.Attrs().Name
	})
	if i < 0 {
		return 0, unix.ENODEV
	}
	return i, nil
}

// change changes a link as it is in the kernel.
func (k *fakeLinks) change(l netlink.Link, f func(*netlink.LinkAttrs), format string, args ...any) error {
	i, err := k.find(l)
	if err == nil {
		err = k.did(format, args...)
	}
	if err == nil {
		f(k.links[i].Attrs())
	}
	return err
}

func (k *fakeLinks) LinkList() (list []netlink.Link, err error) {
	for _, l := range k.links {
		list = append(list, copyOf(l))
	}
	return list, k.fail["list"]
}

func copyOf(l netlink.Link) netlink.Link {
	switch l := l.(type) {
	case *netlink.Xfrmi:
		c := *l
		return &c
	case *netlink.Vti:
		c := *l
		return &c
	case *netlink.Dummy:
		c := *l
		return &c
	}
	panic("unknown kind")
}

func (k *fakeLinks) LinkByName(name string) (netlink.Link, error) {
	for _, l := range k.links {
		if l.Attrs().Name == name {
			return copyOf(l), nil
		}
	}
	return nil, unix.ENODEV
}

func (k *fakeLinks) LinkAdd(l netlink.Link) error {
	n := copyOf(l)
	a := n.Attrs()
	for _, o := range k.links {
		x, isX := o.(*netlink.Xfrmi)
		if y, isY := n.(*netlink.Xfrmi); o.Attrs().Name == a.Name || isX && isY && x.Ifid == y.Ifid {
			return unix.EEXIST
		}
	}
	on := a.ParentIndex
	if v, ok := n.(*netlink.Vti); ok {
		on = int(v.Link)
		a.ParentIndex = on
	}
	if err := k.did("add %s %s on %d mtu %d", n.Type(), a.Name, on, a.MTU); err != nil {
		return err
	}
	k.next++
	a.Index, a.Alias = k.next, "" // the kernel takes no alias yet
	if a.MTU == 0 {
		a.MTU = 1500
	}
	k.links = append(k.links, n)
	return nil
}

func (k *fakeLinks) LinkDel(l netlink.Link) error {
	i, err := k.find(l)
	if err != nil {
		return err
	}
	if err := k.did("del %s", k.links[i].Attrs().Name); err != nil {
		return err
	}
	k.links = slices.Delete(k.links, i, i+1)
	return nil
}

func (k *fakeLinks) LinkSetAlias(l netlink.Link, alias string) error {
	return k.change(l, func(a *netlink.LinkAttrs) { a.Alias = alias }, "alias %s", alias)
}

func (k *fakeLinks) LinkSetName(l netlink.Link, name string) error {
	return k.change(l, func(a *netlink.LinkAttrs) { a.Name = name }, "name %s", name)
}

func (k *fakeLinks) LinkSetMTU(l netlink.Link, mtu int) error {
	return k.change(l, func(a *netlink.LinkAttrs) { a.MTU = mtu }, "mtu %s %d", l.Attrs().Name, mtu)
}

func (k *fakeLinks) LinkSetIP6AddrGenMode(netlink.Link, int) error {
	if k.noIPv6 {
		return unix.EAFNOSUPPORT
	}
	return k.fail["mode"]
}

func (k *fakeLinks) LinkSetUp(l netlink.Link) error {
	return k.change(l, func(a *netlink.LinkAttrs) { a.Flags |= net.FlagUp }, "up %s", l.Attrs().Name)
}

func (k *fakeLinks) AddrList(netlink.Link, int) ([]netlink.Addr, error) {
	return slices.Clone(k.addrs), k.fail["addresses"]
}

func (k *fakeLinks) AddrReplace(l netlink.Link, a *netlink.Addr) error {
	if err := k.did("addr %s %s", l.Attrs().Name, a.IPNet); err != nil {
		return err
	}
	n := *a
	n.LinkIndex = l.Attrs().Index
	k.addrs = append(k.addrs, n)
	return nil
}

func (k *fakeLinks) AddrDel(l netlink.Link, a *netlink.Addr) error {
	if err := k.did("addr del %s %s", l.Attrs().Name, a.IPNet); err != nil {
		return err
	}
	k.addrs = slices.DeleteFunc(k.addrs, func(o netlink.Addr) bool { return o.LinkIndex == l.Attrs().Index && o.Equal(*a) })
	return nil
}

// foreign adds an interface of another program.
func (k *fakeLinks) foreign(l netlink.Link, name, alias string) {
	k.next++
	a := l.Attrs()
	a.Name, a.Alias, a.Index = name, alias, k.next
	k.links = append(k.links, l)
}

// names are the interfaces there are.
func (k *fakeLinks) names() string {
	var names []string
	for _, l := range k.links {
		names = append(names, l.Attrs().Name)
	}
	return strings.Join(names, " ")
}

// wantLog asserts what the kernel was told since this was last called.
func (k *fakeLinks) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(k.log, want) {
		t.Errorf("the kernel was told\n\t%s\nwant\n\t%s", strings.Join(k.log, "\n\t"), strings.Join(want, "\n\t"))
	}
	k.log = nil
}

func newFake() (*fakeLinks, *Interfaces) {
	k := &fakeLinks{fail: make(map[string]error)}
	k.foreign(&netlink.Dummy{}, "eth0", "")
	return k, newInterfaces(InterfaceOptions{}, k, func() {})
}

func mustSet(t *testing.T, s *Interfaces, list ...Interface) {
	t.Helper()
	if err := s.Set(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// wantError asserts that setting a list fails, and how.
func wantError(t *testing.T, s *Interfaces, want string, list ...Interface) {
	t.Helper()
	if err := s.Set(t.Context(), list); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

var (
	xfrm7 = Interface{Name: "ipsec7", ID: 7, MTU: 1400, Addresses: []netip.Prefix{prefix("10.1.9.1/24"), prefix("fd01:9::1/64")}}
	vti8  = Interface{Name: "vti8", Kind: VTI, ID: 8, Local: netip.MustParseAddr("192.0.2.2"), Remote: netip.MustParseAddr("203.0.113.9")}
)

func TestInterfacesAreMade(t *testing.T) {
	k, s := newFake()
	one := xfrm7
	one.Addresses = one.Addresses[:1]
	mustSet(t, s, one, vti8)
	k.wantLog(t, "add xfrm goike-new on 0 mtu 1400", "alias goike tunnel", "name ipsec7", "addr ipsec7 10.1.9.1/24", "up ipsec7",
		"add vti goike-new on 0 mtu 0", "alias goike tunnel", "name vti8", "up vti8")
	x, v := k.links[1].(*netlink.Xfrmi), k.links[2].(*netlink.Vti)
	if x.Ifid != 7 || v.IKey != 8 || v.OKey != 8 || v.Local.String() != "192.0.2.2" || v.Remote.String() != "203.0.113.9" {
		t.Errorf("made %+v, %+v", x, v)
	}
	mustSet(t, s, one, vti8)
	k.wantLog(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if k.names() != "eth0" {
		t.Errorf("left: %s", k.names())
	}
	if err := s.Set(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestInterfacesChange(t *testing.T) {
	k, s := newFake()
	mustSet(t, s, xfrm7, vti8)
	k.log = nil
	// In place; an address that another program has added stays.
	index := k.links[1].Attrs().Index
	admin := address("10.1.8.1/24", 0)
	admin.LinkIndex = index
	k.addrs = append(k.addrs, admin)
	f := xfrm7
	f.MTU, f.Addresses = 1300, []netip.Prefix{prefix("fd01:9::1/64"), prefix("10.1.9.2/24")}
	mustSet(t, s, f, vti8)
	k.wantLog(t, "mtu ipsec7 1300", "addr del ipsec7 10.1.9.1/24", "addr ipsec7 10.1.9.2/24")
	f.Addresses = nil
	f.MTU = 0
	mustSet(t, s, vti8, f)
	k.wantLog(t, "addr del ipsec7 fd01:9::1/64", "addr del ipsec7 10.1.9.2/24")
	if len(k.addrs) != 1 || k.links[1].Attrs().Index != index {
		t.Errorf("addresses %v", k.addrs)
	}
	// Anew: another ID, parent, address, kind. The old one of the ID goes first.
	f.ID = 9
	mustSet(t, s, f, vti8)
	k.wantLog(t, "del ipsec7", "add xfrm goike-new on 0 mtu 0", "alias goike tunnel", "name ipsec7", "up ipsec7")
	f.Parent = "eth0"
	mustSet(t, s, f, vti8)
	k.wantLog(t, "del ipsec7", "add xfrm goike-new on 1 mtu 0", "alias goike tunnel", "name ipsec7", "up ipsec7")
	f.Name = "ipsec9"
	g := vti8
	g.Remote, g.Parent = netip.Addr{}, "eth0"
	mustSet(t, s, f, g)
	k.wantLog(t, "del vti8", "del ipsec7", "add xfrm goike-new on 1 mtu 0", "alias goike tunnel", "name ipsec9", "up ipsec9",
		"add vti goike-new on 1 mtu 0", "alias goike tunnel", "name vti8", "up vti8")
	g.Local, g.Remote = netip.Addr{}, netip.MustParseAddr("2001:db8::1")
	mustSet(t, s, g)
	k.wantLog(t, "del vti8", "del ipsec9", "add vti6 goike-new on 1 mtu 0", "alias goike tunnel", "name vti8", "up vti8")
	h := Interface{Name: "vti8", ID: 8}
	mustSet(t, s, h)
	k.wantLog(t, "del vti8", "add xfrm goike-new on 0 mtu 0", "alias goike tunnel", "name vti8", "up vti8")
	// One that was removed by others is made again, one that was brought down is up again.
	k.links = k.links[:1]
	mustSet(t, s, h)
	k.wantLog(t, "add xfrm goike-new on 0 mtu 0", "alias goike tunnel", "name vti8", "up vti8")
	k.links[1].Attrs().Flags = 0
	mustSet(t, s, h)
	k.wantLog(t, "up vti8")
}

// What a killed instance has left stays until the first Set, which takes over what is
// wanted again.
func TestInterfacesAreTakenOver(t *testing.T) {
	k, killed := newFake()
	mustSet(t, killed, xfrm7, vti8, Interface{Name: "ipsec9", ID: 9})
	k.next++
	half := &netlink.Xfrmi{LinkAttrs: netlink.LinkAttrs{Name: newName, Index: k.next}, Ifid: 10}
	k.links = append(k.links, half) // it was killed while making this
	k.log = nil
	s := newInterfaces(InterfaceOptions{}, k, func() {})
	f, g := xfrm7, Interface{Name: "ipsec9", ID: 10}
	f.Addresses = f.Addresses[:1]
	mustSet(t, s, f, g)
	slices.Sort(k.log[1:3])
	k.wantLog(t, "del ipsec9", "del goike-new", "del vti8", "addr del ipsec7 fd01:9::1/64",
		"add xfrm goike-new on 0 mtu 0", "alias goike tunnel", "name ipsec9", "up ipsec9")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if k.names() != "eth0" {
		t.Errorf("left: %s", k.names())
	}
}

func TestForeignInterfacesStay(t *testing.T) {
	k, s := newFake()
	k.foreign(&netlink.Xfrmi{Ifid: 7}, "ipsec7", "")
	k.foreign(&netlink.Xfrmi{Ifid: 5}, "ipsec5", "someone's tunnel")
	k.foreign(&netlink.Dummy{}, "dummy0", DefaultAlias) // no tunnel interface
	k.foreign(&netlink.Vti{IKey: 3, OKey: 3, Local: net.IPv4zero}, "vti3", DefaultAlias+" two")
	k.foreign(&netlink.Dummy{}, newName+"x", "")
	before := k.names()
	wantError(t, s, "interface ipsec7 is there already, and not ours (kind xfrm)", xfrm7)
	wantError(t, s, "interface dummy0 is there already, and not ours (kind dummy)", Interface{Name: "dummy0", ID: 1})
	wantError(t, s, "interface vti3 is there already, and not ours (kind vti)", Interface{Name: "vti3", ID: 3, Kind: VTI, Local: vti8.Local})
	wantError(t, s, "interface ipsec6: another XFRM interface has the same ID 5: file exists", Interface{Name: "ipsec6", ID: 5})
	k.wantLog(t)
	// The others of a list are made all the same.
	wantError(t, s, "interface ipsec7 is there already, and not ours (kind xfrm)", xfrm7, vti8)
	if k.names() != before+" vti8" {
		t.Errorf("there are %s", k.names())
	}
	if err := s.Close(); err != nil || k.names() != before {
		t.Errorf("there are %s, error %v", k.names(), err)
	}
	// The instance with that alias owns what has it.
	two := newInterfaces(InterfaceOptions{Alias: "two"}, k, func() {})
	if err := two.Close(); err != nil || strings.Contains(k.names(), "vti3") || strings.Count(before, " ") != strings.Count(k.names(), " ")+1 {
		t.Errorf("there are %s, error %v", k.names(), err)
	}
}

func TestInterfacesThatFail(t *testing.T) {
	k, s := newFake()
	k.fail["add"] = unix.EOPNOTSUPP
	wantError(t, s, "interface ipsec7: this kernel has no XFRM interfaces (module xfrm_interface): operation not supported", xfrm7)
	wantError(t, s, "interface vti8: this kernel has no VTI interfaces (module ip_vti, ip6_vti): operation not supported", vti8)
	k.fail["add"] = unix.EPERM
	wantError(t, s, "interface ipsec7: operation not permitted (and 1 more failures)", xfrm7, vti8)
	delete(k.fail, "add")
	for _, step := range []string{"alias", "name", "mode"} {
		k.fail[step] = unix.ENOMEM
		wantError(t, s, "interface ipsec7: cannot allocate memory", xfrm7)
		if k.names() != "eth0" {
			t.Errorf("%s failed: there are %s", step, k.names())
		}
		delete(k.fail, step)
	}
	for _, tc := range []struct{ step, want string }{
		{"up", "interface ipsec7: bringing it up: cannot allocate memory"},
		{"addr", "interface ipsec7: address 10.1.9.1/24: cannot allocate memory"},
	} {
		k.fail[tc.step] = unix.ENOMEM
		f := xfrm7
		f.Addresses = f.Addresses[:1]
		wantError(t, s, tc.want, f)
		delete(k.fail, tc.step)
		mustSet(t, s, f)
		if k.links[1].Attrs().Flags&net.FlagUp == 0 || len(k.addrs) != 1 {
			t.Errorf("%s: not made good: %+v, %v", tc.step, k.links[1], k.addrs)
		}
		mustSet(t, s)
		k.addrs = nil
	}
	mustSet(t, s, xfrm7)
	k.fail["mtu"], k.fail["del"], k.fail["list"] = unix.EINVAL, unix.EBUSY, nil
	f := xfrm7
	f.MTU = 1200
	wantError(t, s, "interface ipsec7: MTU 1200: invalid argument", f)
	f.ID = 12
	wantError(t, s, "removing interface ipsec7: device or resource busy", f)
	k.fail["list"] = unix.ENOBUFS
	wantError(t, s, "reading the interfaces of this host: no buffer space available", f)
	clear(k.fail)
	wantError(t, s, "interface ipsec7: there is no interface eth7 that it could be on", Interface{Name: "ipsec7", ID: 3, Parent: "eth7"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Set(ctx, []Interface{xfrm7}); !errors.Is(err, context.Canceled) || k.names() != "eth0" {
		t.Errorf("got %v, there are %s", err, k.names())
	}
	k.noIPv6 = true
	mustSet(t, s, vti8)
}

func TestBadInterfaces(t *testing.T) {
	k, s := newFake()
	for _, tc := range []struct {
		list []Interface
		want string
	}{
		{[]Interface{{ID: 1}}, `interface name "": 1 to 15 letters`},
		{[]Interface{{Name: "sixteen-letters.", ID: 1}}, `interface name "sixteen-letters."`},
		{[]Interface{{Name: "a/b", ID: 1}}, `interface name "a/b"`},
		{[]Interface{{Name: "a b", ID: 1}}, `interface name "a b"`},
		{[]Interface{{Name: "..", ID: 1}}, `interface name ".."`},
		{[]Interface{{Name: "x%d", ID: 1}}, `interface name "x%d"`},
		{[]Interface{{Name: newName, ID: 1}}, `interface name "goike-new"`},
		{[]Interface{{Name: "x"}}, "interface x: an XFRM interface needs an ID other than 0"},
		{[]Interface{{Name: "x", Kind: 2, ID: 1}}, "interface x: kind 2 is not known"},
		{[]Interface{{Name: "x", ID: 1, MTU: 60}}, "interface x: MTU 60: 68 to 65535 are allowed"},
		{[]Interface{{Name: "x", ID: 1, Addresses: make([]netip.Prefix, 1)}}, "interface x: an address is not valid"},
		{[]Interface{{Name: "x", Kind: VTI, ID: 1}}, "interface x: a VTI needs a local or a remote outer address"},
		{[]Interface{vti8, {Name: "y", Kind: VTI, ID: 1, Local: vti8.Local, Remote: vti8.Remote}}, "interfaces vti8 and y have the same outer addresses"},
		{[]Interface{{Name: "x", ID: 1}, {Name: "x", ID: 2}}, "interface x is wanted twice"},
		{[]Interface{{Name: "x", ID: 1}, {Name: "y", ID: 1, Parent: "eth0"}}, "interfaces x and y have the same ID 1"},
		{[]Interface{{Name: "x", Kind: VTI, Local: netip.MustParseAddr("::1"), Remote: netip.MustParseAddr("192.0.2.1")}}, "interface x: ::1 and 192.0.2.1 are of different families"},
	} {
		if err := s.Set(t.Context(), tc.list); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	k.wantLog(t)
}

// This host's kernel either makes XFRM interfaces or says that it has none.
func TestInterfacesOfThisKernel(t *testing.T) {
	h := newHost(t)
	var s *Interfaces
	h.do(func() (err error) {
		s, err = OpenInterfaces(t.Context(), InterfaceOptions{})
		return err
	})
	before := h.snapshot() + h.ip("-br link")
	for _, f := range []Interface{xfrm7, vti8} {
		err := h.Do(func() error { return s.Set(t.Context(), []Interface{f}) })
		if err != nil && !strings.Contains(err.Error(), ": this kernel has no "+f.Kind.String()+" interfaces (module ") {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if after := h.snapshot() + h.ip("-br link"); after != before {
		t.Errorf("there is\n%s\nwant\n%s", after, before)
	}
}
