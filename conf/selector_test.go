package conf

import (
	"net/netip"
	"strings"
	"testing"
)

func sel(first, last string, proto uint8, from, to uint16) Selector {
	return Selector{netip.MustParseAddr(first), netip.MustParseAddr(last), proto, from, to}
}

// The ports of ICMP hold type and code as RFC 4301, 4.4.1.1 says; OPAQUE is the
// empty range of RFC 7296, 3.13.1.
func TestParseSelector(t *testing.T) {
	for _, c := range []struct {
		text, written string // written: as String has it, "" if the same
		want          Selector
	}{
		{"10.1.0.0/16", "", sel("10.1.0.0", "10.1.255.255", 0, 0, 65535)},
		{"0.0.0.0/0", "", sel("0.0.0.0", "255.255.255.255", 0, 0, 65535)},
		{"::/0", "", sel("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, 0, 65535)},
		{"10.1.0.1", "", sel("10.1.0.1", "10.1.0.1", 0, 0, 65535)},
		{"10.1.0.1/32", "10.1.0.1", sel("10.1.0.1", "10.1.0.1", 0, 0, 65535)},
		{"10.0.0.1-10.0.0.9", "", sel("10.0.0.1", "10.0.0.9", 0, 0, 65535)},
		{"10.0.0.0 - 10.0.0.255", "10.0.0.0/24", sel("10.0.0.0", "10.0.0.255", 0, 0, 65535)},
		{"10.0.0.0-10.0.0.255", "10.0.0.0/24", sel("10.0.0.0", "10.0.0.255", 0, 0, 65535)},
		{"fd01:0:0:1::/64", "fd01:0:0:1::/64", sel("fd01:0:0:1::", "fd01:0:0:1:ffff:ffff:ffff:ffff", 0, 0, 65535)},
		{"10.0.0.0/8[tcp]", "", sel("10.0.0.0", "10.255.255.255", 6, 0, 65535)},
		{"10.0.0.0/8[tcp/443]", "", sel("10.0.0.0", "10.255.255.255", 6, 443, 443)},
		{"10.0.0.0/8[tcp/https]", "10.0.0.0/8[tcp/443]", sel("10.0.0.0", "10.255.255.255", 6, 443, 443)},
		{"10.0.0.0/8[tcp/ftp-data]", "10.0.0.0/8[tcp/20]", sel("10.0.0.0", "10.255.255.255", 6, 20, 20)},
		{"10.0.0.0/8[udp/1024-2047]", "", sel("10.0.0.0", "10.255.255.255", 17, 1024, 2047)},
		{"10.0.0.0/8[udp/opaque]", "", sel("10.0.0.0", "10.255.255.255", 17, 65535, 0)},
		{"10.0.0.0/8[udp/any]", "10.0.0.0/8[udp]", sel("10.0.0.0", "10.255.255.255", 17, 0, 65535)},
		{"10.0.0.0/8[any]", "10.0.0.0/8", sel("10.0.0.0", "10.255.255.255", 0, 0, 65535)},
		{"10.0.0.0/8 [TCP / 80]", "10.0.0.0/8[tcp/80]", sel("10.0.0.0", "10.255.255.255", 6, 80, 80)},
		{"10.0.0.0/8[47]", "10.0.0.0/8[gre]", sel("10.0.0.0", "10.255.255.255", 47, 0, 65535)},
		{"10.0.0.0/8[253]", "", sel("10.0.0.0", "10.255.255.255", 253, 0, 65535)},
		{"10.0.0.0/8[icmp/8]", "", sel("10.0.0.0", "10.255.255.255", 1, 0x0800, 0x08ff)},
		{"10.0.0.0/8[icmp/3-4]", "", sel("10.0.0.0", "10.255.255.255", 1, 0x0300, 0x04ff)},
		{"10.0.0.0/8[icmp/3(4)]", "", sel("10.0.0.0", "10.255.255.255", 1, 0x0304, 0x0304)},
		{"fd00::/8[ipv6-icmp/128]", "fd00::/8[icmpv6/128]", sel("fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 58, 0x8000, 0x80ff)},
	} {
		got, err := ParseSelector(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.text, got, err)
			continue
		}
		if c.written == "" {
			c.written = c.text
		}
		if got.String() != c.written {
			t.Errorf("%s is written %s, want %s", c.text, got, c.written)
		}
	}
}

func TestBadSelector(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "is no network: it is no address",
		"10.1.0.0/36":               "has a bad prefix length: it is 0 to 32",
		"fd00::/129":                "has a bad prefix length: it is 0 to 128",
		"10.1.0.0/":                 "has a bad prefix length",
		"10.1.0.0/016":              "has a bad prefix length",
		"10.1.0.5/16":               "has host bits set: the network is 10.1.0.0/16, the host is 10.1.0.5",
		"10.1.0/16":                 "the part before the / is no address",
		"10.1.0.300":                "is no address",
		"example.org":               "is no address",
		"fe80::1%eth0":              "has a zone",
		"::ffff:10.1.0.1":           "write 10.1.0.1",
		"::ffff:10.1.0.0/112":       "write 10.1.0.0",
		"10.0.0.9-10.0.0.1":         "ends before it begins",
		"10.0.0.1-fd00::1":          "from one address family to the other",
		"10.0.0.1-10.0.0":           "its end is no address",
		"10.0.0.0/24-10.0.1.0/24":   "has a bad prefix length",
		"10.0.0.0/8[tcp/443":        "that no ] at its end closes",
		"10.0.0.0/8[tcp]443":        "that no ] at its end closes",
		"10.0.0.0/8[tpc]":           "has an unknown protocol; it is a number to 255, any, or ah",
		"10.0.0.0/8[256]":           "has an unknown protocol",
		"10.0.0.0/8[]":              "has an unknown protocol",
		"10.0.0.0/8[any/53]":        "has ports without a protocol",
		"10.0.0.0/8[tcp/]":          "has a bad port",
		"10.0.0.0/8[tcp/65536]":     "has a bad port",
		"10.0.0.0/8[tcp/nosuch]":    "has a bad port",
		"10.0.0.0/8[tcp/9-8]":       "ends before it begins",
		"10.0.0.0/8[tcp/80-x]":      "has a bad port",
		"10.0.0.0/8[icmp/256]":      "has a bad ICMP type",
		"10.0.0.0/8[icmp/8(256)]":   "has a bad ICMP type",
		"10.0.0.0/8[icmp/8(1]":      "has a bad ICMP type",
		"10.0.0.0/8[icmp/9-8]":      "ends before it begins",
		"10.0.0.0/8,10.1.0.0/16":    "has a bad prefix length",
		"10.0.0.0/8[tcp/80][tcp/8]": "bad port",
	} {
		if s, err := ParseSelector(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", text, s, err, want)
		}
	}
}

// Whatever is read is a range that can be written and read again.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.1.0.0/16", "10.0.0.1-10.0.0.9[tcp/443]", "fd00::/8[icmpv6/128-129]", "::1[udp/opaque]", "10.0.0.1[any/any]",
		"1.2.3.4[icmp/3(4)]", "1.2.3.4[tcp/ftp-data]", "0.0.0.0/0[17/1024-2047]", "[", "-", "1.1.1.1-[/]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			return
		}
		if !s.First.IsValid() || s.Last.Less(s.First) || s.First.Is4() != s.Last.Is4() || s.First.Is4In6() {
			t.Errorf("%q: addresses %v to %v", text, s.First, s.Last)
		}
		if s.PortFirst > s.PortLast && (s.PortFirst != 65535 || s.PortLast != 0) {
			t.Errorf("%q: ports %d to %d", text, s.PortFirst, s.PortLast)
		}
		if again, err := ParseSelector(s.String()); err != nil || again != s {
			t.Errorf("%q is written %q and read again as %v, %v", text, s, again, err)
		}
	})
}
