package ts

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/wire"
)

// sel makes a selector of "first-last" or a prefix, with protocol and ports.
func sel(t testing.TB, addrs string, proto uint8, ports ...uint16) wire.Selector {
	t.Helper()
	s := wire.Selector{Proto: proto, EndPort: 65535}
	if len(ports) == 2 {
		s.StartPort, s.EndPort = ports[0], ports[1]
	}
	if p, err := netip.ParsePrefix(addrs); err == nil {
		s.Start, s.End = p.Addr(), end(p)
		return s
	}
	for i, c := range addrs {
		if c == '-' {
			s.Start, s.End = netip.MustParseAddr(addrs[:i]), netip.MustParseAddr(addrs[i+1:])
		}
	}
	if !s.Start.IsValid() {
		t.Fatal(addrs)
	}
	return s
}

const (
	icmp = 1
	tcp  = 6
	udp  = 17
)

func TestNarrow(t *testing.T) {
	all := func(addrs ...string) (out []wire.Selector) {
		for _, a := range addrs {
			out = append(out, sel(t, a, 0))
		}
		return out
	}
	one := func(addrs string, proto uint8, ports ...uint16) []wire.Selector {
		return []wire.Selector{sel(t, addrs, proto, ports...)}
	}
	for _, c := range []struct {
		name                      string
		offered, configured, want []wire.Selector
	}{
		// The examples of RFC 7296, 2.9: the initiator offers its packet and its
		// policy, the responder has half of the range, then two parts of it.
		{"2.9, the first half", all("198.51.100.43-198.51.100.43", "198.51.100.0-198.51.100.255"), all("198.51.100.0-198.51.100.127"), all("198.51.100.0-198.51.100.127")},
		{"2.9, two parts", all("192.0.2.0/24"), all("192.0.2.0-192.0.2.63", "192.0.2.128-192.0.2.191"), all("192.0.2.0-192.0.2.63", "192.0.2.128-192.0.2.191")},
		{"the same", all("10.1.0.0/16"), all("10.1.0.0/16"), all("10.1.0.0/16")},
		{"offered more", all("0.0.0.0/0"), all("10.1.0.0/16"), all("10.1.0.0/16")},
		{"configured more", all("10.1.2.0/24"), all("10.0.0.0/8"), all("10.1.2.0/24")},
		{"overlap", all("10.0.0.0-10.0.0.99"), all("10.0.0.50-10.0.1.0"), all("10.0.0.50-10.0.0.99")},
		{"touching", all("10.0.0.0-10.0.0.9"), all("10.0.0.10-10.0.0.19"), nil},
		{"apart", all("10.1.0.0/16"), all("10.2.0.0/16"), nil},
		{"of two families", all("10.1.0.0/16", "fd01::/64"), all("fd01::/48"), all("fd01::/64")},
		{"other family", all("0.0.0.0/0"), all("::/0"), nil},
		{"a protocol of the peer", one("10.1.0.0/16", tcp), all("10.0.0.0/8"), one("10.1.0.0/16", tcp)},
		{"a protocol of ours", all("10.1.0.0/16"), one("10.0.0.0/8", udp, 53, 53), one("10.1.0.0/16", udp, 53, 53)},
		{"two protocols", one("10.1.0.0/16", tcp), one("10.1.0.0/16", udp), nil},
		{"ports", one("10.1.0.0/16", tcp, 80, 90), one("10.1.0.0/16", tcp, 85, 443), one("10.1.0.0/16", tcp, 85, 90)},
		{"no common port", one("10.1.0.0/16", tcp, 80, 80), one("10.1.0.0/16", tcp, 443, 443), nil},
		{"opaque and any", one("10.1.0.0/16", tcp, 65535, 0), one("10.1.0.0/16", tcp), one("10.1.0.0/16", tcp, 65535, 0)},
		{"opaque and a port", one("10.1.0.0/16", tcp, 65535, 0), one("10.1.0.0/16", tcp, 80, 80), nil},
		{"one within another", all("10.1.0.0/24", "10.1.0.0/16"), all("10.0.0.0/8"), all("10.1.0.0/16")},
		{"nothing offered", nil, all("10.0.0.0/8"), nil},
		{"nothing configured", all("10.0.0.0/8"), nil, nil},
	} {
		got := Narrow(c.offered, c.configured)
		if String(got) != String(c.want) {
			t.Errorf("%s: %q, want %q", c.name, String(got), String(c.want))
		}
		if len(got) > 0 && (!Within(got, c.offered) || !Within(got, c.configured)) {
			t.Errorf("%s: %q goes beyond %q or %q", c.name, String(got), String(c.offered), String(c.configured))
		}
	}
}

func TestNarrowIsBounded(t *testing.T) {
	var list []wire.Selector
	for i := range 400 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		list = append(list, Host(a))
	}
	if n := len(Narrow(list, []wire.Selector{sel(t, "10.0.0.0/8", 0)})); n != MaxSelectors {
		t.Errorf("%d selectors, want %d", n, MaxSelectors)
	}
}

// matches is the meaning of a selector for a packet with ports that can be seen.
func matches(s wire.Selector, a netip.Addr, proto uint8, port uint16) bool {
	return s.Start.Is4() == a.Is4() && !a.Less(s.Start) && !s.End.Less(a) && (s.Proto == 0 || s.Proto == proto) &&
		port >= s.StartPort && port <= s.EndPort
}

// A packet is selected by the result exactly when both sides select it.
func TestNarrowMeansBoth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func() (out []wire.Selector) {
		for range 1 + rng.IntN(3) {
			a, b := byte(rng.IntN(16)), byte(rng.IntN(16))
			p, q := uint16(rng.IntN(8)), uint16(rng.IntN(8))
			s := wire.Selector{
				Start: netip.AddrFrom4([4]byte{10, 0, 0, min(a, b)}), End: netip.AddrFrom4([4]byte{10, 0, 0, max(a, b)}),
				EndPort: 65535, Proto: []uint8{0, tcp, udp}[rng.IntN(3)],
			}
			if s.Proto != 0 && rng.IntN(2) == 0 {
				s.StartPort, s.EndPort = min(p, q), max(p, q)
			}
			out = append(out, s)
		}
		return out
	}
	selects := func(list []wire.Selector, a netip.Addr, proto uint8, port uint16) bool {
		for _, s := range list {
			if matches(s, a, proto, port) {
				return true
			}
		}
		return false
	}
	for range 2000 {
		x, y := random(), random()
		got := Narrow(x, y)
		for i := range byte(16) {
			a := netip.AddrFrom4([4]byte{10, 0, 0, i})
			for _, proto := range []uint8{tcp, udp, icmp} {
				for port := range uint16(8) {
					if want := selects(x, a, proto, port) && selects(y, a, proto, port); selects(got, a, proto, port) != want {
						t.Fatalf("%s protocol %d port %d: %v, want %v, of %q and %q", a, proto, port, !want, want, String(x), String(y))
					}
				}
			}
		}
	}
}

func TestContains(t *testing.T) {
	for _, c := range []struct {
		a, b wire.Selector
		want bool
	}{
		{sel(t, "10.0.0.0/8", 0), sel(t, "10.1.0.0/16", tcp, 80, 80), true},
		{sel(t, "10.1.0.0/16", tcp, 80, 80), sel(t, "10.0.0.0/8", 0), false},
		{sel(t, "10.0.0.0/8", tcp), sel(t, "10.1.0.0/16", 0), false},
		{sel(t, "10.0.0.0/8", 0), sel(t, "fd01::/64", 0), false},
		{sel(t, "10.0.0.0/8", tcp), sel(t, "10.0.0.0/8", tcp, 65535, 0), true},
	} {
		if got := Contains(c.a, c.b); got != c.want {
			t.Errorf("%s contains %s: %v", Word(c.a), Word(c.b), got)
		}
	}
}

// Selectors are written as strongSwan writes them.
func TestWords(t *testing.T) {
	for want, s := range map[string]wire.Selector{
		"10.1.0.0/16":                  sel(t, "10.1.0.0/16", 0),
		"10.1.0.1..10.1.0.9":           sel(t, "10.1.0.1-10.1.0.9", 0),
		"fd01::/64[udp/53]":            sel(t, "fd01::/64", udp, 53, 53),
		"10.0.0.1/32[tcp/1024-2047]":   sel(t, "10.0.0.1/32", tcp, 1024, 2047),
		"10.0.0.1/32[tcp]":             sel(t, "10.0.0.1/32", tcp),
		"10.0.0.1/32[47]":              sel(t, "10.0.0.1/32", 47),
		"10.0.0.1/32[tcp/OPAQUE]":      sel(t, "10.0.0.1/32", tcp, 65535, 0),
		"10.0.0.1/32[0/80]":            sel(t, "10.0.0.1/32", 0, 80, 80),
		"10.0.0.1/32[icmp/8]":          sel(t, "10.0.0.1/32", icmp, 0x0800, 0x08ff),
		"10.0.0.1/32[icmp/3(4)]":       sel(t, "10.0.0.1/32", icmp, 0x0304, 0x0304),
		"10.0.0.1/32[icmp/3(0)-4(2)]":  sel(t, "10.0.0.1/32", icmp, 0x0300, 0x0402),
		"::1/128[ipv6-icmp/128]":       sel(t, "::1/128", 58, 0x8000, 0x80ff),
		"0.0.0.0/0":                    sel(t, "0.0.0.0/0", 0),
		"255.255.255.255/32[udp/1-65]": sel(t, "255.255.255.255/32", udp, 1, 65),
	} {
		if got := Word(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFromConf(t *testing.T) {
	self := netip.MustParseAddr("192.0.2.1")
	if got := String(FromConf(nil, self)); got != "192.0.2.1/32" {
		t.Errorf("the host itself is %q", got)
	}
	c := conf.Selector{First: netip.MustParseAddr("10.0.0.1"), Last: netip.MustParseAddr("10.0.0.9"), Proto: tcp, PortFirst: 80, PortLast: 81}
	if got := String(FromConf([]conf.Selector{c}, self)); got != "10.0.0.1..10.0.0.9[tcp/80-81]" {
		t.Error(got)
	}
}
