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

func transportPair(t testing.TB, encap *Encap) pair {
	t.Helper()
	sa := suiteOf(t, "aes128gcm16").sa()
	sa.Mode, sa.Encap = Transport, encap
	return newPair(t, sa)
}

func TestTransportOuter(t *testing.T) {
	p := transportPair(t, nil)
	inner := udp(t, false, 80)
	inner[6] |= flagDF >> 8
	if _, out := p.seal(t, withTOS(inner, 0xbb)); out != (Outer{TOS: 0xbb, DF: true, TTL: 63}) {
		t.Errorf("IPv4: %+v", out)
	}
	if _, out := p.seal(t, udp(t, false, 80)); out != (Outer{TTL: 63}) {
		t.Errorf("IPv4 without DF: %+v", out)
	}
	if _, out := p.seal(t, withTOS(udp(t, true, 80), 0xbb)); out != (Outer{TOS: 0xbb, DF: true, TTL: 63}) {
		t.Errorf("IPv6: %+v", out)
	}
}

// TestTransportRefuses: RFC 4303, 3.1.1: fragments are not for transport mode; options
// and some extension headers belong before ESP.
func TestTransportRefuses(t *testing.T) {
	p := transportPair(t, nil)
	options := ip4(layers.IPProtocolUDP)
	options.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}}
	first := ip4(layers.IPProtocolUDP)
	first.Flags = layers.IPv4MoreFragments
	later := ip4(layers.IPProtocolUDP)
	later.FragOffset = 100
	data := gopacket.Payload(make([]byte, 16))
	for name, pkt := range map[string][]byte{
		"IPv4 option":    build(t, options, data),
		"first fragment": build(t, first, data),
		"later fragment": build(t, later, data),
		"hop-by-hop":     extended(protoUDP, []ext{{protoHopByHop, 0}}, make([]byte, 16)),
		"routing":        extended(protoUDP, []ext{{protoRouting, 0}}, make([]byte, 16)),
		"IPv6 fragment":  extended(protoUDP, []ext{{protoFragment, 0}}, make([]byte, 16)),
	} {
		buf, off := room(pkt)
		if got, _, err := p.in.Seal(buf, off, len(pkt), 1); !errors.Is(err, ErrDrop) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	// Destination options may lie behind ESP.
	pkt := extended(protoUDP, []ext{{protoDestOpts, 0}}, make([]byte, 16))
	sealed, _ := p.seal(t, pkt)
	got, err := p.open(sealed, Inbound{Src: host6a, Dst: host6b, TTL: 63})
	if err != nil || !bytes.Equal(got, pkt) {
		t.Errorf("destination options: %x, %v\nwant %x", got, err, pkt)
	}
}

func TestTransportAddresses(t *testing.T) {
	p := transportPair(t, nil)
	for _, c := range []struct {
		src, dst netip.Addr
		want     error
	}{
		{host4a, host4b, nil},
		{netip.AddrFrom16(host4a.As16()), host4b, nil}, // as a dual-stack socket gives it
		{host4a, host6b, ErrMalformed},
		{host6a, host4b, ErrMalformed},
		{netip.Addr{}, host4b, ErrMalformed},
		{netip.Addr{}, netip.Addr{}, ErrMalformed},
	} {
		pkt, _ := p.seal(t, udp(t, false, 60))
		if _, err := p.open(pkt, Inbound{Src: c.src, Dst: c.dst}); !errors.Is(err, c.want) {
			t.Errorf("%v, %v: %v", c.src, c.dst, err)
		}
	}
	pkt, _ := p.seal(t, udp(t, false, 60))
	if _, err := p.out.Open(bytes.Clone(pkt), 0, len(pkt), 1, Inbound{Src: host6a, Dst: host6b}); !errors.Is(err, ErrRoom) {
		t.Errorf("no headroom: %v", err)
	}
}

// TestTransportTooLong: no IP header can say how long such a packet is.
func TestTransportTooLong(t *testing.T) {
	p := transportPair(t, nil)
	for _, c := range []struct {
		in   Inbound
		n    int
		want error
	}{
		{Inbound{Src: host4a, Dst: host4b}, 0xffff - ip4Len, nil},
		{Inbound{Src: host4a, Dst: host4b}, 0xffff - ip4Len + 1, ErrRoom},
		{Inbound{Src: host6a, Dst: host6b}, 0xffff, nil},
		{Inbound{Src: host6a, Dst: host6b}, 0xffff + 1, ErrRoom},
	} {
		pkt := p.authentic(t, append(make([]byte, c.n), 0, protoTCP))
		if got, err := p.open(pkt, c.in); !errors.Is(err, c.want) {
			t.Errorf("%d octets from %v: %d, %v", c.n, c.in.Src, len(got), err)
		}
	}
}

// TestNATChecksums: behind a NAT the addresses are others than those that the sender
// covered by its checksum (RFC 3948, 3.1.2).
func TestNATChecksums(t *testing.T) {
	seen4, seen6 := netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("2001:db8:77::1")
	tcp := func() *layers.TCP { return &layers.TCP{SrcPort: 4000, DstPort: 22, SYN: true, Window: 1000} }
	data := gopacket.Payload("an odd number of octets")
	plain := udp(t, false, 90)
	unchecked := bytes.Clone(plain)
	unchecked[26], unchecked[27] = 0, 0
	trailing := append(bytes.Clone(plain), 1, 2, 3, 4)
	trailing[3] += 4
	setHeaderChecksum(trailing[:ip4Len])
	for _, c := range []struct {
		name string
		pkt  []byte
		same bool // the payload is not to change
	}{
		{"UDP", plain, false},
		{"UDP over IPv6", udp(t, true, 91), false},
		{"UDP with octets behind", trailing, false},
		{"TCP", build(t, ip4(layers.IPProtocolTCP), tcp(), data), false},
		{"TCP over IPv6", build(t, ip6(layers.IPProtocolTCP), tcp(), data), false},
		{"ICMPv6", build(t, ip6(layers.IPProtocolICMPv6), &layers.ICMPv6{
			TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0),
		}, &layers.ICMPv6Echo{Identifier: 1, SeqNumber: 2}, data), false},
		{"UDP without checksum", unchecked, true},
		{"ICMP", build(t, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, data), true},
		{"short TCP", build(t, ip4(layers.IPProtocolTCP), gopacket.Payload(make([]byte, 17))), true},
		{"short UDP", build(t, ip4(layers.IPProtocolUDP), gopacket.Payload(make([]byte, 7))), true},
		{"UDP with a wrong length", build(t, ip4(layers.IPProtocolUDP), gopacket.Payload{0, 1, 0, 1, 0, 99, 1, 1}), true},
	} {
		in, hlen := Inbound{Src: seen4, Dst: host4b, TTL: 60}, ip4Len
		if c.pkt[0]>>4 == 6 {
			in.Src, in.Dst, hlen = seen6, host6b, ip6Len
		}
		p := transportPair(t, &Encap{Local: 4500, Remote: 4500})
		pkt, _ := p.seal(t, c.pkt)
		got, err := p.open(pkt, in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if same := bytes.Equal(got[hlen:], c.pkt[hlen:]); same != c.same {
			t.Errorf("%s: payload unchanged: %v", c.name, same)
		}
		if !c.same {
			parse(t, got)
		}
		// Without a NAT nothing is to be touched.
		q := transportPair(t, nil)
		pkt, _ = q.seal(t, c.pkt)
		if got, err := q.open(pkt, in); err != nil || !bytes.Equal(got[hlen:], c.pkt[hlen:]) {
			t.Errorf("%s without encapsulation: %x, %v", c.name, got, err)
		}
	}
}

// TestUDPChecksumIsNeverZero: a sum of zero is sent as ones (RFC 768).
func TestUDPChecksumIsNeverZero(t *testing.T) {
	addrs := make([]byte, 8)
	u := []byte{0, 0, 0, 0, 0, 10, 1, 1, 0, 0}
	// Make the last word such that everything adds up to 0xffff.
	c := finish(sum(pseudoSum(addrs, protoUDP, len(u)), []byte{0, 0, 0, 0, 0, 10}))
	binary.BigEndian.PutUint16(u[8:], c)
	recompute(u, addrs, protoUDP)
	if u[6] != 0xff || u[7] != 0xff {
		t.Fatalf("%x", u)
	}
}

// TestChecksumRFC1071 is the example of RFC 1071, 3, and that of RFC 1624, 4.
func TestChecksumRFC1071(t *testing.T) {
	data := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := ^finish(sum(0, data)); got != 0xddf2 {
		t.Errorf("sum %#x", got)
	}
	if got := updated(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("updated %#x", got)
	}
	for n := range 40 { // any cut at an even place gives the same
		all := testKey(40, 0xf3)
		if n%2 == 0 && finish(sum(sum(0, all[:n]), all[n:])) != finish(sum(0, all)) {
			t.Errorf("cut at %d", n)
		}
	}
}
