package esp

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// addPackets gives the fuzzer one packet of each kind.
func addPackets(f *testing.F, add func(pkt []byte)) {
	frag := udp(f, false, 600)
	frag[7] = 3
	for _, pkt := range [][]byte{
		udp(f, false, 60), udp(f, true, 80), tcp4(f, 1400), udp(f, true, 1400), frag,
		extended(6, []ext{{0, 0}, {60, 2}, {43, 1}, {44, 0}}, make([]byte, 20)),
		extended(58, []ext{{0, 0}}, []byte{1, 4, 0, 0}),
		append([]byte{0x4f, 0, 0, 100, 0, 1, 0x20, 0, 64, 1, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2, 7, 39}, make([]byte, 78)...),
	} {
		add(pkt)
	}
}

func FuzzParseFlow(f *testing.F) {
	addPackets(f, func(pkt []byte) { f.Add(pkt) })
	f.Fuzz(func(t *testing.T, pkt []byte) {
		flow, err := ParseFlow(pkt)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || flow != (Flow{}) {
				t.Fatalf("%+v, %v", flow, err)
			}
			return
		}
		if flow.Opaque && flow.SrcPort|flow.DstPort != 0 || flow.Src.Is4() != flow.Dst.Is4() || !flow.Src.IsValid() {
			t.Fatalf("%+v", flow)
		}
		again, err := ParseFlow(append(bytes.Clone(pkt), 1, 2, 3, 4, 5, 6, 7, 8))
		if err != nil || again != flow {
			t.Fatalf("octets behind the packet change %+v to %+v, %v", flow, again, err)
		}
	})
}

// FuzzOpen gives arbitrary octets to receivers of every kind: nothing authenticates.
func FuzzOpen(f *testing.F) {
	words := []string{"aes128gcm16", "aes128-sha256", "chacha20poly1305", "null-sha1", "aes256gmac"}
	for i, w := range words {
		pkt, _ := newPair(f, suiteOf(f, w).sa()).seal(f, udp(f, i%2 == 0, 70))
		pkt[0] ^= 0xff
		f.Add(pkt, uint8(i), uint64(1))
	}
	f.Add([]byte{}, uint8(0), uint64(1<<32))
	f.Fuzz(func(t *testing.T, pkt []byte, kind uint8, seq uint64) {
		sa := suiteOf(t, words[int(kind)%len(words)]).sa()
		sa.ESN, sa.Mode = kind&64 != 0, Mode(kind>>7)
		p := newPair(t, sa)
		p.rx.Check(pkt)
		buf, off := room(pkt)
		if len(pkt) >= 4 && [4]byte(pkt) == [4]byte{0xc0, 0xff, 0xee, 0x01} {
			return // the real SPI: it may be the sealed packet itself
		}
		if got, err := p.out.Open(buf, off, len(pkt), seq, Inbound{Src: host4a, Dst: host4b}); !errors.Is(err, ErrAuth) {
			t.Fatalf("%x, %v", got, err)
		}
	})
}

// FuzzOpenAuthentic gives arbitrary plaintexts, sealed with the right key: what a peer
// can send that is no friend.
func FuzzOpenAuthentic(f *testing.F) {
	addPackets(f, func(pkt []byte) {
		f.Add(append(bytes.Clone(pkt), 1, 2, 2, 4), uint8(0), false)
		f.Add(append(bytes.Clone(pkt), 0, 41), uint8(3), false)
		f.Add(append(bytes.Clone(pkt), 0, 17), uint8(0xb9), true)
		f.Add(append(bytes.Clone(pkt), 0, 59), uint8(0), true)
	})
	pairs := map[bool]pair{}
	for _, transport := range []bool{false, true} {
		sa := suiteOf(f, "aes128gcm16").sa()
		sa.Encap = &Encap{Local: 4500, Remote: 4500}
		if transport {
			sa.Mode = Transport
		}
		pairs[transport] = newPair(f, sa)
	}
	f.Fuzz(func(t *testing.T, plain []byte, tos uint8, transport bool) {
		p := pairs[transport]
		pkt := p.authentic(t, plain)
		in := Inbound{Src: host4a, Dst: host4b, TOS: tos, TTL: 64}
		if tos&4 != 0 {
			in.Src, in.Dst = host6a, host6b
		}
		buf, off := room(pkt)
		got, err := p.out.Open(buf, off, len(pkt), 1, in)
		if err != nil {
			allowed := []error{ErrMalformed, ErrDummy, ErrDrop, ErrRoom}
			if got != nil || !slices.ContainsFunc(allowed, func(e error) bool { return errors.Is(err, e) }) {
				t.Fatalf("%x with %v", got, err)
			}
			return
		}
		h, err := parseHeader(got)
		if err != nil || h.total != len(got) {
			t.Fatalf("%x: %+v, %v", got, h, err)
		}
		if at := offsetIn(buf, got); !bytes.Equal(buf[at:at+len(got)], got) || !transport && at != off+espHeader+p.out.iv {
			t.Fatalf("the packet lies at %d", at)
		}
		if transport && !h.v6 && finish(sum(0, got[:ip4Len])) != 0 {
			t.Fatalf("header checksum: %x", got)
		}
	})
}

func FuzzFragNeeded(f *testing.F) {
	addPackets(f, func(pkt []byte) { f.Add(pkt, 1300, 1500) })
	f.Fuzz(func(t *testing.T, pkt []byte, mtu, size int) {
		buf := make([]byte, min(max(size, 0), 2000))
		for _, from := range []func([]byte, int) []byte{
			func(b []byte, m int) []byte { return FragNeeded(b, pkt, m, router4) },
			func(b []byte, m int) []byte { return FragNeeded(b, pkt, m, router6) },
			func(b []byte, m int) []byte { return Unreachable(b, pkt, Reason(m), router4) },
			func(b []byte, m int) []byte { return Unreachable(b, pkt, Reason(m), router6) },
		} {
			msg := from(buf, mtu)
			if msg == nil {
				continue
			}
			if len(msg) > maxError6 || len(msg) > maxError4 && msg[0]>>4 == 4 {
				t.Fatalf("%d octets", len(msg))
			}
			flow, err := ParseFlow(msg)
			if err != nil || flow.Opaque || flow.Fragment {
				t.Fatalf("%x: %+v, %v", msg, flow, err)
			}
			about, err := ParseFlow(pkt)
			if err != nil || flow.Dst != about.Src {
				t.Fatalf("to %v, about %+v, %v", flow.Dst, about, err)
			}
			// It is an error itself: about it nothing is ever said.
			if again := Unreachable(make([]byte, 1500), msg, NoRoute, about.Src); again != nil {
				t.Fatalf("an error about an error: %x", again)
			}
		}
	})
}

func FuzzFragment4(f *testing.F) {
	addPackets(f, func(pkt []byte) { f.Add(pkt, 100) })
	f.Fuzz(func(t *testing.T, pkt []byte, mtu int) {
		mtu = min(mtu, 2000)
		cut, err := Fragment4(pkt, mtu)
		if err != nil {
			return
		}
		buf := make([]byte, mtu)
		total := 0
		for n := cut.Next(buf); n != 0; n = cut.Next(buf) {
			h, err := parseHeader(buf[:n])
			if err != nil || h.total != n || n > mtu {
				t.Fatalf("fragment %x: %v", buf[:n], err)
			}
			total += n - h.hlen
		}
		if h, err := parseHeader(pkt); err != nil || total != h.total-h.hlen {
			t.Fatalf("%d octets of payload came out, %v", total, err)
		}
	})
}
