package prf

import (
	"bytes"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/internal/vectors"
)

// vector is a test vector of a PRF (Out is set), of prf+ (Plus is set), or of prf+
// keyed with the PRF of Key and Data.
type vector struct {
	PRF       string
	Key, Data vectors.Hex
	Out       vectors.Hex
	Seed      vectors.Hex
	Plus      vectors.Hex
	Comment   string
}

func get(t *testing.T, word string) PRF {
	t.Helper()
	for _, a := range crypto.Algorithms(crypto.PRF) {
		if p, ok := Get(a.ID); ok && a.String() == word {
			return p
		}
	}
	t.Fatalf("no PRF %q", word)
	return nil
}

func TestVectors(t *testing.T) {
	for _, v := range vectors.Load[vector](t) {
		c := v.Test
		p := get(t, c.PRF)
		if c.Out != nil {
			if got := p.Sum(c.Key, c.Data); !bytes.Equal(got, c.Out) {
				t.Errorf("%s: %s: %x, not %x %s", v.Source, c.PRF, got, c.Out, c.Comment)
			}
		}
		if c.Plus == nil {
			continue
		}
		key := []byte(c.Key)
		if c.Data != nil {
			key = p.Sum(c.Key, c.Data)
		}
		for _, n := range []int{len(c.Plus), len(c.Plus) - 1, min(15, len(c.Plus)), 0} {
			got, err := Plus(p, key, c.Seed, n)
			if err != nil || !bytes.Equal(got, c.Plus[:n]) {
				t.Errorf("%s: %s: %x (%v), not %x %s", v.Source, c.PRF, got, err, c.Plus[:n], c.Comment)
			}
		}
	}
}

// TestEveryPRF asserts that all PRFs of the registry are built in, agree with it, and
// have vectors of their own and of prf+.
func TestEveryPRF(t *testing.T) {
	sums, pluses := map[string]bool{}, map[string]bool{}
	for _, v := range vectors.Load[vector](t) {
		sums[v.Test.PRF] = sums[v.Test.PRF] || v.Test.Out != nil
		pluses[v.Test.PRF] = pluses[v.Test.PRF] || v.Test.Plus != nil
	}
	for _, a := range crypto.Algorithms(crypto.PRF) {
		p, ok := Get(a.ID)
		if !ok {
			t.Errorf("%s is not built in", a)
			continue
		}
		if p.ID() != a.ID || p.Name() != a.String() || p.KeyLen() != crypto.KeyLen(a) || p.Size() != len(p.Sum([]byte{1})) {
			t.Errorf("%s: ID %d, name %s, key of %d and output of %d octets", a, p.ID(), p.Name(), p.KeyLen(), p.Size())
		}
		if !sums[a.String()] || !pluses[a.String()] {
			t.Errorf("%s has no test vector (%v), or none of prf+ (%v)", a, sums[a.String()], pluses[a.String()])
		}
	}
	for _, id := range []uint16{0, 1, 3, 9, 65535} {
		if _, ok := Get(id); ok {
			t.Errorf("transform %d is a PRF", id)
		}
	}
}

// TestSumJoins asserts that it does not matter how the data is cut, and that nothing
// given is changed.
func TestSumJoins(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10)
	for _, a := range crypto.Algorithms(crypto.PRF) {
		p := get(t, a.String())
		for _, key := range [][]byte{nil, {1}, bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{1}, 17), bytes.Repeat([]byte{1}, 200)} {
			want := p.Sum(key, data)
			for i := range data {
				if !bytes.Equal(p.Sum(key, data[:i], nil, data[i:]), want) {
					t.Fatalf("%s: differs if cut at %d", a, i)
				}
			}
			if !bytes.Equal(key, bytes.Repeat([]byte{1}, len(key))) {
				t.Errorf("%s: changes its key", a)
			}
		}
	}
}

func TestPlusEnds(t *testing.T) {
	for _, a := range crypto.Algorithms(crypto.PRF) {
		p := get(t, a.String())
		most := 255 * p.Size()
		out, err := Plus(p, []byte("key"), []byte("seed"), most)
		if err != nil || len(out) != most {
			t.Errorf("%s: %d octets (%v)", a, len(out), err)
		}
		for _, n := range []int{-1, most + 1} {
			if out, err := Plus(p, []byte("key"), []byte("seed"), n); err == nil || out != nil {
				t.Errorf("%s: %d octets accepted", a, n)
			}
		}
		// The last block is keyed with the counter 255 (RFC 7296, 2.13).
		size := p.Size()
		if last := p.Sum([]byte("key"), out[most-2*size:most-size], []byte("seed"), []byte{255}); !bytes.Equal(last, out[most-size:]) {
			t.Errorf("%s: the last block is %x, not %x", a, out[most-size:], last)
		}
	}
}

func BenchmarkPlus(b *testing.B) {
	for _, f := range families {
		for _, p := range f {
			b.Run(p.Name(), func(b *testing.B) {
				key, seed := make([]byte, p.KeyLen()), make([]byte, 80)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Plus(p, key, seed, 7*p.Size()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
