package esp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/goike/goike/crypto"
)

var gate6a, gate6b = netip.MustParseAddr("2001:db8:ffff::1"), netip.MustParseAddr("2001:db8:ffff::2")

// TestRoundTrip is every cipher of the registry with every integrity algorithm, with
// and without ESN, in both modes and for every pair of inner and outer family.
func TestRoundTrip(t *testing.T) {
	for _, s := range suites() {
		for _, esn := range []bool{false, true} {
			for _, outer6 := range []bool{false, true} {
				sa := s.sa()
				sa.ESN = esn
				if outer6 {
					sa.Src, sa.ID.Dst = gate6a, gate6b
				}
				t.Run(fmt.Sprintf("%s/esn=%v/outer6=%v", s.name, esn, outer6), func(t *testing.T) {
					roundTripTunnel(t, sa)
					roundTripTransport(t, sa, outer6)
				})
			}
		}
	}
}

func roundTripTunnel(t *testing.T, sa SA) {
	p := newPair(t, sa)
	if sa.ESN { // over the edge of the first subspace on the way
		p.tx.last.Store(1<<32 - 20)
		p.rx.seen.top = 1<<32 - 20
	}
	for _, inner6 := range []bool{false, true} {
		for size := 60; size < 80; size++ {
			inner := udp(t, inner6, size)
			pkt, _ := p.seal(t, inner)
			if bytes.Contains(pkt, inner[:20]) && !inTheClear(sa) {
				t.Fatal("the inner header can be read")
			}
			got, err := p.open(pkt, Inbound{Src: sa.Src, Dst: sa.ID.Dst, TTL: 3})
			if err != nil || !bytes.Equal(got, inner) {
				t.Fatalf("%d octets: %x, %v", size, got, err)
			}
		}
	}
}

// inTheClear tells whether the SA only authenticates.
func inTheClear(sa SA) bool {
	return sa.Encr.ID == crypto.EncrNull || sa.Encr.ID == crypto.EncrNullAESGMAC
}

func roundTripTransport(t *testing.T, sa SA, v6 bool) {
	sa.Mode = Transport
	p := newPair(t, sa)
	in := Inbound{Src: host4a, Dst: host4b, TOS: 0xb9, TTL: 44}
	hlen := ip4Len
	if v6 {
		in.Src, in.Dst, hlen = host6a, host6b, ip6Len
	}
	for size := 60; size < 80; size++ {
		inner := udp(t, v6, size)
		pkt, _ := p.seal(t, inner)
		got, err := p.open(pkt, in)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[hlen:], inner[hlen:]) {
			t.Fatalf("%d octets: %x", size, got)
		}
		h, err := parseHeader(got)
		if err != nil || h.v6 != v6 || h.total != len(got) || h.trafficClass(got) != in.TOS || !h.dontFragment(got) {
			t.Fatalf("header %+v, %v: %x", h, err, got)
		}
		f, err := ParseFlow(got)
		if err != nil || f.Src != in.Src || f.Dst != in.Dst || f.Proto != uint8(layers.IPProtocolUDP) {
			t.Fatalf("flow %+v, %v", f, err)
		}
		parse(t, got)
	}
}

// TestTampered changes every octet of a packet in turn, and the unsent half of its
// sequence number.
func TestTampered(t *testing.T) {
	for _, s := range suites() {
		sa := s.sa()
		sa.ESN = true
		p := newPair(t, sa)
		pkt, _ := p.seal(t, udp(t, false, 64))
		for i := range pkt {
			buf, off := room(pkt)
			buf[off+i] ^= 0x40
			if _, err := p.out.Open(buf, off, len(pkt), 1, Inbound{}); !errors.Is(err, ErrAuth) {
				t.Fatalf("%s: octet %d changed: %v", s.name, i, err)
			}
		}
		for n := range pkt {
			buf, off := room(pkt)
			if _, err := p.out.Open(buf, off, n, 1, Inbound{}); !errors.Is(err, ErrAuth) {
				t.Fatalf("%s: cut to %d octets: %v", s.name, n, err)
			}
		}
		buf, off := room(pkt)
		if _, err := p.out.Open(buf, off, len(pkt), 1<<32|1, Inbound{}); !errors.Is(err, ErrAuth) {
			t.Fatalf("%s: other high half: %v", s.name, err)
		}
	}
}

// TestNoAllocation also wants Check, Accept, Reserve and ParseFlow to allocate nothing.
func TestNoAllocation(t *testing.T) {
	for _, s := range suites() {
		for _, size := range []int{64, 512, 1420} {
			sa := s.sa()
			sa.ESN = true
			p := newPair(t, sa)
			inner := udp(t, false, size)
			buf, off := room(inner)
			run := func() {
				copy(buf[off:], inner)
				if _, err := ParseFlow(buf[off : off+size]); err != nil {
					t.Fatal(err)
				}
				seq, _ := p.tx.Reserve(1)
				pkt, _, err := p.in.Seal(buf, off, size, seq)
				if err != nil {
					t.Fatal(err)
				}
				seq, ok := p.rx.Check(pkt)
				if _, err := p.out.Open(buf, offsetIn(buf, pkt), len(pkt), seq, Inbound{}); err != nil || !ok || !p.rx.Accept(seq) {
					t.Fatal(err, ok)
				}
			}
			run()
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s, %d octets: %v allocations a packet", s.name, size, n)
			}
		}
	}
}

func TestWorkersShareAnSA(t *testing.T) {
	sa := suiteOf(t, "aes256gcm16").sa()
	p := newPair(t, sa)
	second, err := p.tx.NewWorker()
	if err != nil {
		t.Fatal(err)
	}
	inner := udp(t, true, 200)
	for i, w := range []*SealWorker{p.in, second, p.in, second} {
		seq, _ := p.tx.Reserve(1)
		buf, off := room(inner)
		pkt, _, err := w.Seal(buf, off, len(inner), seq)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.open(pkt, Inbound{}); err != nil || !bytes.Equal(got, inner) {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
}
