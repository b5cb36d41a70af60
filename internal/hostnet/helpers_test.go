//go:build linux

package hostnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	device   = "tun9"
	testMark = 0x4711
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// The routes of the tests: a network behind a tunnel for each family. The host has
// an address in each local network.
var (
	route4 = Route{Dst: prefix("10.2.0.0/16"), Local: prefix("10.1.0.0/16")}
	route6 = Route{Dst: prefix("fd02::/64"), Local: prefix("fd01::/64")}
	both   = []Route{route4, route6}
)

// host is a gateway: eth0 leads to its default router, inner has the local networks.
type host struct {
	*lab.Namespace
	t   testing.TB
	tun []*os.File // the device; it goes when they are closed
}

func newHost(t testing.TB) *host {
	t.Helper()
	lab.Need(t, "ip")
	l := lab.ForTest(t)
	ns, err := l.Namespace("gateway", true)
	if err != nil {
		t.Fatal(err)
	}
	router, err := l.Namespace("router", true)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(lab.Link(ns, "eth0", router, "eth0"), lab.Link(ns, "inner", router, "eth1"),
		router.Address("eth0", "192.0.2.1/24", "2001:db8::1/64"),
		ns.Address("eth0", "192.0.2.2/24", "2001:db8::2/64"),
		ns.Address("inner", "10.1.0.1/16", "fd01::1/64"),
		ns.Default("192.0.2.1", "2001:db8::1"))
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Namespace: ns, t: t}
	t.Cleanup(h.removeDevice)
	h.makeDevice()
	h.settle()
	return h
}

// settle waits until the kernel has made the routes of its IPv6 addresses, which
// takes a moment; a router has one for the anycast address of each network, too.
func (h *host) settle() {
	h.t.Helper()
	h.do(func() error {
		for {
			addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
			if err != nil {
				return err
			}
			want := 0
			for _, a := range addrs {
				if ones, _ := a.Mask.Size(); ones < 127 {
					want++
				}
				want++
			}
			filter := &netlink.Route{Table: unix.RT_TABLE_LOCAL}
			routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, filter, netlink.RT_FILTER_TABLE)
			if err != nil {
				return err
			}
			for _, r := range routes {
				if r.Type == unix.RTN_LOCAL || r.Type == unix.RTN_ANYCAST {
					want--
				}
			}
			if want == 0 {
				return nil
			}
			if err := h.t.Context().Err(); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func (h *host) do(f func() error) {
	h.t.Helper()
	if err := h.Do(f); err != nil {
		h.t.Fatal(err)
	}
}

// makeDevice makes a tunnel device and brings it up.
func (h *host) makeDevice() {
	h.t.Helper()
	h.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = device
		tun := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_DEFAULTS, NonPersist: true, Queues: 1}
		if err := netlink.LinkAdd(tun); err != nil {
			return err
		}
		h.tun = tun.Fds
		if err := netlink.LinkSetIP6AddrGenMode(tun, 1); err != nil {
			return err
		}
		return netlink.LinkSetUp(tun)
	})
}

// removeDevice does what happens to the device of a process that is killed.
func (h *host) removeDevice() {
	h.t.Helper()
	for _, f := range h.tun {
		if err := f.Close(); err != nil {
			h.t.Error(err)
		}
	}
	h.tun = nil
}

// open opens Routes, which are closed with the test. Options are completed.
func (h *host) open(o Options) *Routes {
	h.t.Helper()
	if o.Device == "" {
		o.Device = device
	}
	if o.Mark == 0 {
		o.Mark = testMark
	}
	var r *Routes
	h.do(func() (err error) {
		r, err = Open(h.t.Context(), o)
		return err
	})
	h.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return r
}

func (h *host) set(r *Routes, routes ...Route) {
	h.t.Helper()
	h.do(func() error { return r.Set(h.t.Context(), routes) })
}

// kill does what is left of Routes when their process is killed.
func (h *host) kill(r *Routes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	h.removeDevice()
}

// way tells by which device and from which address a packet leaves, or why not.
func (h *host) way(to string, mark uint32) string {
	h.t.Helper()
	var out string
	h.do(func() error {
		routes, err := netlink.RouteGetWithOptions(netip.MustParseAddr(to).AsSlice(), &netlink.RouteGetOptions{Mark: mark})
		if err != nil {
			out = err.Error()
			return nil
		}
		link, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return err
		}
		out = fmt.Sprintf("%s from %s", link.Attrs().Name, routes[0].Src)
		return nil
	})
	return out
}

func (h *host) wantWay(to string, mark uint32, want string) {
	h.t.Helper()
	if got := h.way(to, mark); got != want {
		h.t.Errorf("packets to %s (mark %#x) leave by %s, want %s", to, mark, got, want)
	}
}

// snapshot is all rules and routes.
func (h *host) snapshot() string {
	h.t.Helper()
	var out strings.Builder
	for _, args := range []string{"ip -4 rule", "ip -6 rule", "ip -4 route show table all", "ip -6 route show table all"} {
		text, err := h.Run(h.t.Context(), strings.Fields(args)...)
		if err != nil {
			h.t.Fatal(err)
		}
		out.WriteString("# " + args + "\n" + text)
	}
	return out.String()
}

func (h *host) wantSnapshot(want string) {
	h.t.Helper()
	if got := h.snapshot(); got != want {
		h.t.Errorf("rules and routes are\n%s\nwant\n%s", got, want)
	}
}

// ip runs the program of that name.
func (h *host) ip(args string) string {
	h.t.Helper()
	out, err := h.Run(h.t.Context(), append([]string{"ip"}, strings.Fields(args)...)...)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// wantLines asserts what a command prints, line by line, whatever the order.
func (h *host) wantLines(args string, want ...string) {
	h.t.Helper()
	lines := strings.FieldsFunc(h.ip(args), func(r rune) bool { return r == '\n' })
	left := make(map[string]int)
	for _, l := range lines {
		left[strings.Join(strings.Fields(l), " ")]++
	}
	for _, w := range want {
		left[w]--
	}
	for l, n := range left {
		if n != 0 {
			h.t.Errorf("ip %s prints %q %+d times more than it should", args, l, n)
		}
	}
}
