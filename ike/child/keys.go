package child

import (
	"fmt"
	"io"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/prf"
)

// Keys protect one direction of a child SA.
type Keys struct{ Encr, Integ crypto.Secret }

// Format keeps the keys out of whatever is printed, also by a verb that is none for
// them: fmt then asks the secrets themselves no more.
func (Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Zero wipes the keys.
func (k *Keys) Zero() {
	k.Encr.Zero()
	k.Integ.Zero()
}

// DeriveKeys computes KEYMAT and divides it (RFC 7296, 2.17): the encryption key,
// then the integrity key, first from the exchange's initiator to its responder.
// dh is nil without perfect forward secrecy.
func DeriveKeys(f prf.PRF, skd crypto.Secret, dh, ni, nr []byte, s crypto.Suite) (initiator, responder Keys, err error) {
	seed := make([]byte, 0, len(dh)+len(ni)+len(nr))
	seed = append(append(append(seed, dh...), ni...), nr...)
	defer clear(seed)
	el, il := crypto.KeyLen(s.Encr), crypto.KeyLen(s.Integ)
	mat, err := prf.Plus(f, skd, seed, 2*(el+il))
	if err != nil {
		return Keys{}, Keys{}, err
	}
	cut := func(n int) crypto.Secret {
		k := mat[:n:n]
		mat = mat[n:]
		return k
	}
	initiator = Keys{Encr: cut(el), Integ: cut(il)}
	responder = Keys{Encr: cut(el), Integ: cut(il)}
	return initiator, responder, nil
}
