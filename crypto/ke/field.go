package ke

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// maxLimbs holds field elements of up to 512 bits.
const maxLimbs = 8

// element is a field element, least significant limb first, in Montgomery form
// (times 2^(64n) mod p). Limbs from n on are zero.
type element [maxLimbs]uint64

// field is arithmetic modulo an odd prime of at most 512 bits. The time that an
// operation takes depends on the prime only.
type field struct {
	n     int // limbs
	size  int // octets
	p     element
	inv   uint64 // -1/p mod 2^64
	one   element
	rr    element // 2^(128n) mod p: brings a number into Montgomery form
	minus []byte  // p-2: the exponent that inverts
}

// newField takes the prime as octets, most significant first.
func newField(prime []byte) *field {
	f := &field{n: (len(prime) + 7) / 8, size: len(prime), minus: invertExponent(prime)}
	f.p = f.load(prime)
	f.inv = f.p[0]
	for range 6 { // each round doubles the bits that are right (Newton)
		f.inv *= 2 - f.p[0]*f.inv
	}
	f.inv = -f.inv
	x := element{1}
	for i := range 128 * f.n {
		x = f.add(&x, &x)
		if i == 64*f.n-1 {
			f.one = x
		}
	}
	f.rr = x
	return f
}

// invertExponent computes prime-2, which inverts (Fermat).
func invertExponent(prime []byte) []byte {
	p := new(big.Int).SetBytes(prime)
	return p.Sub(p, big.NewInt(2)).Bytes()
}

// load reads octets into limbs.
func (f *field) load(b []byte) element {
	var padded [8 * maxLimbs]byte
	copy(padded[len(padded)-len(b):], b)
	var e element
	for i := range e {
		e[i] = binary.BigEndian.Uint64(padded[len(padded)-8*(i+1):])
	}
	return e
}

// decode reads a field element; false if it is not below p. The value is public.
func (f *field) decode(b []byte) (element, bool) {
	e := f.load(b)
	var borrow uint64
	for i := range f.n {
		_, borrow = bits.Sub64(e[i], f.p[i], borrow)
	}
	return f.mul(&e, &f.rr), borrow == 1
}

// encode writes a field element in f.size octets.
func (f *field) encode(e *element) []byte {
	plain := f.mul(e, &element{1})
	var b [8 * maxLimbs]byte
	for i, l := range plain {
		binary.BigEndian.PutUint64(b[len(b)-8*(i+1):], l)
	}
	return append([]byte(nil), b[len(b)-f.size:]...)
}

// reduce subtracts p once if carry | e is not below it.
func (f *field) reduce(e *element, carry uint64) element {
	var d element
	var borrow uint64
	for i := range f.n {
		d[i], borrow = bits.Sub64(e[i], f.p[i], borrow)
	}
	keep := -(borrow &^ carry) // all ones: e is below p as it is
	for i := range f.n {
		d[i] = e[i]&keep | d[i]&^keep
	}
	return d
}

func (f *field) add(a, b *element) element {
	var s element
	var carry uint64
	for i := range f.n {
		s[i], carry = bits.Add64(a[i], b[i], carry)
	}
	return f.reduce(&s, carry)
}

func (f *field) sub(a, b *element) element {
	var d element
	var borrow, carry uint64
	for i := range f.n {
		d[i], borrow = bits.Sub64(a[i], b[i], borrow)
	}
	mask := -borrow
	for i := range f.n {
		d[i], carry = bits.Add64(d[i], f.p[i]&mask, carry)
	}
	return d
}

// mul is Montgomery multiplication, limb by limb (CIOS).
func (f *field) mul(a, b *element) element {
	var t element
	var top uint64 // the limb above t
	for i := range f.n {
		t, top = f.mulStep(&t, top, a, b[i])
	}
	return f.reduce(&t, top)
}

// mulStep computes (t + a*b + m*p) / 2^64 with the m that makes it divide.
func (f *field) mulStep(t *element, top uint64, a *element, b uint64) (element, uint64) {
	var carry uint64
	for j := range f.n {
		carry, t[j] = mulAdd(a[j], b, t[j], carry)
	}
	top, over := bits.Add64(top, carry, 0)
	m := t[0] * f.inv
	carry, _ = mulAdd(m, f.p[0], t[0], 0)
	var r element
	for j := 1; j < f.n; j++ {
		carry, r[j-1] = mulAdd(m, f.p[j], t[j], carry)
	}
	r[f.n-1], carry = bits.Add64(top, carry, 0)
	return r, over + carry
}

// mulAdd computes x*y + a + b, which fits in two limbs.
func mulAdd(x, y, a, b uint64) (hi, lo uint64) {
	hi, lo = bits.Mul64(x, y)
	var c uint64
	lo, c = bits.Add64(lo, a, 0)
	hi += c
	lo, c = bits.Add64(lo, b, 0)
	return hi + c, lo
}

// invert returns 1/a, and 0 for 0: a^(p-2), whose exponent is public.
func (f *field) invert(a *element) element {
	r := f.one
	for _, b := range f.minus {
		for bit := 7; bit >= 0; bit-- {
			r = f.mul(&r, &r)
			if b>>bit&1 == 1 {
				r = f.mul(&r, a)
			}
		}
	}
	return r
}

// isZero needs no Montgomery form: 0 is 0 in either.
func (e *element) isZero() bool {
	var or uint64
	for _, l := range e {
		or |= l
	}
	return or == 0
}

// assign sets e to x where mask is all ones, and leaves it where mask is 0.
func (e *element) assign(x *element, mask uint64) {
	for i := range e {
		e[i] ^= (e[i] ^ x[i]) & mask
	}
}
