//go:build linux

package hostnet

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestGatewaysMove(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, via4, via6)
	h.ip("route replace default via 10.1.0.2 dev inner")
	h.ip("-6 route add default via fd01::2 dev inner metric 10")
	h.eventualTable("-4 route show table 4500", "10.2.0.0/16 via 10.1.0.2 dev inner proto 145 src 10.1.0.1", 1)
	h.eventualTable("-6 route show table 4500", "fd02::/64 via fd01::2 dev inner proto 145 src fd01::1", 1)
	// A route to the peer alone.
	h.ip("route add 203.0.113.9 via 192.0.2.77")
	h.eventualTable("-4 route show table 4500", "10.2.0.0/16 via 192.0.2.77 dev eth0", 1)
	// A rule for it.
	h.ip("rule add priority 30 to 203.0.113.9 lookup 77")
	h.ip("route add default via 192.0.2.78 table 77")
	h.eventualTable("-4 route show table 4500", "10.2.0.0/16 via 192.0.2.78 dev eth0", 1)
	h.ip("rule del priority 30")
	h.eventualTable("-4 route show table 4500", "10.2.0.0/16 via 192.0.2.77 dev eth0", 1)
}

func TestAddressesComeAndGo(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, via4, via6, Route{Dst: prefix("10.3.0.0/16"), Local: via4.Local})
	h.ip("addr del 10.1.0.1/16 dev inner")
	h.ip("addr del fd01::1/64 dev inner")
	h.eventualWay("10.2.0.9", "eth0 from 192.0.2.2")
	h.eventualWay("fd02::9", "eth0 from 2001:db8::2")
	h.ip("addr add 10.1.0.7/16 dev inner")
	h.ip("addr add fd01::7/64 dev inner nodad")
	h.eventualWay("10.2.0.9", "eth0 from 10.1.0.7")
	h.eventualWay("fd02::9", "eth0 from fd01::7")
	h.eventualWay("10.3.0.9", "tun9 from 10.1.0.7")
}

func TestLinksGoDownAndUp(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, via4, via6, Route{Dst: prefix("10.3.0.0/16"), Local: via4.Local})
	h.ip("link set eth0 down")
	h.ip("link set tun9 down")
	h.eventualTable("-4 route show table 4500", "10.2.0.0", 0)
	h.eventualTable("-6 route show table 4500", "fd02::", 0)
	h.eventualWay("10.3.0.9", noRouteTo)
	h.ip("link set eth0 up")
	h.ip("link set tun9 up")
	h.ip("addr add 2001:db8::2/64 dev eth0 nodad")
	for _, gw := range []string{"192.0.2.1", "2001:db8::1"} {
		h.ip("route add default via " + gw)
	}
	h.eventualWay("10.2.0.9", "eth0 from 10.1.0.1")
	h.eventualWay("fd02::9", "eth0 from fd01::1")
	h.eventualWay("10.3.0.9", "tun9 from 10.1.0.1")
}

// A peer that cannot be reached at first.
func TestWayComesLater(t *testing.T) {
	h := newHost(t)
	h.ip("-4 route del default")
	h.ip("-6 route del default")
	before := h.snapshot()
	r := h.open(Options{})
	h.set(r, via4, via6)
	h.wantLines("route show table all proto 145")
	h.ip("route add default via 192.0.2.1")
	h.ip("route add default via 2001:db8::1")
	h.eventualWay("10.2.0.9", "eth0 from 10.1.0.1")
	h.eventualWay("fd02::9", "eth0 from fd01::1")
	h.ip("-4 route del default")
	h.ip("-6 route del default")
	h.eventualTable("-4 route show table 4500", "10.2.0.0", 0)
	h.eventualTable("-6 route show table 4500", "fd02::", 0)
	h.mustClose(r)
	h.wantSnapshot(before)
}

// What others take away of ours comes back.
func TestWhatIsTakenAwayComesBack(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	r := h.open(Options{})
	h.ip("-6 rule del priority 4500")
	h.eventualTable("-6 rule show table 4500", "4500:", 1)
	h.set(r, via4, route6)
	is := h.snapshot()
	for _, args := range []string{
		"-4 rule del priority 4500", "-6 rule del priority 4500",
		"-4 route flush table 4500", "-6 route del unreachable fd02::/64 dev lo table 4500 metric 1073741824",
		"-4 route replace 10.2.0.0/16 via 192.0.2.55 dev eth0 table 4500 metric 100 proto 145",
	} {
		h.ip(args)
		h.eventually(func() (string, bool) {
			got := h.snapshot()
			return "after ip " + args + " there is\n" + got + "want\n" + is, got == is
		})
	}
	h.mustClose(r)
	h.wantSnapshot(before)
}

// What others have in our table stays, whatever changes.
func TestForeignRoutesWhileFollowing(t *testing.T) {
	h := newHost(t)
	for _, args := range []string{
		"-4 route add 10.8.0.0/16 via 192.0.2.1 table 4500",
		"-4 route add 10.2.0.0/16 via 192.0.2.1 table 4500 metric 50",
		"-6 route add throw fd02::/64 table 4500 metric 50",
		"-4 rule add priority 4500 from 10.7.0.0/16 lookup 4500",
	} {
		h.ip(args)
	}
	before := h.snapshot()
	r := h.open(Options{})
	h.set(r, via4, via6, Route{Dst: prefix("0.0.0.0/0"), Via: peer4}, Route{Dst: prefix("10.8.0.0/16"), Bypass: true})
	h.ip("route add 203.0.113.9 via 192.0.2.77")
	h.eventualTable("-4 route show table 4500", "via 192.0.2.77", 2)
	h.ip("route del 203.0.113.9")
	h.eventualTable("-4 route show table 4500", "via 192.0.2.77", 0)
	h.mustClose(r)
	h.wantSnapshot(before)
}

// Also when it is in the place of ours.
func TestForeignRouteInOurPlace(t *testing.T) {
	h := newHost(t)
	for _, args := range []string{
		"-4 route add 10.2.0.0/16 via 192.0.2.1 table 4500 metric 100",
		"-6 route add throw fd02::/64 table 4500 metric 100",
		"-6 route add throw fd03::/64 table 4500 metric 1073741824",
	} {
		h.ip(args)
	}
	before := h.snapshot()
	r := h.open(Options{})
	for _, tc := range []struct {
		route Route
		want  string
	}{
		{via4, "route to 10.2.0.0/16: another program has one in table 4500 with metric 100: file exists"},
		{via6, "route to fd02::/64: another program has one in table 4500 with metric 100: file exists"},
		{Route{Dst: prefix("fd03::/64")}, "unreachable route to fd03::/64: another program has one in table 4500 with metric 1073741824: file exists"},
	} {
		err := h.Do(func() error { return r.Set(t.Context(), []Route{tc.route}) })
		if err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	h.mustClose(r)
	h.wantSnapshot(before)
}

// What cannot be done is warned of, once.
func TestWarningsOfChanges(t *testing.T) {
	h := newHost(t)
	var mu sync.Mutex
	var warnings []string
	r := h.open(Options{Warn: func(s string) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, s)
	}})
	said := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(warnings)
	}
	h.ip("link add ipsec7 type veth peer name peer7")
	h.ip("link set ipsec7 up")
	h.set(r, Route{Dst: prefix("10.4.0.0/16"), Device: "ipsec7"})
	h.ip("link del ipsec7")
	h.eventually(func() (string, bool) { return "there is no warning", len(said()) > 0 })
	for range 3 {
		h.ip("addr add 10.1.0.7/16 dev inner")
		h.eventually(func() (string, bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return "an address is not noticed", slices.Contains(r.own, prefix("10.1.0.7/32").Addr())
		})
		h.ip("addr del 10.1.0.7/16 dev inner")
		h.eventually(func() (string, bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return "an address does not go", !slices.Contains(r.own, prefix("10.1.0.7/32").Addr())
		})
	}
	want := []string{"routes do not follow a change of the network: route to 10.4.0.0/16: there is no tunnel device ipsec7"}
	if got := said(); !slices.Equal(got, want) {
		t.Errorf("warnings %q", got)
	}
}

// Changes of our own wake nobody up for more than a look.
func TestOwnChangesAreNoNews(t *testing.T) {
	h := newHost(t)
	r := h.open(Options{})
	h.set(r, via4)
	for range 2 {
		for _, list := range [][]Route{{via4, via6, route4}, {via6}, {route4, route6}} {
			h.set(r, list...)
			r.mu.Lock()
			if seen := r.seen | r.news.read(); seen&^rules != 0 {
				t.Errorf("after Set there is news %05b", seen)
			}
			r.mu.Unlock()
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	h := newHost(t)
	before := h.snapshot()
	var closing sync.WaitGroup
	r := h.open(Options{})
	h.set(r, via4)
	h.ip("addr add 10.1.0.7/16 dev inner")
	h.ip("addr del 10.1.0.7/16 dev inner")
	start := time.Now()
	for range 4 {
		closing.Go(func() { h.mustClose(r) })
	}
	closing.Wait()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
	h.wantSnapshot(before)
	if text := h.ip("route show table all proto 145"); strings.TrimSpace(text) != "" {
		t.Errorf("left: %s", text)
	}
}
