package esp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// ext is an IPv6 extension header of 8+8*more octets.
type ext struct{ proto, more uint8 }

// extended makes an IPv6 packet with extension headers.
func extended(last uint8, chain []ext, payload []byte) []byte {
	var body []byte
	first := last
	for i := len(chain) - 1; i >= 0; i-- {
		h := bytes.Repeat([]byte{protoNone}, 8+8*int(chain[i].more))
		h[0], h[1] = first, chain[i].more
		if chain[i].proto == protoFragment {
			h = append([]byte{first, 0}, 0, 1, 1, 2, 3, 4) // offset 0, more to come
		}
		body = append(h, body...)
		first = chain[i].proto
	}
	pkt := make([]byte, ip6Len, ip6Len+len(body)+len(payload))
	putHeader6(pkt, host6a, host6b, first, Inbound{TTL: 63})
	pkt = append(append(pkt, body...), payload...)
	binary.BigEndian.PutUint16(pkt[4:], uint16(len(pkt)-ip6Len))
	return pkt
}

func TestParseFlow(t *testing.T) {
	v4 := func(f Flow) Flow { f.Src, f.Dst = host4a, host4b; return f }
	v6 := func(f Flow) Flow { f.Src, f.Dst = host6a, host6b; return f }
	payload := []byte{0x13, 0x88, 0x00, 0x35, 0, 8, 0, 0}
	later := ip4(layers.IPProtocolTCP)
	later.FragOffset = 185
	first := ip4(layers.IPProtocolTCP)
	first.Flags = layers.IPv4MoreFragments
	options := ip4(layers.IPProtocolUDP)
	options.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: make([]byte, 5)}, {OptionType: 0}}
	later6 := extended(protoTCP, []ext{{protoFragment, 0}}, payload)
	later6[ip6Len+2] = 1
	atomic6 := extended(protoTCP, []ext{{protoFragment, 0}}, payload)
	atomic6[ip6Len+3] = 6 // reserved bits
	for _, c := range []struct {
		name string
		pkt  []byte
		want Flow
	}{
		{"UDP", build(t, ip4(17), gopacket.Payload(payload)), v4(Flow{Proto: 17, SrcPort: 5000, DstPort: 53})},
		{"TCP", build(t, ip4(6), gopacket.Payload(payload)), v4(Flow{Proto: 6, SrcPort: 5000, DstPort: 53})},
		{"SCTP", build(t, ip4(132), gopacket.Payload(payload)), v4(Flow{Proto: 132, SrcPort: 5000, DstPort: 53})},
		{"UDP-Lite", build(t, ip4(136), gopacket.Payload(payload)), v4(Flow{Proto: 136, SrcPort: 5000, DstPort: 53})},
		{"DCCP", build(t, ip4(33), gopacket.Payload(payload)), v4(Flow{Proto: 33, SrcPort: 5000, DstPort: 53})},
		{"behind options", build(t, options, gopacket.Payload(payload)), v4(Flow{Proto: 17, SrcPort: 5000, DstPort: 53})},
		{"ICMP echo", build(t, ip4(1), gopacket.Payload{8, 0, 1, 2}), v4(Flow{Proto: 1, SrcPort: 0x800, DstPort: 0x800})},
		{"ICMP host unreachable", build(t, ip4(1), gopacket.Payload{3, 1, 1, 2}), v4(Flow{Proto: 1, SrcPort: 0x301, DstPort: 0x301})},
		{"GRE", build(t, ip4(47), gopacket.Payload(payload)), v4(Flow{Proto: 47, Opaque: true})},
		{"first fragment", build(t, first, gopacket.Payload(payload)), v4(Flow{Proto: 6, SrcPort: 5000, DstPort: 53, Fragment: true})},
		{"later fragment", build(t, later, gopacket.Payload(payload)), v4(Flow{Proto: 6, Opaque: true, Fragment: true})},
		{"cut UDP", build(t, ip4(17), gopacket.Payload(payload[:3])), v4(Flow{Proto: 17, Opaque: true})},
		{"no ICMP", build(t, ip4(1), gopacket.Payload{}), v4(Flow{Proto: 1, Opaque: true})},
		{"octets behind", append(build(t, ip4(17), gopacket.Payload(payload[:2])), payload...), v4(Flow{Proto: 17, Opaque: true})},

		{"UDP over IPv6", extended(17, nil, payload), v6(Flow{Proto: 17, SrcPort: 5000, DstPort: 53})},
		{"ICMPv6", extended(58, nil, []byte{135, 0, 1, 2}), v6(Flow{Proto: 58, SrcPort: 135 << 8, DstPort: 135 << 8})},
		{"mobility", extended(135, nil, []byte{59, 1, 5, 0, 0, 0, 0, 0}), v6(Flow{Proto: 135, SrcPort: 5 << 8, DstPort: 5 << 8})},
		{"no next header", extended(59, nil, nil), v6(Flow{Proto: 59, Opaque: true})},
		{"extension headers", extended(6, []ext{{0, 0}, {60, 2}, {43, 1}, {60, 0}}, payload), v6(Flow{Proto: 6, SrcPort: 5000, DstPort: 53})},
		{"AH is no extension header", extended(51, []ext{{0, 0}}, payload), v6(Flow{Proto: 51, Opaque: true})},
		{"first fragment of IPv6", extended(6, []ext{{44, 0}, {60, 0}}, payload), v6(Flow{Proto: 6, SrcPort: 5000, DstPort: 53, Fragment: true})},
		{"later fragment of IPv6", later6, v6(Flow{Proto: 6, Opaque: true, Fragment: true})},
		{"atomic fragment", atomic6, v6(Flow{Proto: 6, SrcPort: 5000, DstPort: 53})},
		{"15 extension headers", extended(6, make([]ext, 15), payload), v6(Flow{Proto: 6, SrcPort: 5000, DstPort: 53})},
	} {
		if got, err := ParseFlow(c.pkt); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

func TestParseFlowMalformed(t *testing.T) {
	chain := extended(17, []ext{{0, 0}, {43, 0}, {60, 0}}, []byte{1, 2, 3, 4})
	over := bytes.Clone(chain)
	over[ip6Len+1] = 9
	for name, pkt := range map[string][]byte{
		"nothing":               nil,
		"version 0":             make([]byte, 60),
		"cut IPv4":              udp(t, false, 60)[:59],
		"cut IPv6":              chain[:len(chain)-1],
		"IPv6 header alone":     udp(t, true, 60)[:39],
		"extension beyond end":  over,
		"too many extensions":   extended(17, make([]ext, 16), make([]byte, 8)),
		"extension missing":     extended(0, nil, nil),
		"extension cut":         extended(43, nil, make([]byte, 7)),
		"fragment header cut":   extended(44, []ext{{0, 0}}, make([]byte, 7)),
		"header of 16 octets":   append([]byte{0x44, 0, 0, 40}, make([]byte, 36)...),
		"total below header":    append([]byte{0x46, 0, 0, 23}, make([]byte, 36)...),
		"IPv4 length too great": append([]byte{0x45, 0, 0, 41}, make([]byte, 36)...),
	} {
		if f, err := ParseFlow(pkt); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestSelectorMatches(t *testing.T) {
	pfx := netip.MustParsePrefix
	any4 := Selector{Src: pfx("0.0.0.0/0"), Dst: pfx("0.0.0.0/0"), SrcPorts: AnyPort, DstPorts: AnyPort}
	web := Selector{Src: pfx("10.1.0.0/16"), Dst: pfx("10.2.0.20/32"), Proto: 6, SrcPorts: AnyPort, DstPorts: PortRange{80, 90}}
	echo := Selector{Src: pfx("10.0.0.0/8"), Dst: pfx("10.0.0.0/8"), Proto: 1, SrcPorts: PortRange{0x800, 0x8ff}, DstPorts: AnyPort}
	tcp := Flow{Src: host4a, Dst: host4b, Proto: 6, SrcPort: 4000, DstPort: 80}
	for _, c := range []struct {
		name   string
		s      Selector
		change func(*Flow)
		want   bool
	}{
		{"in range", web, func(*Flow) {}, true},
		{"last of range", web, func(f *Flow) { f.DstPort = 90 }, true},
		{"behind range", web, func(f *Flow) { f.DstPort = 91 }, false},
		{"before range", web, func(f *Flow) { f.DstPort = 79 }, false},
		{"other protocol", web, func(f *Flow) { f.Proto = 17 }, false},
		{"other source", web, func(f *Flow) { f.Src = host4b }, false},
		{"other destination", web, func(f *Flow) { f.Dst = host4a }, false},
		{"opaque", web, func(f *Flow) { f.Opaque, f.DstPort, f.SrcPort = true, 0, 0 }, false},
		{"opaque for any port", any4, func(f *Flow) { f.Opaque = true }, true},
		{"any", any4, func(*Flow) {}, true},
		{"other family", any4, func(f *Flow) { f.Src, f.Dst = host6a, host6b }, false},
		{"IPv4 inside IPv6 is IPv6", any4, func(f *Flow) { f.Src = netip.AddrFrom16(host4a.As16()) }, false},
		{"ICMP type", echo, func(f *Flow) { f.Proto, f.SrcPort, f.DstPort = 1, 0x800, 0x800 }, true},
		{"other ICMP type", echo, func(f *Flow) { f.Proto, f.SrcPort, f.DstPort = 1, 0, 0 }, false},
		{"a selector of nothing", Selector{}, func(*Flow) {}, false},
	} {
		f := tcp
		c.change(&f)
		if got := c.s.Matches(f); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	// Port 0 alone is not any port.
	zero := any4
	zero.SrcPorts, zero.DstPorts = PortRange{}, PortRange{}
	if f := (Flow{Src: host4a, Dst: host4b, Proto: 47, Opaque: true}); zero.Matches(f) {
		t.Error("an opaque flow matches port 0")
	}
}
