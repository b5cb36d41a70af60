package esp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// authentic seals a plaintext as it is, trailer included.
func (p pair) authentic(t testing.TB, plain []byte) []byte {
	t.Helper()
	seq, _ := p.tx.Reserve(1)
	pkt := make([]byte, espHeader+p.in.iv+len(plain)+p.in.icv)
	binary.BigEndian.PutUint32(pkt, p.in.spi)
	binary.BigEndian.PutUint32(pkt[4:], uint32(seq))
	copy(pkt[espHeader+p.in.iv:], plain)
	p.in.sealer.Seal(pkt, espHeader, nil, seq)
	return pkt
}

func TestTrailer(t *testing.T) {
	p := newPair(t, suiteOf(t, "aes128gcm16").sa())
	inner := udp(t, false, 60)
	with := func(tail ...byte) []byte { return append(bytes.Clone(inner), tail...) }
	changed := func(at int, to byte) []byte {
		pkt := with(1, 2, 2, 4)
		pkt[at] = to
		return pkt
	}
	long := make([]byte, 257)
	for i := range 255 {
		long[i] = byte(i + 1)
	}
	long[255], long[256] = 255, 4
	for _, c := range []struct {
		name  string
		plain []byte
		want  error
	}{
		{"no padding", with(0, 4), nil},
		{"padding", with(1, 2, 2, 4), nil},
		{"more padding than needed", with(1, 2, 3, 4, 5, 6, 6, 4), nil},
		{"255 octets of padding", with(long...), nil},
		{"TFC padding", with(9, 9, 9, 9, 0, 4), nil},
		{"TFC padding and padding", with(0, 0, 0, 1, 2, 2, 4), nil},
		{"zeros for padding", with(0, 0, 2, 4), ErrMalformed},
		{"one octet of padding wrong", with(1, 3, 2, 4), ErrMalformed},
		{"more padding than there is", with(1, 200, 4), ErrMalformed},
		{"all padding", []byte{1, 2, 2, 4}, ErrMalformed},
		{"one octet", []byte{4}, ErrMalformed},
		{"nothing", nil, ErrMalformed},
		{"pad length alone", []byte{1, 4}, ErrMalformed},
		{"IPv4 said to be IPv6", with(0, 41), ErrMalformed},
		{"TCP in tunnel mode", with(0, 6), ErrMalformed},
		{"ESP's own number", with(0, 50), ErrMalformed},
		{"version 5", changed(0, 0x55), ErrMalformed},
		{"IPv6 said to be IPv4", changed(0, 0x65), ErrMalformed},
		{"header of 16 octets", changed(0, 0x44), ErrMalformed},
		{"shorter than its header", changed(3, 19), ErrMalformed},
		{"longer than the payload", changed(3, 61), ErrMalformed},
		{"very long", changed(2, 0xff), ErrMalformed},
		{"total length 0", changed(3, 0), ErrMalformed},
		{"cut header", append(bytes.Clone(inner[:19]), 0, 4), ErrMalformed},
		{"dummy", with(0, 59), ErrDummy},
		{"empty dummy", []byte{1, 2, 2, 59}, ErrDummy},
		{"dummy with wrong padding", []byte{2, 2, 2, 59}, ErrMalformed},
	} {
		got, err := p.open(p.authentic(t, c.plain), Inbound{})
		if !errors.Is(err, c.want) || err == nil && !bytes.Equal(got, inner) {
			t.Errorf("%s: %x, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestDummyInTransportMode(t *testing.T) {
	sa := suiteOf(t, "aes128-sha256").sa()
	sa.Mode = Transport
	p := newPair(t, sa)
	plain := append(make([]byte, 14), 0, 59)
	if _, err := p.open(p.authentic(t, plain), Inbound{}); !errors.Is(err, ErrDummy) {
		t.Fatal(err)
	}
}

func TestMalformedInner6(t *testing.T) {
	p := newPair(t, suiteOf(t, "chacha20poly1305").sa())
	inner := udp(t, true, 60)
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   error
	}{
		{"sound", func(b []byte) []byte { return b }, nil},
		{"payload longer than there is", func(b []byte) []byte { b[5] = 21; return b }, ErrMalformed},
		{"cut header", func(b []byte) []byte { return b[:39] }, ErrMalformed},
		{"IPv4's version", func(b []byte) []byte { b[0] = 0x46; return b }, ErrMalformed},
	} {
		plain := append(c.change(bytes.Clone(inner)), 0, protoIPv6)
		if _, err := p.open(p.authentic(t, plain), Inbound{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestSealRefuses: what is no IP packet never becomes an ESP packet.
func TestSealRefuses(t *testing.T) {
	p := newPair(t, suiteOf(t, "aes128-sha256").sa())
	good := udp(t, false, 60)
	for n := range len(good) {
		buf, off := room(good)
		if _, _, err := p.in.Seal(buf, off, n, 1); !errors.Is(err, ErrMalformed) {
			t.Fatalf("%d octets: %v", n, err)
		}
	}
	buf, off := room(good)
	for _, c := range []struct{ off, n int }{{-1, 4}, {off, -1}, {len(buf) + 1, 0}, {off, len(buf)}, {1 << 62, 1 << 62}} {
		if _, _, err := p.in.Seal(buf, c.off, c.n, 1); !errors.Is(err, ErrRoom) {
			t.Errorf("buf[%d:+%d]: %v", c.off, c.n, err)
		}
		if _, err := p.out.Open(buf, c.off, c.n, 1, Inbound{}); !errors.Is(err, ErrRoom) {
			t.Errorf("open buf[%d:+%d]: %v", c.off, c.n, err)
		}
	}
	tight := append(make([]byte, 23), good...)
	if _, _, err := p.in.Seal(append(tight, make([]byte, Tailroom)...), 23, 60, 1); !errors.Is(err, ErrRoom) {
		t.Errorf("no headroom: %v", err)
	}
	if _, _, err := p.in.Seal(append(make([]byte, Headroom), good...), Headroom, 60, 1); !errors.Is(err, ErrRoom) {
		t.Errorf("no tailroom: %v", err)
	}
}

// TestSealCutsWhatIsBehind: octets behind the packet's own length are not sent.
func TestSealCutsWhatIsBehind(t *testing.T) {
	p := newPair(t, suiteOf(t, "aes128gcm16").sa())
	inner := udp(t, false, 62)
	exact, _ := p.seal(t, inner)
	more, _ := p.seal(t, append(bytes.Clone(inner), 1, 2, 3, 4, 5, 6, 7, 8))
	if len(more) != len(exact) {
		t.Fatalf("%d octets, want %d", len(more), len(exact))
	}
	if got, err := p.open(more, Inbound{}); err != nil || !bytes.Equal(got, inner) {
		t.Fatalf("%x, %v", got, err)
	}
}

// TestRooms: Headroom and Tailroom are enough for every cipher.
func TestRooms(t *testing.T) {
	for _, s := range suites() {
		for _, v6 := range []bool{false, true} {
			for _, mode := range []Mode{Tunnel, Transport} {
				sa := s.sa()
				sa.Mode = mode
				p := newPair(t, sa)
				for size := 60; size < 77; size++ {
					pkt, _ := p.seal(t, udp(t, v6, size)) // a buffer with just that
					in := Inbound{Src: host4a, Dst: host4b}
					if v6 {
						in = Inbound{Src: host6a, Dst: host6b}
					}
					if _, err := p.open(pkt, in); err != nil {
						t.Fatalf("%s, IPv6 %v, mode %d: %v", s.name, v6, mode, err)
					}
				}
			}
		}
	}
}

func TestTFCPadding(t *testing.T) {
	sa := suiteOf(t, "aes128gcm16").sa()
	sa.TFCPad = 700
	p := newPair(t, sa)
	seal := func(size int) []byte {
		inner := udp(t, false, size)
		buf := slices.Concat(make([]byte, Headroom), inner, bytes.Repeat([]byte{0xee}, 1500))
		seq, _ := p.tx.Reserve(1)
		pkt, _, err := p.in.Seal(buf, Headroom, size, seq)
		if err != nil {
			t.Fatal(err)
		}
		pkt = bytes.Clone(pkt)
		if got, err := p.open(bytes.Clone(pkt), Inbound{}); err != nil || !bytes.Equal(got, inner) {
			t.Fatalf("%d octets: %x, %v", size, got, err)
		}
		return pkt
	}
	full := len(seal(700))
	for _, size := range []int{60, 61, 333, 699} {
		if n := len(seal(size)); n != full {
			t.Errorf("an inner packet of %d octets shows: %d, not %d", size, n, full)
		}
	}
	if n := len(seal(800)); n <= full {
		t.Errorf("a longer packet became %d", n)
	}
	// What was in the buffer must not go out as padding.
	buf := slices.Concat(make([]byte, Headroom), udp(t, false, 60), bytes.Repeat([]byte{0xee}, 1500))
	pkt, _, err := p.in.Seal(buf, Headroom, 60, 100)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := p.out.sealer.Open(pkt, espHeader, nil)
	if err != nil || !bytes.Equal(plain[60:700], make([]byte, 640)) {
		t.Errorf("TFC padding %x, %v", plain, err)
	}
	// Without room for the padding nothing is sent: a shorter packet would tell its length.
	tight, off := room(udp(t, false, 60))
	if _, _, err := p.in.Seal(tight, off, 60, 101); !errors.Is(err, ErrRoom) {
		t.Errorf("no room for the padding: %v", err)
	}
}

func TestTFCPaddingKeepsToThePathMTU(t *testing.T) {
	sa := suiteOf(t, "aes256-sha256").sa()
	sa.TFCPad = 0xffff
	p := newPair(t, sa)
	size := func() int {
		inner := udp(t, false, 60)
		buf := slices.Concat(make([]byte, Headroom), inner, make([]byte, 2000))
		seq, _ := p.tx.Reserve(1)
		pkt, _, err := p.in.Seal(buf, Headroom, 60, seq)
		if err != nil {
			t.Fatal(err)
		}
		return ip4Len + len(pkt)
	}
	if n := size(); n > 1500 || n < 1500-16 {
		t.Errorf("outer packet of %d octets, path MTU 1500", n)
	}
	p.tx.SetPathMTU(1000, false)
	if n := size(); n > 1000 || n < 1000-16 {
		t.Errorf("outer packet of %d octets, path MTU 1000", n)
	}
	p.tx.SetPathMTU(0, false)
	if n := size(); n > 160 {
		t.Errorf("outer packet of %d octets, no path MTU", n)
	}
}
