package sim

import (
	"io"
	"math/rand/v2"
	"sync"
	_ "unsafe" // go:linkname

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
)

// Most of the time of a simulation would go into key exchanges. So most hosts of most
// networks draw their key pairs from a few, and what comes of two of them is computed
// once. The values are those of the method, and the machines know nothing of it; nonces
// make the keys of each SA others all the same.
func init() {
	for _, id := range []uint16{crypto.KECurve25519, crypto.KEECP256} {
		methods[id] = &fewKeys{Method: methods[id], answers: make(map[string][2][]byte)}
	}
}

//go:linkname methods github.com/goike/goike/crypto/ke.methods
var methods map[uint16]ke.Method

// keyPairs is how many key pairs of either role there are. One key in freshKeys is
// another one, so that both ways are gone.
const (
	keyPairs  = 24
	freshKeys = 32
)

// fewKeys is a method with few key pairs.
type fewKeys struct {
	ke.Method
	mu      sync.Mutex
	offers  [keyPairs]*fewOffer
	answers map[string][2][]byte // by number of the answer and offer
}

// fewOffer is an offer that is made again and again.
type fewOffer struct {
	ke.Offer
	mu      sync.Mutex
	secrets map[string][]byte // by answer
}

// draw is the number of a key pair; ok is false where a fresh one is wanted.
func draw(r io.Reader) (n byte, ok bool) {
	var b [2]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, false
	}
	return b[0] % keyPairs, b[1]%freshKeys != 0
}

// Offer implements ke.Method.
func (f *fewKeys) Offer(r io.Reader) (ke.Offer, error) {
	n, ok := draw(r)
	if !ok {
		return f.Method.Offer(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.offers[n] == nil {
		o, err := f.Method.Offer(rand.NewChaCha8([32]byte{n, 1}))
		if err != nil {
			return nil, err
		}
		f.offers[n] = &fewOffer{Offer: o, secrets: make(map[string][]byte)}
	}
	return f.offers[n], nil
}

// known tells whether an offer is one of the few.
func (f *fewKeys) known(offer []byte) bool {
	for _, o := range f.offers {
		if o != nil && string(o.Public()) == string(offer) {
			return true
		}
	}
	return false
}

// Answer implements ke.Method.
func (f *fewKeys) Answer(r io.Reader, offer []byte) (answer, secret []byte, err error) {
	n, ok := draw(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !ok || !f.known(offer) {
		return f.Method.Answer(r, offer)
	}
	key := string(append([]byte{n}, offer...))
	both, ok := f.answers[key]
	if !ok {
		if both[0], both[1], err = f.Method.Answer(rand.NewChaCha8([32]byte{n, 2}), offer); err != nil {
			return nil, nil, err
		}
		f.answers[key] = both
	}
	return both[0], append([]byte(nil), both[1]...), nil
}

// maxSecrets bounds what is remembered of answers that are not of the few.
const maxSecrets = 4 * keyPairs

// Finish implements ke.Offer.
func (o *fewOffer) Finish(answer []byte) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	secret, ok := o.secrets[string(answer)]
	if !ok {
		var err error
		if secret, err = o.Offer.Finish(answer); err != nil {
			return nil, err
		}
		if len(o.secrets) < maxSecrets {
			o.secrets[string(answer)] = secret
		}
	}
	return append([]byte(nil), secret...), nil
}
