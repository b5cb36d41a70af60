package esp

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/goike/goike/crypto"
)

func TestReserveEndsAndNeverWraps(t *testing.T) {
	for _, c := range []struct {
		esn  bool
		last uint64
	}{{false, math.MaxUint32}, {true, math.MaxUint64}} {
		sa := suiteOf(t, "aes128gcm16").sa()
		sa.ESN = c.esn
		s, err := NewSender(sa)
		if err != nil {
			t.Fatal(err)
		}
		if first, ok := s.Reserve(3); first != 1 || !ok {
			t.Fatalf("first numbers: %d, %v", first, ok)
		}
		if first, ok := s.Reserve(1); first != 4 || !ok {
			t.Fatalf("next number: %d, %v", first, ok)
		}
		s.last.Store(c.last - 5)
		if _, ok := s.Reserve(6); ok {
			t.Fatal("six numbers given where five are left")
		}
		if first, ok := s.Reserve(4); first != c.last-4 || !ok {
			t.Fatalf("%#x, %v", first, ok)
		}
		if first, ok := s.Reserve(1); first != c.last || !ok {
			t.Fatalf("last number: %#x, %v", first, ok)
		}
		for _, n := range []int{1, 2, math.MaxInt, 0, -1} {
			if first, ok := s.Reserve(n); ok {
				t.Fatalf("%d numbers after the last one: %#x", n, first)
			}
		}
	}
}

func TestReserveConcurrently(t *testing.T) {
	s, err := NewSender(suiteOf(t, "aes128gcm16").sa())
	if err != nil {
		t.Fatal(err)
	}
	const goroutines, each = 8, 500
	s.last.Store(math.MaxUint32 - goroutines*each/2*3)
	seen := make([]map[uint64]bool, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		seen[i] = map[uint64]bool{}
		wg.Go(func() {
			for range each {
				if first, ok := s.Reserve(3); ok {
					seen[i][first], seen[i][first+1], seen[i][first+2] = true, true, true
				}
			}
		})
	}
	wg.Wait()
	all := map[uint64]bool{}
	for _, m := range seen {
		for seq := range m {
			if all[seq] || seq > math.MaxUint32 {
				t.Fatalf("%d given twice or beyond the end", seq)
			}
			all[seq] = true
		}
	}
	if want := goroutines * each / 2 * 3; len(all) != want {
		t.Fatalf("%d numbers given, want %d", len(all), want)
	}
}

// TestMaxInner seals packets of exactly that size and of one octet more, for every
// layout of packets that there is.
func TestMaxInner(t *testing.T) {
	for _, s := range suites() {
		for _, outer6 := range []bool{false, true} {
			for _, encap := range []*Encap{nil, {Local: 4500, Remote: 4500}} {
				for _, mode := range []Mode{Tunnel, Transport} {
					sa := s.sa()
					sa.Encap, sa.Mode = encap, mode
					p := newPair(t, sa)
					for mtu := 576; mtu < 576+17; mtu++ {
						checkMaxInner(t, p, mtu, outer6, fmt.Sprintf("%s/outer6=%v/encap=%v/mode=%d", s.name, outer6, encap != nil, mode))
					}
				}
			}
		}
	}
}

func checkMaxInner(t *testing.T, p pair, mtu int, outer6 bool, name string) {
	t.Helper()
	outer := ip4Len
	if outer6 {
		outer = ip6Len
	}
	if p.tx.SA().Encap != nil {
		outer += udpLen
	}
	n := p.tx.MaxInner(mtu, outer6)
	for _, c := range []struct {
		size int
		fits bool
	}{{n, true}, {n + 1, false}} {
		pkt, _ := p.seal(t, udp(t, outer6, c.size))
		if fits := outer+len(pkt) <= mtu; fits != c.fits {
			t.Fatalf("%s: MTU %d: an inner packet of %d octets makes an outer one of %d", name, mtu, c.size, outer+len(pkt))
		}
	}
}

func TestMaxInnerOfNothing(t *testing.T) {
	s, err := NewSender(suiteOf(t, "aes256-sha512").sa())
	if err != nil {
		t.Fatal(err)
	}
	for _, mtu := range []int{math.MinInt / 2, -1, 0, 20, 40, 76} {
		if n := s.MaxInner(mtu, true); n != 0 {
			t.Errorf("MTU %d leaves %d", mtu, n)
		}
	}
	// What strongSwan and the kernel have for GCM in UDP over IPv4 and an MTU of 1500.
	s, err = NewSender(func() SA {
		sa := suiteOf(t, "aes256gcm16").sa()
		sa.Encap = &Encap{Local: 4500, Remote: 4500}
		return sa
	}())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.MaxInner(1500, false); n != 1438 {
		t.Errorf("GCM in UDP over IPv4: %d", n)
	}
}

func TestRefusedSAs(t *testing.T) {
	good := suiteOf(t, "aes128gcm16").sa()
	for _, c := range []struct {
		change func(*SA)
		want   string
	}{
		{func(sa *SA) { sa.ID.Proto = ProtoAH }, "not built in: AH"},
		{func(sa *SA) { sa.ID.Proto = ProtoIPComp }, "not built in: compression (IPComp)"},
		{func(sa *SA) { sa.ID.Proto = 7 }, "not built in: IP protocol 7"},
		{func(sa *SA) { sa.Mode = BEET }, "not built in: BEET mode"},
		{func(sa *SA) { sa.ID.SPI = 0 }, "SPI of 0"},
		{func(sa *SA) { sa.Dir = Forward }, "other direction"},
		{func(sa *SA) { sa.Mode = 7 }, "not built in: mode 7"},
		{func(sa *SA) { sa.EncrKey = sa.EncrKey[1:] }, "20 octets of key, not 19"},
		{func(sa *SA) { sa.Encr.ID = 4711 }, "encr_4711"},
		{func(sa *SA) { sa.Encr = crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESCBC, KeyBits: 128} }, "16 octets of key, not 20"},
	} {
		sa := good
		c.change(&sa)
		if _, err := NewSender(sa); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("sender: %v, want %q", err, c.want)
		}
		if sa.Dir == Out {
			sa.Dir = In
		}
		if _, err := NewReceiver(sa); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("receiver: %v, want %q", err, c.want)
		}
	}
	good.Dir, good.Window = In, 5000
	if _, err := NewReceiver(good); err == nil || !strings.Contains(err.Error(), "window of 5000") {
		t.Errorf("window: %v", err)
	}
	if _, err := NewSender(good); err == nil {
		t.Error("an inbound SA sends")
	}
}

func TestKeysAreCopiedHiddenAndZeroed(t *testing.T) {
	sa := suiteOf(t, "aes128-sha256").sa()
	s, err := NewSender(sa)
	if err != nil {
		t.Fatal(err)
	}
	held := s.encrKey
	sa.EncrKey.Zero()
	if bytes.Equal(held, sa.EncrKey) {
		t.Fatal("the key is not a copy")
	}
	if got := s.SA(); got.EncrKey != nil || got.IntegKey != nil || got.ID != sa.ID {
		t.Fatalf("description %+v", got)
	}
	s.Zero()
	if !bytes.Equal(held, make([]byte, 16)) {
		t.Fatal("the key is still there")
	}
	if _, err := s.NewWorker(); err == nil {
		t.Fatal("a worker without keys")
	}
}

func TestMove(t *testing.T) {
	p := newPair(t, suiteOf(t, "aes128gcm16").sa())
	before := p.tx.MaxInner(1500, false)
	src, dst := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")
	p.tx.Move(src, dst, &Encap{Local: 4500, Remote: 61000})
	sa := p.tx.SA()
	if sa.Src != src || sa.ID.Dst != dst || sa.Encap.Remote != 61000 || sa.ID.SPI != 0xc0ffee01 {
		t.Fatalf("moved: %+v", sa)
	}
	if after := p.tx.MaxInner(1500, false); after != before-udpLen {
		t.Fatalf("largest inner packet %d, before %d", after, before)
	}
	pkt, _ := p.seal(t, udp(t, false, 99))
	if _, err := p.open(pkt, Inbound{}); err != nil {
		t.Fatal(err)
	}
}

// Nothing that is printed of an SA shows its keys.
func TestKeysAreNotPrinted(t *testing.T) {
	sa := SA{
		ID: SAID{SPI: 0xabcd1234, Proto: ProtoESP}, Dir: Out, Encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 128},
		EncrKey: crypto.Secret("twenty octets of key"),
	}
	s, err := NewSender(sa)
	if err != nil {
		t.Fatal(err)
	}
	sa.Dir = In
	r, err := NewReceiver(sa)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []any{sa, &sa, s, r} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			got := fmt.Sprintf(verb, x)
			if strings.Contains(got, "twenty") || strings.Contains(got, "7477656e7479") || strings.Contains(got, "116 119 101") || strings.Contains(got, "0x74, 0x77") {
				t.Errorf("%s of %T shows the key: %s", verb, x, got)
			}
		}
	}
}
