package esp

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// The next process goes on behind the last sequence number, and the one before gives
// none out any more.
func TestResumeSender(t *testing.T) {
	for _, c := range []struct {
		esn         bool
		last, first uint64 // first 0: there is none
	}{
		{false, 0, handoverGap + 1},
		{false, 1000, 1000 + handoverGap + 1},
		{true, 1 << 40, 1<<40 + handoverGap + 1},
		{false, math.MaxUint32 - handoverGap - 1, math.MaxUint32},
		{false, math.MaxUint32 - 3, 0},
		{false, math.MaxUint32, 0},
		{true, math.MaxUint64 - 3, 0},
		{false, math.MaxUint64, 0}, // nobody has written that
	} {
		sa := suiteOf(t, "aes128gcm16").sa()
		sa.ESN = c.esn
		s, err := NewSender(sa)
		if err != nil {
			t.Fatal(err)
		}
		s.last.Store(min(c.last, s.lastEver))
		h, err := s.Held()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Reserve(1); ok {
			t.Errorf("after %#x the old process gives out more", c.last)
		}
		if !bytes.Equal(h.SA.EncrKey, sa.EncrKey) || h.Last != min(c.last, s.lastEver) {
			t.Errorf("after %#x: held %+v", c.last, h)
		}
		h.Last = c.last
		next, err := ResumeSender(h)
		if err != nil {
			t.Fatal(err)
		}
		if first, ok := next.Reserve(1); first != c.first || ok != (c.first != 0) {
			t.Errorf("after %#x: %#x, %v, want %#x", c.last, first, ok, c.first)
		}
		s.Zero()
		if _, err := s.Held(); err == nil {
			t.Error("keys that are zeroed are handed over")
		}
		if h.Zero(); slices.ContainsFunc(h.SA.EncrKey, func(b byte) bool { return b != 0 }) {
			t.Error("the keys are still there")
		}
	}
}

// The next process takes exactly the packets that the one before would have taken.
func TestResumeReceiver(t *testing.T) {
	for _, size := range []uint32{0, 32, 64, 100, 4096} {
		for _, esn := range []bool{false, true} {
			sa := suiteOf(t, "aes128gcm16").sa()
			sa.Dir, sa.Window, sa.ESN = In, size, esn
			r, err := NewReceiver(sa)
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq < 9000; seq += 1 + seq%7 {
				r.Accept(seq)
			}
			h, err := r.Held()
			if err != nil {
				t.Fatal(err)
			}
			next, err := ResumeReceiver(h)
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq < 9100; seq++ {
				if want, got := r.seen.fresh(seq), next.seen.fresh(seq); got != want {
					t.Fatalf("window %d: %d is fresh: %v, want %v", size, seq, got, want)
				}
			}
			h.Seen = append(h.Seen, 0)
			if _, err := ResumeReceiver(h); err == nil {
				t.Error("a window of another size is taken")
			}
			h.Seen = h.Seen[:len(h.Seen)-1]
			if h.Last = 1 << 40; !esn {
				if _, err := ResumeReceiver(h); err == nil {
					t.Error("a sequence number that there is not is taken")
				}
			}
		}
	}
}
