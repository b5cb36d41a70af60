package seal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/goike/goike/crypto"
)

func TestSealThenOpen(t *testing.T) {
	for _, c := range combos(t) {
		tx, rx := c.sealer(t), c.sealer(t)
		for _, head := range []int{0, 3, 8, 32, 100} {
			for _, esn := range [][]byte{nil, {1, 2, 3, 4}} {
				for _, n := range []int{0, 1, 15, 16, 17, 100, 1500} {
					pkt := packet(tx, head, n)
					plain := bytes.Clone(pkt[head+tx.IVLen() : len(pkt)-tx.ICVLen()])
					before := bytes.Clone(pkt[:head])
					tx.Seal(pkt, head, esn, 77)
					if !bytes.Equal(pkt[:head], before) {
						t.Fatalf("%s: Seal changed the head", c.name)
					}
					got, err := rx.Open(bytes.Clone(pkt), head, esn)
					if err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("%s, head %d, %d octets: %v", c.name, head, n, err)
					}
				}
			}
		}
	}
}

// TestForgeries changes every octet of a packet and the sequence number's high
// half, and cuts the packet everywhere.
func TestForgeries(t *testing.T) {
	for _, c := range combos(t) {
		s := c.sealer(t)
		esn := []byte{0, 0, 0, 9}
		pkt := packet(s, espHead, 32)
		s.Seal(pkt, espHead, esn, 5)
		check := func(what string, p, esn []byte) {
			if plain, err := s.Open(p, espHead, esn); !errors.Is(err, ErrAuth) || plain != nil {
				t.Fatalf("%s: %s accepted (%v)", c.name, what, err)
			}
		}
		for i := range pkt {
			bad := bytes.Clone(pkt)
			bad[i] ^= 0x10
			check("a changed octet", bad, esn)
		}
		for n := espHead; n < len(pkt); n++ {
			check("a shortened packet", bytes.Clone(pkt[:n]), esn)
		}
		check("another high half", bytes.Clone(pkt), []byte{0, 0, 0, 8})
		check("no high half", bytes.Clone(pkt), nil)
		if _, err := s.Open(pkt, espHead, esn); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
}

// TestIVs asserts that IVs do not repeat and that those of CBC look random.
func TestIVs(t *testing.T) {
	for _, c := range combos(t) {
		s := c.sealer(t)
		seen := map[string]bool{}
		for n := range uint64(100) {
			pkt := packet(s, espHead, 16)
			s.Seal(pkt, espHead, nil, n)
			iv := pkt[espHead : espHead+s.IVLen()]
			if len(iv) > 0 && seen[string(iv)] {
				t.Fatalf("%s: IV repeats", c.name)
			}
			seen[string(iv)] = true
			if c.encr.ID == crypto.EncrAESCBC && bytes.Equal(iv[:8], make([]byte, 8)) {
				t.Fatalf("%s: IV shows the counter", c.name)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	gcm := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 128}
	cbc := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESCBC, KeyBits: 128}
	sha1 := crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA1}
	for name, c := range map[string]struct {
		encr, integ crypto.Alg
		ek, ik      int
	}{
		"no cipher":          {crypto.Alg{}, crypto.Alg{}, 0, 0},
		"unknown cipher":     {crypto.Alg{Type: crypto.Encr, ID: 999}, sha1, 16, 20},
		"unknown key length": {crypto.Alg{Type: crypto.Encr, ID: 12, KeyBits: 129}, sha1, 16, 20},
		"PRF as cipher":      {crypto.Alg{Type: crypto.PRF, ID: 5}, sha1, 32, 20},
		"GCM without salt":   {gcm, crypto.Alg{}, 16, 0},
		"GCM with integrity": {gcm, sha1, 20, 20},
		"CBC without any":    {cbc, crypto.Alg{}, 16, 0},
		"short key":          {cbc, sha1, 15, 20},
		"short integ key":    {cbc, sha1, 16, 19},
		"PRF as integrity":   {cbc, crypto.Alg{Type: crypto.PRF, ID: 2}, 16, 20},
	} {
		if s, err := New(c.encr, c.integ, make([]byte, c.ek), make([]byte, c.ik)); err == nil || s != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	cs := combos(f)
	for i, c := range cs {
		s := c.sealer(f)
		pkt := packet(s, espHead, 20)
		s.Seal(pkt, espHead, nil, 3)
		f.Add(byte(i), byte(espHead), false, pkt)
		f.Add(byte(i), byte(espHead), true, pkt[:len(pkt)/2])
	}
	f.Fuzz(func(t *testing.T, which, head byte, high bool, pkt []byte) {
		c := cs[int(which)%len(cs)]
		h := min(int(head), len(pkt))
		var esn []byte
		if high {
			esn = []byte{0, 0, 0, 1}
		}
		in := bytes.Clone(pkt)
		plain, err := c.sealer(t).Open(pkt, h, esn)
		if err != nil {
			if !errors.Is(err, ErrAuth) || plain != nil {
				t.Fatalf("unexpected %v", err)
			}
			return
		}
		// What opens is what Seal makes of the same plaintext and IV.
		again := bytes.Clone(pkt)
		sealWithIV(c.sealer(t), again, h, esn)
		if !bytes.Equal(again, in) {
			t.Fatalf("%s: opened %x, which seals to %x", c.name, in, again)
		}
	})
}
