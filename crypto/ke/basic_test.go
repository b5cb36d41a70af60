package ke

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
)

// source is a reproducible source of randomness.
func source(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func TestBothSidesAgree(t *testing.T) {
	for id, m := range methods {
		if m.ID() != id || m.Name() == "" || m.Name() == "ke_"+strconv.Itoa(int(id)) {
			t.Errorf("method %d calls itself %d, %q", id, m.ID(), m.Name())
		}
		o, err := m.Offer(source(1))
		if err != nil {
			t.Fatal(m.Name(), err)
		}
		answer, theirs, err := m.Answer(source(2), o.Public())
		if err != nil {
			t.Fatal(m.Name(), err)
		}
		ours, err := o.Finish(answer)
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Errorf("%s: secrets differ (%v)", m.Name(), err)
		}
		if len(o.Public()) != m.PublicLen() || len(answer) != m.PublicLen() {
			t.Errorf("%s: public values of %d and %d octets, not %d", m.Name(), len(o.Public()), len(answer), m.PublicLen())
		}
	}
}
