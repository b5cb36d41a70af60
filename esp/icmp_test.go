package esp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var router4, router6 = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("2001:db8:1::1")

// tcp4 makes a TCP packet with DF set, of n octets of data.
func tcp4(t testing.TB, n int) []byte {
	h := ip4(layers.IPProtocolTCP)
	h.Flags = layers.IPv4DontFragment
	return build(t, h, &layers.TCP{SrcPort: 4000, DstPort: 22, ACK: true, Seq: 77}, gopacket.Payload(make([]byte, n)))
}

func TestFragNeeded4(t *testing.T) {
	for _, c := range []struct{ mtu, told, data int }{{1400, 1400, 1460}, {577, 577, 1460}, {20, 68, 1460}, {1399, 1399, 1360}} {
		pkt := tcp4(t, c.data)
		buf := make([]byte, 1500)
		p := parse(t, FragNeeded(buf, pkt, c.mtu, router4))
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		icmp := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if !ip.SrcIP.Equal(router4.AsSlice()) || !ip.DstIP.Equal(host4a.AsSlice()) || ip.TTL != 64 || ip.TOS != 0xc0 {
			t.Errorf("IP header %+v", ip)
		}
		if icmp.TypeCode.Type() != 3 || icmp.TypeCode.Code() != 4 || icmp.Id != 0 || int(icmp.Seq) != c.told {
			t.Errorf("ICMP header %+v, want MTU %d", icmp, c.told)
		}
		if n := len(p.Data()); n != maxError4 || !bytes.Equal(icmp.Payload, pkt[:n-28]) {
			t.Errorf("%d octets, quote %x", n, icmp.Payload)
		}
	}
}

func TestFragNeeded6(t *testing.T) {
	pkt := udp(t, true, 1501)
	for _, c := range []struct{ mtu, told int }{{1400, 1400}, {1280, 1280}, {1000, 1280}, {0, 1280}} {
		p := parse(t, FragNeeded(make([]byte, 1500), pkt, c.mtu, router6))
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		icmp := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		if !ip.SrcIP.Equal(router6.AsSlice()) || !ip.DstIP.Equal(host6a.AsSlice()) || ip.HopLimit != 64 {
			t.Errorf("IP header %+v", ip)
		}
		if icmp.TypeCode != layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0) {
			t.Errorf("ICMP header %+v", icmp)
		}
		want := append([]byte{0, 0, byte(c.told >> 8), byte(c.told)}, pkt[:maxError6-48]...)
		if len(p.Data()) != maxError6 || !bytes.Equal(icmp.Payload, want) {
			t.Errorf("%d octets, quote %x", len(p.Data()), icmp.Payload)
		}
	}
}

func TestUnreachable(t *testing.T) {
	for _, c := range []struct {
		why          Reason
		code4, code6 uint8
	}{{NoRoute, 0, 0}, {Prohibited, 13, 1}} {
		pkt := udp(t, false, 60) // DF is not asked for
		p := parse(t, Unreachable(make([]byte, 1500), pkt, c.why, router4))
		icmp := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if icmp.TypeCode != layers.CreateICMPv4TypeCode(3, c.code4) || icmp.Seq != 0 || !bytes.Equal(icmp.Payload, pkt) {
			t.Errorf("IPv4: %+v", icmp)
		}
		pkt = udp(t, true, 80)
		p = parse(t, Unreachable(make([]byte, 1500), pkt, c.why, router6))
		icmp6 := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		if icmp6.TypeCode != layers.CreateICMPv6TypeCode(1, c.code6) || !bytes.Equal(icmp6.Payload, append(make([]byte, 4), pkt...)) {
			t.Errorf("IPv6: %+v", icmp6)
		}
	}
	if got := Unreachable(make([]byte, 1500), udp(t, false, 60), 2, router4); got != nil {
		t.Errorf("no such reason: %x", got)
	}
}

// TestNoICMPAbout is what RFC 1122, 3.2.2, and RFC 4443, 2.4 (e), forbid.
func TestNoICMPAbout(t *testing.T) {
	big := gopacket.Payload(make([]byte, 1460))
	v4 := func(proto layers.IPProtocol, change func(*layers.IPv4), data ...byte) []byte {
		h := ip4(proto)
		h.Flags = layers.IPv4DontFragment
		change(h)
		return build(t, h, gopacket.Payload(append(data, big...)))
	}
	same4 := func(*layers.IPv4) {}
	v6 := func(proto layers.IPProtocol, change func(*layers.IPv6), data ...byte) []byte {
		h := ip6(proto)
		change(h)
		return build(t, h, gopacket.Payload(append(data, big...)))
	}
	same6 := func(*layers.IPv6) {}
	addr := func(s string) []byte { return netip.MustParseAddr(s).AsSlice() }
	later6 := extended(17, []ext{{44, 0}}, big)
	later6[ip6Len+2] = 1
	for _, c := range []struct {
		name string
		pkt  []byte
	}{
		{"unreachable", v4(1, same4, 3, 0)}, {"source quench", v4(1, same4, 4, 0)}, {"redirect", v4(1, same4, 5, 0)},
		{"time exceeded", v4(1, same4, 11, 0)}, {"parameter problem", v4(1, same4, 12, 0)},
		{"later fragment", v4(17, func(h *layers.IPv4) { h.FragOffset = 1 })},
		{"to multicast", v4(17, func(h *layers.IPv4) { h.DstIP = addr("224.0.0.5") })},
		{"to broadcast", v4(17, func(h *layers.IPv4) { h.DstIP = addr("255.255.255.255") })},
		{"from multicast", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("239.1.1.1") })},
		{"from broadcast", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("255.255.255.255") })},
		{"from nobody", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("0.0.0.0") })},
		{"from this network", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("0.1.2.3") })},
		{"from loopback", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("127.0.0.1") })},
		{"from class E", v4(17, func(h *layers.IPv4) { h.SrcIP = addr("240.0.0.1") })},
		{"IPv6 unreachable", v6(58, same6, 1, 0)}, {"IPv6 too big", v6(58, same6, 2, 0)},
		{"IPv6 unknown error", v6(58, same6, 127, 0)}, {"IPv6 redirect", v6(58, same6, 137, 0)},
		{"IPv6 from nobody", v6(17, func(h *layers.IPv6) { h.SrcIP = addr("::") })},
		{"IPv6 from multicast", v6(17, func(h *layers.IPv6) { h.SrcIP = addr("ff02::1") })},
		{"IPv6 from loopback", v6(17, func(h *layers.IPv6) { h.SrcIP = addr("::1") })},
		{"IPv6 later fragment", later6},
		{"version 7", append([]byte{0x75}, make([]byte, 1500)...)},
		{"cut", v4(17, same4)[:1000]},
		{"nothing", nil},
	} {
		for _, from := range []netip.Addr{router4, router6} {
			buf := make([]byte, 1500)
			if got := FragNeeded(buf, c.pkt, 1300, from); got != nil {
				t.Errorf("%s: fragmentation needed from %v: %x", c.name, from, got)
			}
			if got := Unreachable(buf, c.pkt, Prohibited, from); got != nil {
				t.Errorf("%s: unreachable from %v: %x", c.name, from, got)
			}
		}
	}
	if got := FragNeeded(make([]byte, 1500), build(t, ip4(17), big), 1300, router4); got != nil {
		t.Errorf("DF is clear: %x", got)
	}
	if got := FragNeeded(make([]byte, 1500), tcp4(t, 1260), 1300, router4); got != nil {
		t.Errorf("the packet fits: %x", got)
	}
	if got := FragNeeded(make([]byte, 1500), udp(t, true, 1280), 1000, router6); got != nil {
		t.Errorf("IPv6 packets of 1280 octets are never too big: %x", got)
	}
}

// TestICMPAllowed: questions, first fragments, and IPv6 multicast for packet too big.
func TestICMPAllowed(t *testing.T) {
	big := gopacket.Payload(append([]byte{8, 0}, make([]byte, 1460)...))
	echo := ip4(1)
	echo.Flags = layers.IPv4DontFragment
	first := ip4(17)
	first.Flags = layers.IPv4DontFragment | layers.IPv4MoreFragments
	group := ip6(17)
	group.DstIP = netip.MustParseAddr("ff0e::1").AsSlice()
	big6 := gopacket.Payload(append([]byte{128, 0}, make([]byte, 1460)...))
	for name, pkt := range map[string][]byte{
		"echo": build(t, echo, big), "first fragment": build(t, first, big),
		"IPv6 echo": build(t, ip6(58), big6), "IPv6 first fragment": extended(17, []ext{{44, 0}}, big),
		"IPv6 multicast": build(t, group, big),
	} {
		from := router4
		if pkt[0]>>4 == 6 {
			from = router6
		}
		got := FragNeeded(make([]byte, 1500), pkt, 1300, from)
		if got == nil {
			t.Errorf("%s: nothing", name)
			continue
		}
		parse(t, got)
	}
	if got := Unreachable(make([]byte, 1500), build(t, group, big), NoRoute, router6); got != nil {
		t.Errorf("unreachable about IPv6 multicast: %x", got)
	}
}

func TestICMPBuffersAndSources(t *testing.T) {
	pkt, pkt6 := tcp4(t, 1460), udp(t, true, 1500)
	for n := range 700 {
		buf := make([]byte, n)
		got := FragNeeded(buf, pkt, 1000, router4)
		if n < 56 != (got == nil) {
			t.Fatalf("buffer of %d octets: %d", n, len(got))
		}
		if got != nil && (len(got) != min(n, maxError4) || &got[0] != &buf[0]) {
			t.Fatalf("buffer of %d octets: message of %d", n, len(got))
		}
		if got != nil {
			parse(t, got)
		}
		if got = FragNeeded(make([]byte, n), pkt6, 1300, router6); n < 96 != (got == nil) {
			t.Fatalf("buffer of %d octets, IPv6: %d", n, len(got))
		}
	}
	buf := make([]byte, 1500)
	if FragNeeded(buf, pkt, 1000, router6) != nil || FragNeeded(buf, pkt6, 1300, router4) != nil || FragNeeded(buf, pkt, 1000, netip.Addr{}) != nil {
		t.Error("a source of the other family, or none")
	}
	mapped := netip.AddrFrom16(router4.As16())
	if got := FragNeeded(buf, pkt, 1000, mapped); got == nil || netip.AddrFrom4([4]byte(got[12:16])) != router4 {
		t.Errorf("a mapped source: %x", got)
	}
	if n := testing.AllocsPerRun(10, func() {
		FragNeeded(buf, pkt, 1000, router4)
		FragNeeded(buf, pkt6, 1300, router6)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
