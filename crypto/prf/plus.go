package prf

import (
	"fmt"

	"github.com/goike/goike/crypto"
)

// families lists the tables of PRFs; one more family is one more name here.
var families = [][]PRF{hmacs, aesPRFs}

// Get returns the PRF with an IANA transform ID.
func Get(id uint16) (PRF, bool) {
	for _, f := range families {
		for _, p := range f {
			if p.ID() == id {
				return p, true
			}
		}
	}
	return nil, false
}

func name(id uint16) string { return crypto.Alg{Type: crypto.PRF, ID: id}.String() }

// maxBlocks is where the one-octet counter of prf+ ends.
const maxBlocks = 255

// Plus computes the first n octets of prf+(key, seed) (RFC 7296, 2.13). It fails
// if n is negative or more than 255 times the size of the PRF.
func Plus(p PRF, key, seed []byte, n int) ([]byte, error) {
	if n < 0 || n > maxBlocks*p.Size() {
		return nil, fmt.Errorf("prf+ with %s yields at most %d octets, not %d", p.Name(), maxBlocks*p.Size(), n)
	}
	out := make([]byte, 0, n+p.Size())
	var block []byte
	for i := byte(1); len(out) < n; i++ {
		block = p.Sum(key, block, seed, []byte{i})
		out = append(out, block...)
	}
	clear(out[n:])
	return out[:n:n], nil
}
