//go:build linux

package tun

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// whole makes a packet with n octets of payload, as the kernel leaves it: without
// lengths and checksums that mean anything.
func whole(v6, tcp bool, n int) ([]byte, header) {
	var pkt []byte
	h := header{needsSum: true, kind: unix.VIRTIO_NET_HDR_GSO_UDP_L4, start: ip4Header, sumAt: udpSum}
	if v6 {
		h.start = ip6Header
		pkt = append([]byte{0x60, 0, 0, 0, 0, 0, protoUDP, 64}, bytes.Repeat([]byte{0xfd, 1, 2, 3}, 8)...)
	} else {
		pkt = []byte{0x45, 0, 0, 0, 0xff, 0xfe, 0x40, 0, 64, protoUDP, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1}
	}
	if !tcp {
		pkt = append(pkt, 0, 7, 0, 9, 0, 0, 0xab, 0xcd)
	} else {
		h.kind, h.sumAt = unix.VIRTIO_NET_HDR_GSO_TCPV4, tcpSum
		pkt[9] = protoTCP
		if v6 {
			h.kind, pkt[9], pkt[6] = unix.VIRTIO_NET_HDR_GSO_TCPV6, 2, protoTCP
		}
		pkt = append(pkt, 0, 7, 0, 9, 0xff, 0xff, 0xff, 0, 1, 2, 3, 4, 0x80, 0x99, 0, 1, 0xab, 0xcd, 0, 0)
		pkt = append(pkt, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2) // a timestamp
	}
	for i := range n {
		pkt = append(pkt, byte(i*7))
	}
	return pkt, h
}

// checkSums checks the checksums of a packet, by another algorithm than the code has.
func checkSums(t *testing.T, pkt []byte, start int) {
	t.Helper()
	addrs := pkt[8:start]
	if start == ip4Header {
		addrs = pkt[12:start]
		if got := sumOf(pkt[:start], 0); got != 0xffff {
			t.Errorf("the IPv4 header sums up to %04x", got)
		}
	}
	proto := uint32(pkt[6])
	if start == ip4Header {
		proto = uint32(pkt[9])
	}
	if got := sumOf(append(bytes.Clone(addrs), pkt[start:]...), proto+uint32(len(pkt)-start)); got != 0xffff {
		t.Errorf("the segment sums up to %04x", got)
	}
}

func TestTrain(t *testing.T) {
	const seg = 101
	for _, n := range []int{1, seg, seg + 1, 5*seg - 1, 5 * seg} {
		for _, v6 := range []bool{false, true} {
			for _, tcp := range []bool{false, true} {
				pkt, h := whole(v6, tcp, n)
				h.seg = seg
				checkTrain(t, bytes.Clone(pkt), h, n, tcp)
			}
		}
	}
}

func checkTrain(t *testing.T, pkt []byte, h header, n int, tcp bool) {
	t.Helper()
	head := len(pkt) - n
	tr, err := newTrain(bytes.Clone(pkt), h)
	if err != nil {
		t.Fatal(err)
	}
	var payload []byte
	count := (n + h.seg - 1) / h.seg
	for i := 0; tr.more(); i++ {
		out := make([]byte, 200)
		out = out[:tr.next(out)]
		checkSums(t, out, h.start)
		if h.start == ip4Header {
			if id := binary.BigEndian.Uint16(out[4:]); id != uint16(0xfffe+i) || int(binary.BigEndian.Uint16(out[2:])) != len(out) {
				t.Errorf("packet %d of %d octets: % x", i, len(out), out[:h.start])
			}
		} else if int(binary.BigEndian.Uint16(out[4:])) != len(out)-ip6Header {
			t.Errorf("packet %d of %d octets: % x", i, len(out), out[:h.start])
		}
		segment := out[h.start:]
		if tcp {
			checkTCP(t, segment, i, count, h.seg)
		} else if int(binary.BigEndian.Uint16(segment[4:])) != len(segment) {
			t.Errorf("packet %d: UDP header % x", i, segment[:8])
		}
		payload = append(payload, out[head:]...)
	}
	if tr.count != count || !bytes.Equal(payload, pkt[head:]) {
		t.Errorf("%d packets instead of %d", tr.count, count)
	}
}

// checkTCP checks the header of packet i of a train that had the flags CWR, ACK,
// PSH and FIN.
func checkTCP(t *testing.T, tcp []byte, i, count, seg int) {
	t.Helper()
	flags := byte(0x10)
	if i == 0 {
		flags |= tcpCWR
	}
	if i == count-1 {
		flags |= tcpFIN | tcpPSH
	}
	var first uint32 = 0xffffff00
	if got := binary.BigEndian.Uint32(tcp[4:]); got != first+uint32(i*seg) || tcp[tcpFlags] != flags {
		t.Errorf("packet %d of %d: sequence number %08x, flags %02x", i, count, got, tcp[tcpFlags])
	}
}

// A packet that is too large for its buffer is left out, those behind it are not.
func TestTrainInSmallBuffer(t *testing.T) {
	pkt, h := whole(false, false, 250)
	h.seg = 100
	tr, err := newTrain(pkt, h)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 127)
	for i, want := range []int{128, 128, 78} {
		if got := tr.next(out); got != want {
			t.Errorf("packet %d has %d octets, want %d", i, got, want)
		}
	}
	checkSums(t, out[:78], ip4Header)
}

func TestTrainRefused(t *testing.T) {
	for name, spoil := range map[string]func(pkt []byte, h *header) []byte{
		"empty":                 func([]byte, *header) []byte { return nil },
		"no segment size":       func(p []byte, h *header) []byte { h.seg = 0; return p },
		"kind":                  func(p []byte, h *header) []byte { h.kind = unix.VIRTIO_NET_HDR_GSO_UDP; return p },
		"other version":         func(p []byte, h *header) []byte { h.kind = unix.VIRTIO_NET_HDR_GSO_TCPV6; return p },
		"no version":            func(p []byte, h *header) []byte { p[0] = 0x55; return p },
		"transport in IP":       func(p []byte, h *header) []byte { h.start = 10; return p },
		"transport outside":     func(p []byte, h *header) []byte { h.start = len(p); return p },
		"cut in the TCP header": func(p []byte, h *header) []byte { return p[:45] },
	} {
		pkt, h := whole(false, true, 500)
		h.seg = 100
		if _, err := newTrain(spoil(pkt, &h), h); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	pkt, h := whole(false, false, 10)
	h.start, h.sumAt = 37, 0
	if complete(pkt, h) == nil {
		t.Error("a checksum outside of the packet")
	}
}

func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32() | 0xff*(uint32(n)&1)) // every other one all ones
		}
		want := ^sumOf(b, uint32(n))
		if want == 0 {
			want = 0xffff
		}
		if got := finish(sum(uint64(n), b)); got != want {
			t.Errorf("%d octets: %04x, want %04x", n, got, want)
		}
	}
	if got := finish(sum(0xffff, []byte{0, 0})); got != 0xffff {
		t.Errorf("a sum of nothing but ones is %04x", got)
	}
}

func FuzzTrain(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		for _, tcp := range []bool{false, true} {
			pkt, h := whole(v6, tcp, 300)
			hdr := make([]byte, Headroom)
			hdr[0], hdr[1] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM, h.kind
			binary.NativeEndian.PutUint16(hdr[4:], 100)
			binary.NativeEndian.PutUint16(hdr[6:], uint16(h.start))
			binary.NativeEndian.PutUint16(hdr[8:], uint16(h.sumAt))
			f.Add(hdr, pkt)
		}
	}
	f.Fuzz(func(t *testing.T, hdr, pkt []byte) {
		if len(hdr) < Headroom || len(pkt) > maxPacket {
			return
		}
		h := parseHeader(hdr)
		_ = complete(bytes.Clone(pkt), h)
		tr, err := newTrain(pkt, h)
		if err != nil {
			return
		}
		out, octets := make([]byte, maxPacket), tr.head
		for tr.more() {
			n := tr.next(out)
			if n <= tr.head || n > tr.head+tr.seg || n > len(pkt) {
				t.Fatalf("a packet of %d octets from a train of %d", n, len(pkt))
			}
			octets += n - tr.head
		}
		if octets != len(pkt) {
			t.Fatalf("%d octets of %d", octets, len(pkt))
		}
	})
}
