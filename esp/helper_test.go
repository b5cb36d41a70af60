package esp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/goike/goike/crypto"
)

// suite is a cipher with the integrity algorithm beside it, if it needs one.
type suite struct {
	name        string
	encr, integ crypto.Alg
}

// known are all algorithms of a type that the registry has.
func known(typ crypto.Type) []crypto.Alg {
	var as []crypto.Alg
	for id := range uint16(1024) {
		for _, bits := range []uint16{0, 128, 192, 256} {
			if a := (crypto.Alg{Type: typ, ID: id, KeyBits: bits}); a.Known() {
				as = append(as, a)
			}
		}
	}
	return as
}

// suites are all ciphers of the registry, with all integrity algorithms where they
// take one.
func suites() []suite {
	var ss []suite
	for _, encr := range known(crypto.Encr) {
		if crypto.Combined(encr) {
			ss = append(ss, suite{encr.String(), encr, crypto.Alg{}})
			continue
		}
		for _, integ := range known(crypto.Integ) {
			ss = append(ss, suite{encr.String() + "-" + integ.String(), encr, integ})
		}
	}
	return ss
}

func suiteOf(t testing.TB, words string) suite {
	t.Helper()
	p, err := crypto.ParseProposal(crypto.ESP, words)
	if err != nil {
		t.Fatal(err)
	}
	s := suite{name: words, encr: p.Of(crypto.Encr)[0]}
	if as := p.Of(crypto.Integ); len(as) > 0 {
		s.integ = as[0]
	}
	return s
}

func testKey(n int, first byte) crypto.Secret {
	k := make(crypto.Secret, n)
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// sa is an outbound SA of the suite; the inbound one differs by Dir alone.
func (s suite) sa() SA {
	return SA{
		ID:  SAID{Dst: netip.MustParseAddr("192.0.2.2"), SPI: 0xc0ffee01, Proto: ProtoESP},
		Src: netip.MustParseAddr("192.0.2.1"),
		Dir: Out, Encr: s.encr, EncrKey: testKey(crypto.KeyLen(s.encr), 1),
		Integ: s.integ, IntegKey: testKey(crypto.KeyLen(s.integ), 101), Window: 64,
	}
}

// pair is both ends of an SA, with one worker each.
type pair struct {
	tx  *Sender
	rx  *Receiver
	in  *SealWorker
	out *OpenWorker
}

func newPair(t testing.TB, sa SA) pair {
	t.Helper()
	var p pair
	var err error
	if p.tx, err = NewSender(sa); err != nil {
		t.Fatal(err)
	}
	sa.Dir = In
	if p.rx, err = NewReceiver(sa); err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.tx.NewWorker(); err != nil {
		t.Fatal(err)
	}
	if p.out, err = p.rx.NewWorker(); err != nil {
		t.Fatal(err)
	}
	return p
}

// room puts a packet into a buffer with everything free around it that may be used.
func room(pkt []byte) (buf []byte, off int) {
	buf = bytes.Repeat([]byte{0xee}, Headroom+len(pkt)+Tailroom)
	copy(buf[Headroom:], pkt)
	return buf, Headroom
}

// offsetIn is where a part of buf starts in it.
func offsetIn(buf, part []byte) int { return cap(buf) - cap(part) }

// seal seals a packet with the next sequence number.
func (p pair) seal(t testing.TB, inner []byte) (pkt []byte, out Outer) {
	t.Helper()
	seq, ok := p.tx.Reserve(1)
	if !ok {
		t.Fatal("no sequence numbers left")
	}
	buf, off := room(inner)
	pkt, out, err := p.in.Seal(buf, off, len(inner), seq)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(pkt), out
}

// open does with a packet what a plane does.
func (p pair) open(pkt []byte, in Inbound) ([]byte, error) {
	seq, ok := p.rx.Check(pkt)
	if !ok {
		return nil, ErrReplay
	}
	buf, off := room(pkt)
	inner, err := p.out.Open(buf, off, len(pkt), seq, in)
	if err != nil {
		return nil, err
	}
	if !p.rx.Accept(seq) {
		return nil, ErrReplay
	}
	return inner, nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	host4a, host4b = netip.MustParseAddr("10.1.0.10"), netip.MustParseAddr("10.2.0.20")
	host6a, host6b = netip.MustParseAddr("2001:db8:1::10"), netip.MustParseAddr("2001:db8:2::20")
)

// ip4 and ip6 are headers between the test hosts.
func ip4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, IHL: 5, TTL: 63, Id: 0x1234, Protocol: proto,
		SrcIP: host4a.AsSlice(), DstIP: host4b.AsSlice(),
	}
}

func ip6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 63, NextHeader: next, SrcIP: host6a.AsSlice(), DstIP: host6b.AsSlice()}
}

// pseudoHeaded is a layer whose checksum covers a pseudo header.
type pseudoHeaded interface {
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

// build makes a packet of layers, lengths and checksums filled in.
func build(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	network, _ := ls[0].(gopacket.NetworkLayer)
	for _, l := range ls[1:] {
		if c, ok := l.(pseudoHeaded); ok {
			if err := c.SetNetworkLayerForChecksum(network); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b.Bytes())
}

// udp makes an IP packet of exactly size octets with a UDP packet in it.
func udp(t testing.TB, v6 bool, size int) []byte {
	t.Helper()
	u := &layers.UDP{SrcPort: 5000, DstPort: 7777}
	if v6 {
		return build(t, ip6(layers.IPProtocolUDP), u, gopacket.Payload(testKey(size-ip6Len-udpLen, 7)))
	}
	return build(t, ip4(layers.IPProtocolUDP), u, gopacket.Payload(testKey(size-ip4Len-udpLen, 7)))
}

// parse decodes an IP packet to the end, and fails on errors and wrong checksums.
func parse(t testing.TB, pkt []byte) gopacket.Packet {
	t.Helper()
	first := layers.LayerTypeIPv4
	if pkt[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(pkt, first, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("%x: %v", pkt, e.Error())
	}
	for _, l := range p.Layers() {
		if c, ok := l.(pseudoHeaded); ok {
			if err := c.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	err, wrong := p.VerifyChecksums()
	if err != nil || len(wrong) > 0 {
		t.Fatalf("%x: checksums: %v %v", pkt, err, wrong)
	}
	return p
}
