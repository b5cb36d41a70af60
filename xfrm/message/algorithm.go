package message

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goike/goike/crypto"
)

// Format prints the key as redacted. Without it package fmt would print the octets
// where a struct with a pointer to an Alg is printed with a verb that is not for it.
func (a Alg) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{%s %v %d}", a.Name, a.Key, a.ICVBits)
}

// check says whether the kernel could read the algorithm.
func (a *Alg) check() error {
	switch {
	case a == nil:
		return nil
	case a.Name == "" || len(a.Name) > maxName || strings.ContainsRune(a.Name, 0):
		return fmt.Errorf("algorithm %q: a name has 1 to %d octets", a.Name, maxName)
	case len(a.Key) > maxKey:
		return fmt.Errorf("algorithm %s: a key of %d octets, at most %d are possible", a.Name, len(a.Key), maxKey)
	}
	return nil
}

// size is that of the algorithm's attribute.
func (a *Alg) size() int {
	if a == nil {
		return 0
	}
	return attrHeaderLen + sizeAlgICV + len(a.Key) + pad(len(a.Key))
}

// appendAlg appends a struct xfrm_algo, as encryption and compression have it.
func appendAlg(b []byte, t uint16, a *Alg) []byte {
	if a == nil {
		return b
	}
	b, p := attribute(b, t, sizeAlg+len(a.Key))
	copy(p, a.Name)
	native.PutUint32(p[64:], uint32(8*len(a.Key)))
	copy(p[sizeAlg:], a.Key)
	return b
}

// appendAlgICV appends a struct xfrm_algo_auth or xfrm_algo_aead.
func appendAlgICV(b []byte, t uint16, a *Alg) []byte {
	if a == nil {
		return b
	}
	b, p := attribute(b, t, sizeAlgICV+len(a.Key))
	copy(p, a.Name)
	native.PutUint32(p[64:], uint32(8*len(a.Key)))
	native.PutUint32(p[68:], a.ICVBits)
	copy(p[sizeAlgICV:], a.Key)
	return b
}

func getAlg(p []byte) (*Alg, error) { return alg(p, 0, p[sizeAlg:]) }

func getAlgICV(p []byte) (*Alg, error) { return alg(p, native.Uint32(p[68:]), p[sizeAlgICV:]) }

// alg copies the key, so that the message can be overwritten.
func alg(p []byte, icvBits uint32, key []byte) (*Alg, error) {
	name, _, ended := bytes.Cut(p[:64], []byte{0})
	if !ended {
		return nil, fmt.Errorf("the name of the algorithm does not end")
	}
	octets := (uint64(native.Uint32(p[64:])) + 7) / 8
	if octets > uint64(len(key)) {
		return nil, fmt.Errorf("algorithm %q: a key of %d octets of which %d are there", name, octets, len(key))
	}
	return &Alg{Name: string(name), Key: crypto.Secret(bytes.Clone(key[:octets])), ICVBits: icvBits}, nil
}

// set puts a in the place of what is there, whose key is overwritten.
func (a *Alg) set(place **Alg) {
	if *place != nil {
		(*place).Key.Zero()
	}
	*place = a
}

// Zero overwrites the keys.
func (s *State) Zero() {
	for _, a := range []*Alg{s.Encr, s.Auth, s.AEAD, s.Comp} {
		if a != nil {
			a.Key.Zero()
		}
	}
}
