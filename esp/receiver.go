package esp

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// Receiver is the receiving half of an SA. Its methods are safe for concurrent use.
// A packet goes through Check, then OpenWorker.Open, then Accept; only Accept changes
// anything, so that packets which are not authentic cannot.
type Receiver struct {
	association
	shape
	seenMu sync.Mutex
	seen   window
}

// NewReceiver makes the receiving half of the inbound ESP SA sa. The keys are
// copied: the caller may zero its own. AH and replay windows other than 0 and
// 32 to 4096 are refused.
func NewReceiver(sa SA) (*Receiver, error) {
	r := &Receiver{}
	if err := r.setUp(sa, In); err != nil {
		return nil, err
	}
	var err error
	if r.seen, err = newWindow(sa.Window, sa.ESN); err != nil {
		return nil, fmt.Errorf("SA %08x: %w", sa.ID.SPI, err)
	}
	probe, err := r.sealer()
	if err != nil {
		return nil, err
	}
	r.shape = shapeOf(probe)
	return r, nil
}

// Check looks at an ESP packet that is not yet authentic. It returns the sequence
// number, with ESN the inferred high half included (RFC 4303, A2), and false when
// there is none, or it was seen before or is behind the window.
func (r *Receiver) Check(pkt []byte) (seq uint64, ok bool) {
	if len(pkt) < espHeader {
		return 0, false
	}
	low := binary.BigEndian.Uint32(pkt[4:])
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	if seq, ok = r.seen.infer(low); !ok {
		return 0, false
	}
	return seq, r.seen.fresh(seq)
}

// Accept marks the sequence number of an authentic packet as seen. It is false when
// the number was seen or fell behind the window since Check: the packet is a replay.
func (r *Receiver) Accept(seq uint64) bool {
	r.seenMu.Lock()
	defer r.seenMu.Unlock()
	if !r.seen.fresh(seq) {
		return false
	}
	r.seen.mark(seq)
	return true
}

// NewWorker makes an opener for one goroutine.
func (r *Receiver) NewWorker() (*OpenWorker, error) {
	sealer, err := r.sealer()
	if err != nil {
		return nil, err
	}
	sa := r.sa.Load()
	return &OpenWorker{receiver: r, sealer: sealer, shape: r.shape, transport: sa.Mode == Transport, esn: sa.ESN, tos: tosRulesOf(sa)}, nil
}
