package seal

import (
	"bytes"
	"slices"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/internal/vectors"
)

// vector is a test vector of a cipher (Alg is set) or of an integrity algorithm.
type vector struct {
	Alg       string // the cipher as a word of proposals
	Key, Salt vectors.Hex
	IV        vectors.Hex
	Head      vectors.Hex // SPI and sequence number, or whatever is authenticated only
	ESN       vectors.Hex // high half of the sequence number
	Plain     vectors.Hex
	Sealed    vectors.Hex // ciphertext
	ICV       vectors.Hex

	Integ string // the integrity algorithm as a word of proposals
	Data  vectors.Hex

	Bad     bool // must not open
	Comment string
}

// sealWithIV seals with the IV that stands in the packet, as test vectors want.
func sealWithIV(s Sealer, pkt []byte, head int, esn []byte) {
	s.(interface {
		seal(pkt []byte, head int, esn []byte)
	}).seal(pkt, head, esn)
}

// algorithm reads a word of ESP proposals.
func algorithm(t *testing.T, typ crypto.Type, word string) crypto.Alg {
	t.Helper()
	for _, a := range crypto.Algorithms(typ) {
		if a.String() == word {
			return a
		}
	}
	t.Fatalf("no algorithm %q", word)
	return crypto.Alg{}
}

func (v *vector) esn() []byte {
	if len(v.ESN) == 0 {
		return nil
	}
	return v.ESN
}

// packet is the sealed packet of a vector; if it has no ICV, icv octets of zeros
// take its place.
func (v *vector) packet(icv int) []byte {
	tail := v.ICV
	if len(tail) == 0 {
		tail = make([]byte, icv)
	}
	return slices.Concat(v.Head, v.IV, v.Sealed, tail)
}

func TestCombinedVectors(t *testing.T) {
	for _, v := range vectors.Load[vector](t) {
		c := v.Test
		if c.Alg == "" || !crypto.Combined(algorithm(t, crypto.Encr, c.Alg)) {
			continue
		}
		encr := algorithm(t, crypto.Encr, c.Alg)
		s, err := New(encr, crypto.Alg{}, slices.Concat(crypto.Secret(c.Key), crypto.Secret(c.Salt)), nil)
		if err != nil {
			t.Fatalf("%s: %s: %v", v.Source, c.Alg, err)
		}
		if s.ICVLen() != len(c.ICV) || s.IVLen() != len(c.IV) {
			t.Fatalf("%s: %s: IV of %d and ICV of %d octets", v.Source, c.Alg, s.IVLen(), s.ICVLen())
		}
		head, sealed := len(c.Head), c.packet(0)
		plain, err := s.Open(bytes.Clone(sealed), head, c.esn())
		if c.Bad {
			if err == nil {
				t.Errorf("%s: %s: opens: %s", v.Source, c.Alg, c.Comment)
			}
			continue
		}
		if err != nil || !bytes.Equal(plain, c.Plain) {
			t.Errorf("%s: %s: opens as %x (%v), not %x", v.Source, c.Alg, plain, err, c.Plain)
		}
		pkt := slices.Concat(c.Head, c.IV, c.Plain, make([]byte, s.ICVLen()))
		if sealWithIV(s, pkt, head, c.esn()); !bytes.Equal(pkt, sealed) {
			t.Errorf("%s: %s: seals as %x, not %x", v.Source, c.Alg, pkt, sealed)
		}
	}
}

// TestClassicVectors tests ciphers whose vectors have no integrity protection: ours
// is added.
func TestClassicVectors(t *testing.T) {
	integ := algorithm(t, crypto.Integ, "sha256")
	for _, v := range vectors.Load[vector](t) {
		c := v.Test
		if c.Alg == "" || crypto.Combined(algorithm(t, crypto.Encr, c.Alg)) {
			continue
		}
		s, err := New(algorithm(t, crypto.Encr, c.Alg), integ,
			slices.Concat(crypto.Secret(c.Key), crypto.Secret(c.Salt)), make(crypto.Secret, crypto.KeyLen(integ)))
		if err != nil {
			t.Fatalf("%s: %s: %v", v.Source, c.Alg, err)
		}
		pkt := slices.Concat(c.Head, c.IV, c.Plain, make([]byte, s.ICVLen()))
		sealWithIV(s, pkt, len(c.Head), nil)
		if want := c.packet(0); !bytes.Equal(pkt[:len(pkt)-s.ICVLen()], want) {
			t.Errorf("%s: %s: seals as %x, not %x", v.Source, c.Alg, pkt, want)
		}
		if plain, err := s.Open(pkt, len(c.Head), nil); err != nil || !bytes.Equal(plain, c.Plain) {
			t.Errorf("%s: %s: opens as %x (%v), not %x", v.Source, c.Alg, plain, err, c.Plain)
		}
	}
}

// TestIntegrityVectors seals with the NULL cipher: then all is authenticated as it
// stands.
func TestIntegrityVectors(t *testing.T) {
	null := algorithm(t, crypto.Encr, "null")
	for _, v := range vectors.Load[vector](t) {
		c := v.Test
		if c.Integ == "" {
			continue
		}
		s, err := New(null, algorithm(t, crypto.Integ, c.Integ), nil, crypto.Secret(c.Key))
		if err != nil {
			t.Fatalf("%s: %s: %v", v.Source, c.Integ, err)
		}
		sealed := slices.Concat(c.Data, c.ICV)
		_, err = s.Open(bytes.Clone(sealed), 0, nil)
		if (err != nil) != c.Bad {
			t.Errorf("%s: %s: %x: %v (%s)", v.Source, c.Integ, sealed, err, c.Comment)
		}
		pkt := slices.Concat(c.Data, make([]byte, s.ICVLen()))
		if sealWithIV(s, pkt, 0, nil); bytes.Equal(pkt, sealed) == c.Bad {
			t.Errorf("%s: %s: seals as %x, not %x (%s)", v.Source, c.Integ, pkt, sealed, c.Comment)
		}
		if n := len(c.Data); n >= 4 && !c.Bad { // extended sequence numbers follow the data (RFC 4303, 2.8)
			if _, err := s.Open(slices.Concat(c.Data[:n-4], c.ICV), 0, c.Data[n-4:]); err != nil {
				t.Errorf("%s: %s: with the tail as high half: %v", v.Source, c.Integ, err)
			}
		}
	}
}

// TestEveryAlgorithm asserts that all of the registry that protects packets is
// built in and has an outside vector.
func TestEveryAlgorithm(t *testing.T) {
	has := map[string]bool{}
	for _, v := range vectors.Load[vector](t) {
		has[v.Test.Alg+v.Test.Integ] = has[v.Test.Alg+v.Test.Integ] || !v.Test.Bad
	}
	integ := algorithm(t, crypto.Integ, "sha256")
	for _, a := range crypto.Algorithms(crypto.Encr) {
		i := integ
		if crypto.Combined(a) {
			i = crypto.Alg{}
		}
		if _, err := New(a, i, make(crypto.Secret, crypto.KeyLen(a)), make(crypto.Secret, crypto.KeyLen(i))); err != nil {
			t.Error(err)
		}
		if !has[a.String()] {
			t.Errorf("%s has no test vector", a)
		}
	}
	null := algorithm(t, crypto.Encr, "null")
	for _, a := range crypto.Algorithms(crypto.Integ) {
		if _, err := New(null, a, nil, make(crypto.Secret, crypto.KeyLen(a))); err != nil {
			t.Error(err)
		}
		if !has[a.String()] {
			t.Errorf("%s has no test vector", a)
		}
	}
}
