//go:build linux

package hostnet

import (
	"net/netip"
	"testing"
)

func TestPathMTU(t *testing.T) {
	h := newHost(t)
	h.ip("link set eth0 mtu 1400")
	h.ip("link set tun9 mtu 1300")
	h.ip("route add 203.0.113.0/24 via 192.0.2.1 mtu 1350")
	h.ip("route add 2001:db8:9::/64 via 2001:db8::1 mtu 1350")
	h.ip("route add 198.51.100.0/24 via 192.0.2.1 mtu 9000")
	r := h.open(Options{})
	h.set(r, Route{Dst: prefix("192.0.2.1/32")}, Route{Dst: prefix("2001:db8::1/128")})
	for _, tc := range []struct {
		to   string
		mark uint32
		want int
	}{
		{"192.0.2.1", testMark, 1400},
		{"192.0.2.1", 0, 1300},
		{"::ffff:192.0.2.1", testMark, 1400},
		{"2001:db8::1", testMark, 1400},
		{"2001:db8::1", 0, 1300},
		{"10.77.0.1", testMark, 1400},
		{"203.0.113.1", testMark, 1350},
		{"2001:db8:9::1", testMark, 1350},
		{"198.51.100.1", testMark, 1400},
		{"fe80::9%eth0", testMark, 1400},
		{"fe80::9%inner", testMark, 1500},
		{"fe80::9%none", testMark, 1500},
	} {
		h.do(func() error {
			if got := PathMTU(netip.MustParseAddr(tc.to), tc.mark); got != tc.want {
				t.Errorf("%s, mark %#x: got %d, want %d", tc.to, tc.mark, got, tc.want)
			}
			return nil
		})
	}
	h.ip("route add unreachable 233.252.0.0/24")
	h.do(func() error {
		if got := PathMTU(netip.MustParseAddr("233.252.0.1"), testMark); got != 1500 {
			t.Errorf("no way: got %d", got)
		}
		if got := PathMTU(netip.Addr{}, testMark); got != 1500 {
			t.Errorf("no address: got %d", got)
		}
		return nil
	})
}
