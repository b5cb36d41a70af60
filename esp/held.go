package esp

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"time"
)

// Held is an SA as one process hands it over to the next: with its keys, with where its
// sequence numbers are, and with which have been seen. It is used once.
type Held struct {
	SA SA
	// Last is the sequence number given out last or, of an SA that receives, the highest
	// authentic one.
	Last uint64
	// Seen are the bits of the replay window: that of sequence number n is bit n mod 64 of
	// the word n/64 modulo their number.
	Seen           []uint64
	Bytes, Packets uint64        // that it has carried
	Age            time.Duration // since it was installed
}

// Zero overwrites the keys.
func (h *Held) Zero() {
	h.SA.EncrKey.Zero()
	h.SA.IntegKey.Zero()
}

// handoverGap is how many sequence numbers are left out when another process takes over.
const handoverGap = 64

// errSeen is the error of a replay window that is none.
var errSeen = errors.New("its replay window does not have the size that it should have")

// Held describes the SA for the next process. From then on Reserve gives nothing out.
func (s *Sender) Held() (Held, error) {
	sa, err := s.withKeys()
	return Held{SA: sa, Last: s.last.Swap(s.lastEver)}, err
}

// ResumeSender makes the sending half of an SA that another process has held. No sequence
// number that it has given out is given out again.
func ResumeSender(h Held) (*Sender, error) {
	s, err := NewSender(h.SA)
	if err == nil {
		last := min(h.Last, s.lastEver)
		s.last.Store(last + min(handoverGap, s.lastEver-last))
	}
	return s, err
}

// Held describes the SA for the next process.
func (r *Receiver) Held() (Held, error) {
	sa, err := r.withKeys()
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	return Held{SA: sa, Last: r.seen.top, Seen: slices.Clone(r.seen.ring)}, err
}

// ResumeReceiver makes the receiving half of an SA that another process has held. What
// that has seen is a replay.
func ResumeReceiver(h Held) (*Receiver, error) {
	r, err := NewReceiver(h.SA)
	if err != nil {
		return nil, err
	}
	if len(h.Seen) != len(r.seen.ring) || h.Last > r.seen.most() {
		return nil, errSeen
	}
	r.seen.top = h.Last
	copy(r.seen.ring, h.Seen)
	return r, nil
}

// most is the highest sequence number that there can be.
func (w *window) most() uint64 {
	if w.esn {
		return math.MaxUint64
	}
	return math.MaxUint32
}

// withKeys describes the association with its keys.
func (a *association) withKeys() (SA, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sa := *a.sa.Load()
	if a.zeroed {
		return SA{}, errZeroed
	}
	sa.EncrKey, sa.IntegKey = bytes.Clone(a.encrKey), bytes.Clone(a.integKey)
	return sa, nil
}
