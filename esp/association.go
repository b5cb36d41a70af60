package esp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/seal"
)

// association is what both halves of an SA have in common: its description without
// keys, and the keys apart, from which every worker makes a Sealer of its own.
type association struct {
	sa atomic.Pointer[SA] // never changed, only replaced

	mu                sync.Mutex // guards what follows against Zero
	encrKey, integKey crypto.Secret
	zeroed            bool
}

// Format keeps the keys out of whatever is printed: fmt does not see that they are
// secrets, since the fields are not exported.
func (a *association) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "SA %08x", a.sa.Load().ID.SPI)
}

var errZeroed = errors.New("the keys of the SA have been zeroed")

// setUp takes over sa; its keys are copied.
func (a *association) setUp(sa SA, dir Direction) error {
	if err := checkSA(&sa, dir); err != nil {
		return fmt.Errorf("SA %08x: %w", sa.ID.SPI, err)
	}
	a.encrKey, a.integKey = bytes.Clone(sa.EncrKey), bytes.Clone(sa.IntegKey)
	sa.EncrKey, sa.IntegKey = nil, nil
	a.sa.Store(&sa)
	return nil
}

func checkSA(sa *SA, dir Direction) error {
	switch {
	case sa.ID.SPI == 0:
		return errors.New("an SPI of 0 is never sent")
	case sa.Dir != dir:
		return errors.New("the SA is of the other direction")
	}
	return supportedShape(sa)
}

// sealer makes one more Sealer from the keys.
func (a *association) sealer() (seal.Sealer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sa := a.sa.Load()
	if a.zeroed {
		return nil, fmt.Errorf("SA %08x: %w", sa.ID.SPI, errZeroed)
	}
	s, err := seal.New(sa.Encr, sa.Integ, a.encrKey, a.integKey)
	if err != nil {
		return nil, fmt.Errorf("SA %08x: %w", sa.ID.SPI, err)
	}
	return s, nil
}

// SA describes the association, without its keys. What it points to is shared and
// must not be changed.
func (a *association) SA() SA { return *a.sa.Load() }

// Move changes the outer addresses and the encapsulation. Workers follow at once;
// sequence numbers and keys stay.
func (a *association) Move(src, dst netip.Addr, encap *Encap) {
	for {
		old := a.sa.Load()
		moved := *old
		moved.Src, moved.ID.Dst, moved.Encap = src, dst, encap
		if a.sa.CompareAndSwap(old, &moved) {
			return
		}
	}
}

// Zero overwrites the keys. Workers that exist go on with what they made of them;
// NewWorker fails from now on.
func (a *association) Zero() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.encrKey.Zero()
	a.integKey.Zero()
	a.zeroed = true
}

// shape is how the ESP packets of an SA are laid out (RFC 4303, 2).
type shape struct {
	iv, icv int
	align   int // payload, padding and the two octets of the trailer are a multiple of it
}

func shapeOf(s seal.Sealer) shape {
	return shape{iv: s.IVLen(), icv: s.ICVLen(), align: max(s.Align(), minAlign)}
}

const (
	espHeader  = 8 // SPI and sequence number
	espTrailer = 2 // pad length and next header
	minAlign   = 4 // the ICV starts on a multiple of 4 octets (RFC 4303, 2.4)
)

// padding is the number of padding octets behind n octets of payload.
func (s shape) padding(n int) int { return -(n + espTrailer) & (s.align - 1) }
