package esp

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestInferRFC4303 is RFC 4303, A2.1 and its figures: which high half goes with which
// low half, in both cases of where the window lies.
func TestInferRFC4303(t *testing.T) {
	const w = 64
	for _, c := range []struct {
		name string
		top  uint64
		low  uint32
		want uint64
		ok   bool
	}{
		// Case A: Tl >= W-1, the window lies in one subspace. Bl = Tl-W+1.
		{"A, in the window", 5<<32 | 1000, 980, 5<<32 | 980, true},
		{"A, bottom of the window", 5<<32 | 1000, 937, 5<<32 | 937, true},
		{"A, below the window is the next subspace", 5<<32 | 1000, 936, 6<<32 | 936, true},
		{"A, zero is the next subspace", 5<<32 | 1000, 0, 6 << 32, true},
		{"A, above the top", 5<<32 | 1000, 1001, 5<<32 | 1001, true},
		{"A, end of the subspace", 5<<32 | 1000, math.MaxUint32, 5<<32 | math.MaxUint32, true},
		{"A, Tl = W-1", 5<<32 | 63, 0, 5 << 32, true},
		{"A, Tl = 2^32-1, window just full", 5<<32 | math.MaxUint32, math.MaxUint32 - 63, 5<<32 | (math.MaxUint32 - 63), true},
		{"A, Tl = 2^32-1, over the edge", 5<<32 | math.MaxUint32, 3, 6<<32 | 3, true},
		// Case B: Tl < W-1, the window spans two subspaces. Bl = Tl-W+1 mod 2^32.
		{"B, upper part", 5<<32 | 10, 10, 5<<32 | 10, true},
		{"B, above the top", 5<<32 | 10, 11, 5<<32 | 11, true},
		{"B, far above the top", 5<<32 | 10, 1 << 31, 5<<32 | 1<<31, true},
		{"B, lower part", 5<<32 | 10, math.MaxUint32, 4<<32 | math.MaxUint32, true},
		{"B, bottom of the window", 5<<32 | 10, math.MaxUint32 - 52, 4<<32 | (math.MaxUint32 - 52), true},
		{"B, below the window is this subspace", 5<<32 | 10, math.MaxUint32 - 53, 5<<32 | (math.MaxUint32 - 53), true},
		{"B, Tl = W-2", 5<<32 | 62, math.MaxUint32, 4<<32 | math.MaxUint32, true},
		// The ends of the whole space.
		{"first packet", 0, 1, 1, true},
		{"first packet, late", 0, 1 << 20, 1 << 20, true},
		{"nothing before the first subspace", 10, math.MaxUint32, math.MaxUint32, true},
		{"nothing behind the last subspace", math.MaxUint64, 0, 0, false},
		{"the very last number", math.MaxUint64 - 1, math.MaxUint32, math.MaxUint64, true},
	} {
		win := mustWindow(t, w, true)
		win.top = c.top
		if got, ok := win.infer(c.low); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %#x, %v, want %#x, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func mustWindow(t testing.TB, size uint32, esn bool) window {
	t.Helper()
	w, err := newWindow(size, esn)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestInferIsNearest compares with the definition: of all numbers with these low
// bits the one in the 2^32 numbers that begin with the window.
func TestInferIsNearest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	edges := []uint64{0, 1, 31, 32, 33, 62, 63, 64, 4095, 4096, 1<<31 - 1, 1 << 31, 1<<31 + 1,
		1<<32 - 4097, 1<<32 - 4096, 1<<32 - 33, 1<<32 - 1}
	for _, size := range []uint32{32, 33, 64, 100, 4096, 0} {
		width := uint64(size)
		if size == 0 {
			width = 1 << 31
		}
		for range 20000 {
			w := mustWindow(t, size, true)
			w.top = rnd.Uint64N(4)<<32 | edges[rnd.IntN(len(edges))]
			if rnd.IntN(8) == 0 {
				w.top |= math.MaxUint32 << 32
			}
			low := uint32(edges[rnd.IntN(len(edges))] + rnd.Uint64N(3) + w.top*rnd.Uint64N(2))
			want, wantOK := nearest(w.top, width, low)
			if got, ok := w.infer(low); ok != wantOK || ok && got != want {
				t.Fatalf("window %d, top %#x, low %#x: %#x, %v, want %#x, %v", size, w.top, low, got, ok, want, wantOK)
			}
		}
	}
}

func nearest(top, width uint64, low uint32) (uint64, bool) {
	space := big.NewInt(1 << 32)
	bottom := new(big.Int).SetUint64(top)
	bottom.Sub(bottom, new(big.Int).SetUint64(width-1))
	// The least number that is not below bottom and has the low bits.
	n := new(big.Int).Sub(big.NewInt(int64(low)), bottom)
	n.Mod(n, space).Add(n, bottom)
	if n.Sign() < 0 {
		n.Add(n, space)
	}
	return n.Uint64(), n.IsUint64()
}

// naive is a replay window that remembers everything.
type naive struct {
	size, top uint64
	seen      map[uint64]bool
}

func (n *naive) accept(seq uint64) bool {
	if seq == 0 || seq <= n.top && n.top-seq >= n.size || n.seen[seq] {
		return false
	}
	n.seen[seq] = true
	n.top = max(n.top, seq)
	return true
}

func accept(w *window, seq uint64) bool {
	if !w.fresh(seq) {
		return false
	}
	w.mark(seq)
	return true
}

// TestWindowExhaustive tries all sequences of five packets around the edges of words
// and of the window.
func TestWindowExhaustive(t *testing.T) {
	nums := []uint64{0, 1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 127, 128, 160, 1000}
	const length = 5
	total := 1
	for range length {
		total *= len(nums)
	}
	for code := range total {
		w := window{size: 32, ring: make([]uint64, 2)}
		n := naive{size: 32, seen: make(map[uint64]bool, length)}
		for i, c := 0, code; i < length; i, c = i+1, c/len(nums) {
			seq := nums[c%len(nums)]
			if got, want := accept(&w, seq), n.accept(seq); got != want {
				t.Fatalf("sequence %d, packet %d (%d): %v, want %v", code, i, seq, got, want)
			}
		}
	}
	if got := len(mustWindow(t, 32, false).ring); got != 2 {
		t.Fatalf("a window of 32 has %d words", got)
	}
}

func TestWindowRandomWalk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, size := range []uint32{32, 33, 63, 64, 65, 127, 128, 129, 1000, 1024, 4095, 4096} {
		for _, base := range []uint64{1, 1<<32 - 2000, math.MaxUint64 - 40000} {
			w, n := mustWindow(t, size, true), naive{size: uint64(size), seen: map[uint64]bool{}}
			at := base
			for range 6000 {
				switch rnd.IntN(40) {
				case 0:
					at += rnd.Uint64N(uint64(size) * 3)
				case 1:
					at += uint64(size) - 1 + rnd.Uint64N(3)
				default:
					at += rnd.Uint64N(3)
				}
				at = min(at, math.MaxUint64-1)
				seq := at - min(at, rnd.Uint64N(uint64(size)+70))
				if rnd.IntN(3) > 0 {
					seq = at
				}
				if got, want := accept(&w, seq), n.accept(seq); got != want {
					t.Fatalf("window %d, top %d, packet %d: %v, want %v", size, n.top, seq, got, want)
				}
			}
		}
	}
}

// TestWindowSizes wants exactly the size asked for: the packet that came last but
// size-1 is accepted, the one before it is not.
func TestWindowSizes(t *testing.T) {
	for size := uint32(minWindow); size <= maxWindow; size++ {
		for top := uint64(size) + 1; top < uint64(size)+130; top += 43 {
			w := mustWindow(t, size, false)
			w.mark(top)
			if oldest := top - uint64(size) + 1; !w.fresh(oldest) || w.fresh(oldest-1) {
				t.Fatalf("window %d, top %d: oldest %v, too old %v", size, top, w.fresh(oldest), w.fresh(oldest-1))
			}
		}
	}
	for _, size := range []uint32{1, 31, 4097, math.MaxUint32} {
		if _, err := newWindow(size, false); err == nil {
			t.Errorf("window of %d accepted", size)
		}
	}
}

func TestWindowZeroChecksNothing(t *testing.T) {
	w := mustWindow(t, 0, true)
	for _, seq := range []uint64{0, 7, 7, 1, 0} {
		if !accept(&w, seq) {
			t.Fatalf("%d refused", seq)
		}
	}
	w.mark(3<<32 | 5)
	if got, ok := w.infer(math.MaxUint32); !ok || got != 2<<32|math.MaxUint32 {
		t.Fatalf("late packet: %#x, %v", got, ok)
	}
	if got, ok := w.infer(6); !ok || got != 3<<32|6 {
		t.Fatalf("next packet: %#x, %v", got, ok)
	}
}

func TestReceiverSequence(t *testing.T) {
	p := newPair(t, suiteOf(t, "aes128gcm16").sa())
	inner := udp(t, false, 100)
	first, _ := p.seal(t, inner)
	second, _ := p.seal(t, inner)
	if _, err := p.open(second, Inbound{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(first, Inbound{}); err != nil {
		t.Fatalf("reordered packet: %v", err)
	}
	if _, err := p.open(first, Inbound{}); !errors.Is(err, ErrReplay) {
		t.Fatalf("replayed packet: %v", err)
	}
	// Two workers may have passed Check with the same packet.
	third, _ := p.seal(t, inner)
	seq, ok := p.rx.Check(third)
	if !ok || seq != 3 || !p.rx.Accept(seq) || p.rx.Accept(seq) {
		t.Fatal("a packet is accepted once")
	}
	if _, ok := p.rx.Check(third[:7]); ok {
		t.Fatal("seven octets have no sequence number")
	}
}

// TestForgedPacketsMoveNothing: a forged packet from the future, which would push the
// window beyond all real ones, changes no state.
func TestForgedPacketsMoveNothing(t *testing.T) {
	for _, esn := range []bool{false, true} {
		sa := suiteOf(t, "aes128gcm16").sa()
		sa.ESN = esn
		p := newPair(t, sa)
		good, _ := p.seal(t, udp(t, false, 100))
		forged := append([]byte(nil), good...)
		forged[4] = 0x7f
		if _, err := p.open(forged, Inbound{}); !errors.Is(err, ErrAuth) {
			t.Fatalf("forged: %v", err)
		}
		if _, err := p.open(good, Inbound{}); err != nil {
			t.Fatalf("after the forged one: %v", err)
		}
	}
}

func TestReceiverAtItsEnd(t *testing.T) {
	sa := suiteOf(t, "aes128gcm16").sa()
	sa.ESN = true
	p := newPair(t, sa)
	p.rx.seen.top = math.MaxUint64
	if seq, ok := p.rx.Check(make([]byte, 60)); ok {
		t.Errorf("a number behind the last one: %#x", seq)
	}
	p.rx.Zero()
	if _, err := p.rx.NewWorker(); err == nil {
		t.Error("a worker without keys")
	}
}
