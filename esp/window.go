package esp

import (
	"fmt"
	"math"
	"math/bits"
)

// The sizes of a replay window (RFC 4303, 3.4.3, asks for 32 at least).
const (
	minWindow = 32
	maxWindow = 4096
)

// window is a replay window: a ring of bits, one for each sequence number up to the
// highest authentic one (RFC 6479), and the inference of the high half of extended
// sequence numbers (RFC 4303, A2).
type window struct {
	size uint64 // 0: nothing is a replay
	esn  bool
	top  uint64   // the highest authentic sequence number, 0 before the first
	ring []uint64 // as many words as a power of two; nil when size is 0
}

func newWindow(size uint32, esn bool) (window, error) {
	w := window{size: uint64(size), esn: esn}
	if size == 0 {
		return w, nil
	}
	if size < minWindow || size > maxWindow {
		return w, fmt.Errorf("replay window of %d packets; it is %d to %d, or 0 for none", size, minWindow, maxWindow)
	}
	// One word more than the window: the word of the top is in part ahead of it.
	words := (size+63)/64 + 1
	w.ring = make([]uint64, 1<<bits.Len32(words-1))
	return w, nil
}

// infer finds the sequence number that a packet with these low 32 bits has. It is
// false when that would be beyond 2^64-1.
func (w *window) infer(low uint32) (seq uint64, ok bool) {
	if !w.esn {
		return uint64(low), true
	}
	size := uint32(w.size)
	if size == 0 {
		size = 1 << 31 // without a window: the number nearest to the top
	}
	topLow, high := uint32(w.top), w.top>>32
	bottom := topLow - (size - 1)
	switch {
	case topLow >= size-1 && low < bottom: // the window lies in one subspace, low in the next
		high++
	case topLow < size-1 && low >= bottom && high > 0: // the window reaches back into the last one
		high--
	}
	return high<<32 | uint64(low), high <= math.MaxUint32
}

// fresh tells whether seq has not been seen and is not behind the window.
func (w *window) fresh(seq uint64) bool {
	switch {
	case w.size == 0:
		return true
	case seq == 0: // never sent (RFC 4303, 2.2)
		return false
	case seq > w.top:
		return true
	case w.top-seq >= w.size:
		return false
	}
	return *w.word(seq)&(1<<(seq&63)) == 0
}

// mark notes that seq was seen. The caller has asked fresh.
func (w *window) mark(seq uint64) {
	if w.size == 0 {
		w.top = max(w.top, seq)
		return
	}
	if seq > w.top {
		n := min(seq>>6-w.top>>6, uint64(len(w.ring)))
		for i := range n {
			*w.word(seq - i<<6) = 0
		}
		w.top = seq
	}
	*w.word(seq) |= 1 << (seq & 63)
}

// word is where the bit of seq is kept.
func (w *window) word(seq uint64) *uint64 { return &w.ring[seq>>6&uint64(len(w.ring)-1)] }
