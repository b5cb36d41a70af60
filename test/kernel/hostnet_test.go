//go:build linux

package kernel

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/test/lab"
)

// in does f in a namespace.
func in(t *testing.T, at *lab.Namespace, f func() error) {
	t.Helper()
	if err := at.Do(f); err != nil {
		t.Fatal(err)
	}
}

// openInterfaces opens the tunnel interfaces of a namespace.
func openInterfaces(t *testing.T, at *lab.Namespace) *hostnet.Interfaces {
	t.Helper()
	var s *hostnet.Interfaces
	in(t, at, func() (err error) {
		s, err = hostnet.OpenInterfaces(t.Context(), hostnet.InterfaceOptions{})
		return err
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func setInterfaces(t *testing.T, s *hostnet.Interfaces, list ...hostnet.Interface) {
	t.Helper()
	if err := s.Set(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// openRoutes opens the routes of a namespace, with no device of their own.
func openRoutes(t *testing.T, at *lab.Namespace, list ...hostnet.Route) *hostnet.Routes {
	t.Helper()
	var r *hostnet.Routes
	in(t, at, func() (err error) {
		r, err = hostnet.Open(t.Context(), hostnet.Options{Mark: 0x4711})
		return err
	})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Set(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return r
}

// settled is what is in a gateway when the kernel has made the routes of the addresses
// of its links, which takes a moment.
func settled(t *testing.T, at *lab.Namespace) string {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		text := run(t, at, "ip", "-6", "route", "show", "table", "all")
		for _, link := range []string{"inner", "outer"} {
			for _, route := range []string{"\nfe80::/64 dev ", "\nanycast fe80:: dev "} {
				if !strings.Contains(text, route+link) {
					return errors.New("no" + route + link)
				}
			}
		}
		if strings.Count(text, "\nlocal fe80:") < 2 {
			return errors.New("no link-local addresses")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return owned(t, at)
}

// shown is how an interface is shown, in one line.
func shown(t *testing.T, at *lab.Namespace, name string) string {
	t.Helper()
	return run(t, at, "ip", "-o", "-d", "link", "show", name) + run(t, at, "ip", "-o", "addr", "show", name)
}

// wantShown asserts what an interface is, and returns the beginning: its index.
func wantShown(t *testing.T, at *lab.Namespace, name string, parts ...string) string {
	t.Helper()
	text := shown(t, at, name)
	for _, p := range parts {
		if not, is := strings.CutPrefix(p, "no "); strings.Contains(text, not) == is {
			t.Errorf("%s: want %q in\n%s", name, p, text)
		}
	}
	index, _, _ := strings.Cut(text, ":")
	return index
}

var tunnelInterfaces = []hostnet.Interface{
	{Name: "ipsec7", ID: 7, MTU: 1400, Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.7.1/24"), netip.MustParsePrefix("fd09:7::1/64")}},
	{Name: "ipsec8", ID: 8, Parent: "outer"},
	{Name: "vti9", Kind: hostnet.VTI, ID: 9, MTU: 1380, Local: lab.OuterA4, Remote: lab.OuterB4},
	{Name: "vti10", Kind: hostnet.VTI, ID: 10, Parent: "outer", Remote: lab.OuterB6},
	{Name: "vti11", Kind: hostnet.VTI, ID: 11, Local: lab.OuterA4},
}

func TestTunnelInterfaces(t *testing.T) {
	w := newWorld(t)
	// The modules make interfaces of their own when they are loaded.
	for _, args := range []string{"type vti local 127.0.0.1 key 99", "type vti6 local ::1 key 99", "type xfrm if_id 99"} {
		run(t, w.A, append([]string{"ip", "link", "add", "load"}, strings.Fields(args)...)...)
		run(t, w.A, "ip", "link", "del", "load")
	}
	run(t, w.A, "ip", "link", "add", "foreign", "type", "xfrm", "if_id", "77")
	before := settled(t, w.A)
	s := openInterfaces(t, w.A)
	list := slices.Clone(tunnelInterfaces)
	setInterfaces(t, s, list...)
	index := wantShown(t, w.A, "ipsec7", "mtu 1400", "xfrm if_id 0x7", "alias goike tunnel", ",UP", "inet 10.9.7.1/24", "inet6 fd09:7::1/64", "no fe80:")
	wantShown(t, w.A, "ipsec8", "ipsec8@outer", "xfrm if_id 0x8", ",UP")
	wantShown(t, w.A, "vti9", "mtu 1380", "vti remote 198.51.100.2 local 192.0.2.2", "ikey 0.0.0.9 okey 0.0.0.9", ",UP")
	wantShown(t, w.A, "vti10", "vti10@outer", "vti6 remote 2001:db8:b::2 local any", ",UP")
	wantShown(t, w.A, "vti11", "vti remote any local 192.0.2.2", "ikey 0.0.0.11", ",UP")

	// The same again changes nothing, neither does a successor after a crash.
	is := owned(t, w.A)
	setInterfaces(t, s, list...)
	next := openInterfaces(t, w.A)
	setInterfaces(t, next, list...)
	if now := owned(t, w.A); now != is {
		t.Errorf("setting the same again changed %s", difference(is, now))
	}
	// MTU and addresses change in place.
	list[0].MTU, list[0].Addresses = 1300, list[0].Addresses[1:]
	setInterfaces(t, next, list[0], list[2])
	if now := wantShown(t, w.A, "ipsec7", "mtu 1300", "no inet 10.9.7.1", "inet6 fd09:7::1/64"); now != index {
		t.Errorf("interface %s was made anew", index)
	}
	if text := run(t, w.A, "ip", "link"); strings.Contains(text, "ipsec8") || strings.Contains(text, "vti10") || strings.Contains(text, "vti11") {
		t.Errorf("not removed: %s", text)
	}
	// What is of others.
	for _, tc := range []struct {
		f    hostnet.Interface
		want string
	}{
		{hostnet.Interface{Name: "foreign", ID: 77}, "interface foreign is there already, and not ours (kind xfrm)"},
		{hostnet.Interface{Name: "inner", ID: 1}, "interface inner is there already, and not ours (kind veth)"},
		{hostnet.Interface{Name: "ipsec9", ID: 77}, "interface ipsec9: another XFRM interface has the same ID 77: file exists"},
	} {
		if err := next.Set(t.Context(), []hostnet.Interface{tc.f}); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	unchanged(t, w.A, before)
}

// Attached networks are not those of tunnel interfaces.
func TestTunnelInterfacesAreNotAttached(t *testing.T) {
	w := newWorld(t)
	look := func() (s hostnet.Snapshot) {
		in(t, w.A, func() (err error) {
			s, err = hostnet.Look()
			return err
		})
		return s
	}
	before := look()
	s := openInterfaces(t, w.A)
	setInterfaces(t, s, tunnelInterfaces[0])
	if now := look(); !slices.Equal(now.Attached, before.Attached) || !slices.Equal(now.Own, before.Own) {
		t.Errorf("with a tunnel interface there is %v, without %v", now, before)
	}
	// Nor are the addresses of others' such interfaces any to speak IKE from.
	run(t, w.A, "ip", "link", "add", "foreign", "type", "xfrm", "dev", "lo", "if_id", "77")
	run(t, w.A, "ip", "addr", "add", "10.77.0.1/24", "dev", "foreign")
	run(t, w.A, "ip", "link", "set", "foreign", "up")
	if now := look(); !slices.Equal(now.Own, before.Own) {
		t.Errorf("with a foreign tunnel interface the addresses are %v, without %v", now.Own, before.Own)
	}
}

// protect puts in SAs and policies by hand.
func protect(t *testing.T, at *lab.Namespace, outer, peer netip.Addr, local, remote, out, in string, more ...string) {
	t.Helper()
	ip := func(args ...string) { run(t, at, append(append([]string{"ip", "xfrm"}, args...), more...)...) }
	for _, sa := range [][3]string{{outer.String(), peer.String(), out}, {peer.String(), outer.String(), in}} {
		ip("state", "add", "src", sa[0], "dst", sa[1], "proto", "esp", "spi", sa[2],
			"reqid", "1", "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x"+strings.Repeat(sa[2][4:], 20), "128")
	}
	for _, dir := range []string{"out", "in", "fwd"} {
		src, dst, from, to := local, remote, outer, peer
		if dir != "out" {
			src, dst, from, to = dst, src, to, from
		}
		args := []string{"policy", "add", "src", src, "dst", dst, "dir", dir, "priority", "100"}
		if len(more) > 0 { // if_id, which is before the template
			args = append(args, more...)
		}
		args = append(args, "tmpl", "src", from.String(), "dst", to.String(), "proto", "esp", "reqid", "1", "mode", "tunnel")
		run(t, at, append([]string{"ip", "xfrm"}, args...)...)
	}
}

// pingHostB sends a packet of the gateway itself, whose source the routes choose.
func pingHostB(t *testing.T, w *world) {
	t.Helper()
	if out := run(t, w.A, "ping", "-c", "1", "-W", "10", lab.HostB4.String()); !strings.Contains(out, "1 received") {
		t.Error(out)
	}
}

// A tunnel for everything, by routes on the way to the peer: ESP is not caught by the
// route that covers the peer, and the gateway's own packets are of the tunnel.
func TestRoutesViaPeer(t *testing.T) {
	w := newWorld(t)
	beforeA, beforeB := settled(t, w.A), settled(t, w.B)
	protect(t, w.A, lab.OuterA4, lab.OuterB4, lab.NetA4.String(), "0.0.0.0/0", "0x1001", "0x1002")
	protect(t, w.B, lab.OuterB4, lab.OuterA4, "0.0.0.0/0", lab.NetA4.String(), "0x1002", "0x1001")
	// What the gateway has to say to its hosts is not for the tunnel, either.
	for _, dir := range []string{"out", "in", "fwd"} {
		run(t, w.A, "ip", "xfrm", "policy", "add", "src", lab.NetA4.String(), "dst", lab.NetA4.String(), "dir", dir, "priority", "1")
	}
	a := openRoutes(t, w.A, hostnet.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Local: lab.NetA4, Via: lab.OuterB4},
		hostnet.Route{Dst: lab.NetA4, Bypass: true})
	b := openRoutes(t, w.B, hostnet.Route{Dst: lab.NetA4, Local: lab.NetB4, Via: lab.OuterA4})
	must(t, w.hosts4())
	pingHostB(t, w)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	flush(t, w)
	unchanged(t, w.A, beforeA)
	unchanged(t, w.B, beforeB)
}

// The same through an XFRM interface.
func TestRoutesIntoXFRMInterface(t *testing.T) {
	w := newWorld(t)
	beforeA := settled(t, w.A)
	s := openInterfaces(t, w.A)
	setInterfaces(t, s, hostnet.Interface{Name: "ipsec7", ID: 7, MTU: 1400})
	protect(t, w.A, lab.OuterA4, lab.OuterB4, lab.NetA4.String(), "0.0.0.0/0", "0x1001", "0x1002", "if_id", "7")
	protect(t, w.B, lab.OuterB4, lab.OuterA4, "0.0.0.0/0", lab.NetA4.String(), "0x1002", "0x1001")
	a := openRoutes(t, w.A, hostnet.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Local: lab.NetA4, Device: "ipsec7"},
		hostnet.Route{Dst: lab.NetA4, Bypass: true},
		hostnet.Route{Dst: netip.PrefixFrom(lab.OuterB4, 32), Bypass: true})
	must(t, w.hosts4())
	pingHostB(t, w)
	// Without the interface nothing leaves, which the wire shows.
	setInterfaces(t, s)
	if err := w.HostA.PingOnce(lab.HostA4, lab.HostB4); err == nil {
		t.Error("a packet passes without the tunnel interface")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	flush(t, w)
	unchanged(t, w.A, beforeA)
}

// flush takes away what protect has put in.
func flush(t *testing.T, w *world) {
	t.Helper()
	for _, at := range []*lab.Namespace{w.A, w.B} {
		run(t, at, "ip", "xfrm", "state", "flush")
		run(t, at, "ip", "xfrm", "policy", "flush")
	}
}
