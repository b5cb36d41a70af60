//go:build linux

package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSetAndClose(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	h.wantLines("-4 rule show table 4500", "4500: not from all fwmark 0x4711 lookup 4500 proto 145")
	h.wantLines("-6 rule show table 4500", "4500: not from all fwmark 0x4711 lookup 4500 proto 145")
	h.wantWay("10.2.0.9", 0, "eth0 from 192.0.2.2")
	h.set(r, both...)
	h.wantLines("-4 route show table 4500",
		"10.2.0.0/16 dev tun9 proto 145 scope link src 10.1.0.1 metric 100",
		"unreachable 10.2.0.0/16 proto 145 metric 1073741824")
	h.wantLines("-6 route show table 4500",
		"fd02::/64 dev tun9 proto 145 src fd01::1 metric 100 pref medium",
		"unreachable fd02::/64 dev lo proto 145 metric 1073741824 pref medium")
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
	// What the daemon itself sends, and what is not protected, goes as ever.
	h.wantWay("10.2.0.9", testMark, "eth0 from 192.0.2.2")
	h.wantWay("fd02::9", testMark, "eth0 from 2001:db8::2")
	h.wantWay("10.3.0.9", 0, "eth0 from 192.0.2.2")
	h.wantWay("fd03::9", 0, "eth0 from 2001:db8::2")
	h.set(r)
	h.wantLines("route show table all proto 145")
	h.set(r, both...)
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	h.wantSnapshot(before)
	if err := r.Set(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("setting routes after the end: %v", err)
	}
}

// A tunnel for everything, and one to the peer's own address (transport mode).
func TestDefaultAndHostRoutes(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	h.set(r, Route{Dst: prefix("0.0.0.0/0"), Local: prefix("10.1.0.1/32")}, Route{Dst: prefix("::/0"), Local: prefix("::/0")})
	h.wantWay("203.0.113.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("203.0.113.9", testMark, "eth0 from 192.0.2.2")
	if got := h.way("2001:db8:9::9", 0); !strings.HasPrefix(got, "tun9 from ") {
		t.Errorf("IPv6 leaves by %s", got)
	}
	h.set(r, Route{Dst: prefix("192.0.2.1/32"), Local: prefix("192.0.2.2/32")}, Route{Dst: prefix("2001:db8::1/128"), Local: prefix("2001:db8::2/128")})
	h.wantWay("192.0.2.1", 0, "tun9 from 192.0.2.2")
	h.wantWay("192.0.2.1", testMark, "eth0 from 192.0.2.2")
	h.wantWay("2001:db8::1", 0, "tun9 from 2001:db8::2")
	h.wantWay("2001:db8::1", testMark, "eth0 from 2001:db8::2")
	h.wantWay("203.0.113.9", 0, "eth0 from 192.0.2.2")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	h.wantSnapshot(before)
}

const noRouteTo = "no route to host"

func TestNothingLeaksWhenTheDeviceIsGone(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, both...)
	h.removeDevice()
	h.wantWay("10.2.0.9", 0, noRouteTo)
	h.wantWay("fd02::9", 0, noRouteTo)
	h.wantWay("10.3.0.9", 0, "eth0 from 192.0.2.2")
	err := h.Do(func() error {
		c, err := net.Dial("udp", "10.2.0.9:9")
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("a packet into a tunnel whose device is gone: %v", err)
	}
}

func TestWhatAKilledInstanceLeftIsTakenOver(t *testing.T) {
	h := newHost(t)
	h.removeDevice()
	before := h.snapshot()
	h.makeDevice()
	killed := h.open(Options{})
	old := Route{Dst: prefix("10.9.0.0/16")}
	h.set(killed, append(slices.Clone(both), old)...)
	h.kill(killed)
	h.wantWay("10.2.0.9", 0, noRouteTo)

	h.makeDevice()
	r := h.open(Options{})
	for _, to := range []string{"10.2.0.9", "fd02::9", "10.9.0.9"} {
		h.wantWay(to, 0, noRouteTo) // until it is told what is wanted
	}
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
	h.wantWay("10.9.0.9", 0, "eth0 from 192.0.2.2")
	h.wantLines("-4 rule show table 4500", "4500: not from all fwmark 0x4711 lookup 4500 proto 145")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	h.removeDevice()
	h.wantSnapshot(before)
}

// One that never gets as far as Set takes away what was left, too, when it is closed
// in order; but not when it cannot even be opened.
func TestLeftoversOfAnInstanceWithOtherOptions(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	killed := h.open(Options{Mark: 0x99, RulePriority: 77})
	h.set(killed, both...)
	h.kill(killed)
	left := h.snapshot()
	err := h.Do(func() error {
		_, err := Open(t.Context(), Options{Device: "none", Mark: testMark})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "tunnel device none") {
		t.Errorf("got %v", err)
	}
	h.wantSnapshot(left)
	h.makeDevice()
	r := h.open(Options{})
	for _, family := range []string{"-4", "-6"} {
		h.wantLines(family+" rule show table 4500", "4500: not from all fwmark 0x4711 lookup 4500 proto 145")
	}
	h.wantWay("10.2.0.9", 0, noRouteTo)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	h.wantSnapshot(before)
}

func TestWhatIsOfOthersStays(t *testing.T) {
	h := newHost(t)
	for _, args := range []string{
		"-4 rule add priority 4500 from 10.7.0.0/16 lookup 4500",
		"-4 rule add priority 4500 from 10.7.0.0/16 lookup 4501 protocol 145",
		"-6 rule add priority 4499 fwmark 0x4711 lookup 4500",
		"-4 route add 10.2.0.0/16 via 192.0.2.1 table 4501",
		"-4 route add 10.2.0.0/16 via 192.0.2.1 proto 145",
		"-4 route add 10.8.0.0/16 via 192.0.2.1 table 4500",
		"-6 route add unreachable fd02::/64 table 4500 metric 200000",
	} {
		h.ip(args)
	}
	before := h.snapshot()
	var warnings []string
	r := h.open(Options{Warn: func(s string) { warnings = append(warnings, s) }})
	if len(warnings) != 1 || !strings.Contains(warnings[0], "table 4500 has 2 routes of other programs") {
		t.Errorf("warnings %q", warnings)
	}
	h.set(r, both...)
	h.set(r, route4)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	h.wantSnapshot(before)
}

func TestTwoInstances(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	a := h.open(Options{})
	b := h.open(Options{Table: 250, RulePriority: 4600, Mark: 0x99})
	h.set(a, route4)
	h.set(b, route6)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	h.wantWay("10.2.0.9", 0, "eth0 from 192.0.2.2")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	h.wantSnapshot(before)
}

func TestWithoutMark(t *testing.T) {
	h := newHost(t)
	var r *Routes
	h.do(func() (err error) {
		r, err = Open(t.Context(), Options{Device: device})
		return err
	})
	h.wantLines("-4 rule show table 4500", "4500: from all lookup 4500 proto 145")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadOptions(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	for _, tc := range []struct {
		o    Options
		want string
	}{
		{Options{Device: "none"}, "tunnel device none: "},
		{Options{Device: device, RulePriority: 32766}, "priority 32766 of the routing rules: 1 to 32765"},
		{Options{Device: device, RulePriority: -1}, "priority -1"},
		{Options{Device: device, Table: 254}, "routing table 254"},
		{Options{Device: device, Table: -4}, "routing table -4"},
	} {
		err := h.Do(func() error {
			_, err := Open(t.Context(), tc.o)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
	h.wantSnapshot(before)
}

func TestAddressesChange(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, both...)
	// An address that went and came back, as when the network is set up anew.
	for _, args := range []string{
		"addr del 10.1.0.1/16 dev inner", "addr add 10.1.0.1/16 dev inner",
		"addr del fd01::1/64 dev inner", "addr add fd01::1/64 dev inner nodad",
	} {
		h.ip(args)
	}
	h.settle()
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
	// Another address takes over.
	h.ip("addr add 10.1.5.5/32 dev eth0")
	h.ip("addr del 10.1.0.1/16 dev inner")
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.5.5")
	// And none.
	h.ip("addr del 10.1.5.5/32 dev eth0")
	h.set(r, both...)
	if got := h.way("10.2.0.9", 0); !strings.HasPrefix(got, "tun9 from ") {
		t.Errorf("without an address of ours packets leave by %s", got)
	}
}

// A device that is down takes no routes, what holds packets back is there all the
// same. When it is up again so are the routes.
func TestDeviceDown(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.ip("link set tun9 down")
	err := h.Do(func() error { return r.Set(t.Context(), both) })
	if !errors.Is(err, syscall.ENETDOWN) || !strings.Contains(err.Error(), "route to ") {
		t.Errorf("got %v", err)
	}
	h.wantWay("10.2.0.9", 0, noRouteTo)
	h.wantWay("fd02::9", 0, noRouteTo)
	h.ip("link set tun9 up")
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
	h.ip("link set tun9 down")
	h.ip("link set tun9 up")
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
}

// An address that is gone when its route is set holds nothing up.
func TestSourceIsGone(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	r.own = []netip.Addr{netip.MustParseAddr("10.1.9.9"), netip.MustParseAddr("fd01::99")}
	h.set(r, both...)
	for _, to := range []string{"10.2.0.9", "fd02::9"} {
		if got := h.way(to, 0); !strings.HasPrefix(got, "tun9 from ") {
			t.Errorf("packets to %s leave by %s", to, got)
		}
	}
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "tun9 from fd01::1")
}

func TestManyRoutes(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	var routes []Route
	for i := range 5000 {
		routes = append(routes, Route{Dst: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + i>>8), byte(i), 0}), 24), Local: route4.Local})
	}
	for i := range 1000 {
		a := netip.MustParseAddr("fd80::").As16()
		a[6], a[7] = byte(i>>8), byte(i)
		routes = append(routes, Route{Dst: netip.PrefixFrom(netip.AddrFrom16(a), 64), Local: route6.Local})
	}
	start := time.Now()
	h.set(r, routes...)
	all := time.Since(start)
	h.wantWay("10.119.135.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd80:0:0:3e7::9", 0, "tun9 from fd01::1")
	start = time.Now()
	for i := range 100 {
		h.set(r, routes[:len(routes)-i]...)
	}
	t.Logf("%d routes in %s, %s for a change of one", len(routes), all, time.Since(start)/100)
	if got, err := r.list(); err != nil || len(got) != len(routes)-99 {
		t.Errorf("%d routes are set, error %v", len(got), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	h.wantSnapshot(before)
}

func TestSetGivesUpWithItsContext(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Set(ctx, both); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	h.wantLines("-4 route show table all proto 145")
	h.set(r, both...)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
}
