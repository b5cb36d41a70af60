//go:build linux

package hostnet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// Peers behind the default routers, and routes to networks behind them.
var (
	peer4 = netip.MustParseAddr("203.0.113.9")
	peer6 = netip.MustParseAddr("2001:db8:9::9")
	via4  = Route{Dst: prefix("10.2.0.0/16"), Local: prefix("10.1.0.0/16"), Via: peer4}
	via6  = Route{Dst: prefix("fd02::/64"), Local: prefix("fd01::/64"), Via: peer6}
)

// eventually waits until a condition holds, which it describes when it does not.
func (h *host) eventually(holds func() (string, bool)) {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, ok := holds()
		switch {
		case ok:
			return
		case time.Now().After(deadline):
			h.t.Fatal(text)
		}
	}
}

func (h *host) eventualWay(to, want string) {
	h.t.Helper()
	h.eventually(func() (string, bool) {
		got := h.way(to, 0)
		return fmt.Sprintf("packets to %s leave by %s, want %s", to, got, want), got == want
	})
}

// eventualTable waits until the table has so many lines that contain a text.
func (h *host) eventualTable(args, text string, want int) {
	h.t.Helper()
	h.eventually(func() (string, bool) {
		out := h.ip(args)
		return fmt.Sprintf("ip %s prints\n%s\nwant %d times %q", args, out, want, text), strings.Count(out, text) == want
	})
}

func (h *host) mustClose(r *Routes) {
	h.t.Helper()
	if err := r.Close(); err != nil {
		h.t.Error(err)
	}
}

func TestViaPeers(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	h.set(r, via4, via6)
	h.wantLines("-4 route show table 4500",
		"10.2.0.0/16 via 192.0.2.1 dev eth0 proto 145 src 10.1.0.1 metric 100 onlink")
	h.wantLines("-6 route show table 4500",
		"fd02::/64 via 2001:db8::1 dev eth0 proto 145 src fd01::1 metric 100 onlink pref medium")
	h.wantWay("10.2.0.9", 0, "eth0 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "eth0 from fd01::1")
	h.wantWay("10.2.0.9", testMark, "eth0 from 192.0.2.2")
	h.set(r, via4)
	h.wantLines("-6 route show table 4500")
	h.mustClose(r)
	h.wantSnapshot(before)
}

// Without a default device; peers on the link, of the other family, by the address of
// the link alone, and as hosts that are the protected network themselves.
func TestViaPeersOfAllKinds(t *testing.T) {
	h := newHost(t)
	h.removeDevice()
	before := h.snapshot()
	var r *Routes
	h.do(func() (err error) {
		r, err = Open(t.Context(), Options{Mark: testMark})
		return err
	})
	h.set(r,
		Route{Dst: prefix("10.2.0.0/16"), Via: netip.MustParseAddr("192.0.2.1")},
		Route{Dst: prefix("10.3.0.0/16"), Local: prefix("10.1.0.0/16"), Via: peer6},
		Route{Dst: prefix("192.0.2.1/32"), Local: prefix("192.0.2.2/32"), Via: netip.MustParseAddr("::ffff:192.0.2.1")},
		Route{Dst: prefix("203.0.113.9/32"), Local: prefix("10.1.0.1/32"), Via: peer4},
		Route{Dst: prefix("fd02::/64"), Local: prefix("fd01::/64"), Via: peer4},
		Route{Dst: prefix("fd03::/64"), Via: netip.MustParseAddr("fe80::9%eth0")},
		Route{Dst: prefix("2001:db8::1/128"), Via: netip.MustParseAddr("2001:db8::1")},
		Route{Dst: prefix("10.4.0.0/16"), Via: netip.MustParseAddr("192.0.2.2")},  // this host
		Route{Dst: prefix("10.5.0.0/16"), Via: netip.MustParseAddr("224.0.0.1")},  // nobody
		Route{Dst: prefix("10.6.0.0/16"), Via: netip.MustParseAddr("fe80::1%no")}, // no such interface
	)
	h.wantLines("-4 route show table 4500",
		"10.2.0.0/16 via 192.0.2.1 dev eth0 proto 145 metric 100 onlink",
		"10.3.0.0/16 dev eth0 proto 145 scope link src 10.1.0.1 metric 100",
		"192.0.2.1 dev eth0 proto 145 scope link src 192.0.2.2 metric 100",
		"203.0.113.9 via 192.0.2.1 dev eth0 proto 145 src 10.1.0.1 metric 100 onlink")
	h.wantLines("-6 route show table 4500",
		"fd02::/64 dev eth0 proto 145 src fd01::1 metric 100 pref medium",
		"fd03::/64 via fe80::9 dev eth0 proto 145 metric 100 onlink pref medium",
		"2001:db8::1 dev eth0 proto 145 metric 100 pref medium")
	h.mustClose(r)
	h.wantSnapshot(before)
}

// A route that covers peers does not catch what goes to them, at no time.
func TestPeersAreSpared(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	other := Route{Dst: prefix("10.7.0.0/16"), Local: prefix("10.1.0.0/16"), Via: netip.MustParseAddr("198.51.100.7")}
	all4 := Route{Dst: prefix("0.0.0.0/0"), Local: prefix("10.1.0.0/16"), Via: peer4}
	all6 := Route{Dst: prefix("::/0"), Local: prefix("fd01::/64"), Via: peer6}
	changes := h.watch()
	h.set(r, other, all4, all6)
	got := changes()
	for i, e := range got {
		if host := strings.HasSuffix(e.dst, "/32") || strings.HasSuffix(e.dst, "/128"); host != (i < 3) || !e.added {
			t.Errorf("change %d of %+v", i, got)
		}
	}
	h.wantLines("-4 route show table 4500",
		"default via 192.0.2.1 dev eth0 proto 145 src 10.1.0.1 metric 100 onlink",
		"10.7.0.0/16 via 192.0.2.1 dev eth0 proto 145 src 10.1.0.1 metric 100 onlink",
		"throw 203.0.113.9 proto 145 metric 100",
		"throw 198.51.100.7 proto 145 metric 100")
	h.wantWay("203.0.113.10", 0, "eth0 from 10.1.0.1")
	h.wantWay("203.0.113.9", 0, "eth0 from 192.0.2.2")
	h.wantWay("198.51.100.7", 0, "eth0 from 192.0.2.2")
	h.wantWay("2001:db8:9::9", 0, "eth0 from 2001:db8::2")
	h.wantWay("2001:db8:9::a", 0, "eth0 from fd01::1")
	changes = h.watch()
	h.set(r, other)
	got = changes()
	for i, e := range got {
		if host := strings.HasSuffix(e.dst, "/32") || strings.HasSuffix(e.dst, "/128"); host != (i >= 2) || e.added {
			t.Errorf("change %d of %+v", i, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("changes %+v", got)
	}
	h.mustClose(r)
	h.wantSnapshot(before)
}

func TestBypass(t *testing.T) {
	h := newHost(t)
	h.ip("addr add 10.5.0.1/24 dev inner")
	before := h.snapshot()
	r := h.open(Options{})
	h.set(r,
		Route{Dst: prefix("10.0.0.0/8"), Local: prefix("10.1.0.0/16")},
		Route{Dst: prefix("10.1.0.0/16"), Bypass: true},
		Route{Dst: prefix("10.5.0.0/24"), Bypass: true},
		Route{Dst: prefix("fd00::/8"), Local: prefix("fd01::/64"), Via: peer6},
		Route{Dst: prefix("fd01::/64"), Bypass: true})
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("10.1.0.9", 0, "inner from 10.1.0.1")
	h.wantWay("10.5.0.9", 0, "inner from 10.5.0.1")
	h.wantWay("10.5.1.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("fd02::9", 0, "eth0 from fd01::1")
	h.wantWay("fd01::9", 0, "inner from fd01::1")
	// From one to the other, in place.
	h.set(r, Route{Dst: prefix("10.1.0.0/16")}, Route{Dst: prefix("fd01::/64"), Via: peer6}, Route{Dst: prefix("fd03::/64")})
	h.wantWay("fd01::9", 0, "eth0 from 2001:db8::2")
	if got := h.way("10.1.0.9", 0); !strings.HasPrefix(got, "tun9 from ") {
		t.Errorf("packets leave by %s", got)
	}
	h.set(r, Route{Dst: prefix("10.1.0.0/16"), Via: peer4}, Route{Dst: prefix("fd01::/64"), Bypass: true}, Route{Dst: prefix("fd03::/64"), Bypass: true})
	h.wantLines("-4 route show table 4500", "10.1.0.0/16 via 192.0.2.1 dev eth0 proto 145 metric 100 onlink")
	h.wantLines("-6 route show table 4500",
		"throw fd01::/64 dev lo proto 145 metric 100 pref medium", "throw fd03::/64 dev lo proto 145 metric 100 pref medium")
	h.mustClose(r)
	h.wantSnapshot(before)
}

// Of several routes to one destination the first counts that leads somewhere.
func TestFirstThatLeadsSomewhere(t *testing.T) {
	h := newHost(t)
	h.ip("route add unreachable 198.51.100.0/24")
	r := h.open(Options{})
	gone := Route{Dst: via4.Dst, Via: netip.MustParseAddr("198.51.100.9")}
	h.set(r, gone, via4, route4)
	h.wantWay("10.2.0.9", 0, "eth0 from 10.1.0.1")
	h.set(r, gone, route4, via4)
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.set(r, gone, Route{Dst: via4.Dst, Bypass: true}, via4)
	h.wantLines("-4 route show table 4500", "throw 10.2.0.0/16 proto 145 metric 100")
	h.set(r, gone)
	h.wantLines("-4 route show table all proto 145")
	h.set(r, Route{Dst: via4.Dst, Via: peer4}, gone, via4)
	h.wantWay("10.2.0.9", 0, "eth0 from 10.1.0.1") // the source is of another with that way
}

func TestDevicesByName(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	inner := Route{Dst: prefix("10.3.0.0/16"), Device: "inner"}
	none := Route{Dst: prefix("10.4.0.0/16"), Device: "ipsec7"}
	err := h.Do(func() error { return r.Set(t.Context(), []Route{route4, inner, none}) })
	if err == nil || err.Error() != "route to 10.4.0.0/16: there is no tunnel device ipsec7" {
		t.Errorf("got %v", err)
	}
	h.wantWay("10.2.0.9", 0, "tun9 from 10.1.0.1")
	h.wantWay("10.3.0.9", 0, "inner from 10.1.0.1")
	h.wantWay("10.4.0.9", 0, noRouteTo)
	// It comes, and the route with it; it goes, and nothing leaks.
	h.ip("link add ipsec7 type veth peer name peer7")
	h.ip("link set ipsec7 up")
	h.ip("link set peer7 up")
	h.eventualTable("route show table 4500", "10.4.0.0/16 dev ipsec7", 1)
	h.ip("link del ipsec7")
	h.wantWay("10.4.0.9", 0, noRouteTo)
	h.mustClose(r)
	h.wantSnapshot(before)

	h.do(func() (err error) {
		r, err = Open(t.Context(), Options{Mark: testMark})
		return err
	})
	err = h.Do(func() error { return r.Set(t.Context(), []Route{route4}) })
	if err == nil || err.Error() != "route to 10.2.0.0/16: no tunnel device is named" {
		t.Errorf("got %v", err)
	}
	h.wantWay("10.2.0.9", 0, noRouteTo)
	h.mustClose(r)
	h.wantSnapshot(before)
}

func TestViaRoutesOfAKilledInstance(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	killed := h.open(Options{})
	h.set(killed, via4, via6, Route{Dst: prefix("0.0.0.0/0"), Via: peer4}, Route{Dst: prefix("10.9.0.0/16"), Bypass: true})
	killed.mu.Lock()
	killed.end()
	killed.mu.Unlock()
	left := h.snapshot()
	r := h.open(Options{})
	// It follows no change before it knows what is wanted.
	h.ip("addr add 10.1.0.7/16 dev inner")
	h.ip("addr del 10.1.0.7/16 dev inner")
	h.eventually(func() (string, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return "the change is not noticed", r.seen&addresses != 0
	})
	h.wantSnapshot(left)
	changes := h.watch()
	h.set(r, via4)
	got := changes()
	want := []string{"0.0.0.0/0", "10.9.0.0/16", "203.0.113.9/32", "fd02::/64"}
	for _, e := range got {
		if i := slices.Index(want, e.dst); i >= 0 && !e.added {
			want = slices.Delete(want, i, i+1)
		}
	}
	if len(got) != 4 || len(want) != 0 {
		t.Errorf("changes %+v", got)
	}
	h.mustClose(r)
	h.wantSnapshot(before)
}

func TestManyViaRoutes(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	const peers = 250
	list := func(but int) (list []Route) {
		for i := range 10000 {
			if i != but {
				list = append(list, Route{
					Dst: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + i>>8), byte(i), 0}), 24), Local: route4.Local,
					Via: netip.AddrFrom4([4]byte{203, 0, 113, byte(i % peers)}),
				})
			}
		}
		return list
	}
	start := time.Now()
	h.set(r, list(-1)...)
	all := time.Since(start)
	if len(r.ways) != peers {
		t.Errorf("the ways to %d addresses were looked up, %d peers", len(r.ways), peers)
	}
	mark := way{link: 77}
	r.mu.Lock()
	r.ways[netip.MustParseAddr("192.0.2.99")] = mark // goes when they are looked up anew
	r.mu.Unlock()
	changes := h.watch()
	start = time.Now()
	h.set(r, list(5000)...)
	h.set(r, list(-1)...)
	t.Logf("%d routes in %s, %s for a change of one", 10000, all, time.Since(start)/2)
	want := []event{{false, "10.119.136.0/24", false}, {true, "10.119.136.0/24", false}}
	if got := changes(); !slices.Equal(got, want) {
		t.Errorf("changes %+v, want %+v", got, want)
	}
	r.mu.Lock()
	if r.ways[netip.MustParseAddr("192.0.2.99")] != mark {
		t.Error("the ways to peers were looked up again, though nothing has changed")
	}
	r.mu.Unlock()
	h.mustClose(r)
	h.wantSnapshot(before)
}
