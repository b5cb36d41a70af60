package ke

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
)

// TestShortCurveConstants proves the constants of P-192 and P-224: primes p and n, the
// base point on the curve and of order n.
func TestShortCurveConstants(t *testing.T) {
	for _, m := range shortCurveMethods {
		w := m.(*dh).group.(*weierstrass)
		p := new(big.Int).Add(new(big.Int).SetBytes(w.f.minus), big.NewInt(2))
		n := new(big.Int).SetBytes(w.n)
		if !p.ProbablyPrime(0) || !n.ProbablyPrime(0) {
			t.Errorf("%s: p or n is no prime", m.Name())
		}
		x, y := w.affine(&w.g)
		if _, ok := w.decode(append(w.f.encode(&x), w.f.encode(&y)...)); !ok {
			t.Errorf("%s: base point is not on the curve", m.Name())
		}
		if r := w.multiply(&w.g, w.n); !r.z.isZero() {
			t.Errorf("%s: base point has another order", m.Name())
		}
		if a := new(big.Int).Add(new(big.Int).SetBytes(w.f.encode(&w.a)), big.NewInt(3)); a.Cmp(p) != 0 {
			t.Errorf("%s: a is not -3", m.Name())
		}
	}
}

// TestField compares the arithmetic of prime fields with math/big, edges included.
func TestField(t *testing.T) {
	rand := source(4)
	for _, m := range shortCurveMethods {
		f := m.(*dh).group.(*weierstrass).f
		p := new(big.Int).Add(new(big.Int).SetBytes(f.minus), big.NewInt(2))
		numbers := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), new(big.Int).Sub(p, big.NewInt(1)), new(big.Int).Rsh(p, 1)}
		for range 20 {
			b := make([]byte, f.size)
			_, _ = rand.Read(b)
			numbers = append(numbers, new(big.Int).Mod(new(big.Int).SetBytes(b), p))
		}
		get := func(n *big.Int) element {
			e, ok := f.decode(n.FillBytes(make([]byte, f.size)))
			if !ok {
				t.Fatalf("%s: %x refused", m.Name(), n)
			}
			return e
		}
		check := func(what string, got element, want *big.Int) {
			if w := new(big.Int).Mod(want, p).FillBytes(make([]byte, f.size)); !bytes.Equal(f.encode(&got), w) {
				t.Fatalf("%s: %s: %x, not %x", m.Name(), what, f.encode(&got), w)
			}
		}
		for _, a := range numbers {
			x := get(a)
			if a.Sign() != 0 {
				check("inverse", f.invert(&x), new(big.Int).ModInverse(a, p))
			}
			for _, b := range numbers {
				y := get(b)
				check("sum", f.add(&x, &y), new(big.Int).Add(a, b))
				check("difference", f.sub(&x, &y), new(big.Int).Sub(a, b))
				check("product", f.mul(&x, &y), new(big.Int).Mul(a, b))
			}
		}
		if _, ok := f.decode(p.FillBytes(make([]byte, f.size))); ok {
			t.Errorf("%s: the prime itself is taken", m.Name())
		}
	}
}

// TestBadPoints: RFC 6989, 2.3.
func TestBadPoints(t *testing.T) {
	primes := map[string]string{ // FIPS 186-4, D.1.2
		"ecp192": "fffffffffffffffffffffffffffffffeffffffffffffffff",
		"ecp224": "ffffffffffffffffffffffffffffffff000000000000000000000001",
		"ecp256": "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
		"ecp384": "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
		"ecp521": "01" + strings.Repeat("ff", 65),
	}
	for name, prime := range primes {
		m := method(t, name)
		o, err := m.Offer(source(3))
		if err != nil {
			t.Fatal(err)
		}
		size := m.PublicLen() / 2
		good := o.Public()
		p := mustHex(prime)
		refuses(t, m, "0, 0", make([]byte, 2*size))
		refuses(t, m, "0, 1", append(make([]byte, 2*size-1), 1))
		refuses(t, m, "all ones", bytes.Repeat([]byte{0xff}, 2*size))
		refuses(t, m, "x = p", append(bytes.Clone(p), good[size:]...))
		refuses(t, m, "y = p", append(bytes.Clone(good[:size]), p...))
		refuses(t, m, "swapped coordinates", append(bytes.Clone(good[size:]), good[:size]...))
		for _, i := range []int{0, size - 1, size, 2*size - 1} {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			refuses(t, m, fmt.Sprintf("a point with octet %d changed", i), bad)
		}
		refuses(t, m, "the uncompressed form", append([]byte{4}, good...))
		refuses(t, m, "a compressed point", append([]byte{2}, good[:size]...))
		refuses(t, m, "the point at infinity", []byte{0})
		refuses(t, m, "x alone", good[:size]) // RFC 4753 before its erratum
	}
}

// TestUnreducedCoordinates: x + p stands for x, but is not its form.
func TestUnreducedCoordinates(t *testing.T) {
	m := method(t, "ecp521") // the one whose coordinates leave room
	o, err := m.Offer(source(3))
	if err != nil {
		t.Fatal(err)
	}
	size := m.PublicLen() / 2
	x := new(big.Int).SetBytes(o.Public()[:size])
	x.Add(x, fromHex("01"+strings.Repeat("ff", 65)))
	refuses(t, m, "x + p", append(x.FillBytes(make([]byte, size)), o.Public()[size:]...))
}

// TestSmallOrder: the points of small order of RFC 7748's curves give a secret of
// zeros, which is refused (RFC 8031, 2.3 and RFC 7748, 6).
func TestSmallOrder(t *testing.T) {
	for name, points := range map[string][]string{
		"curve25519": { // 0, 1, two of order 8, p-1, p, p+1 (cr.yp.to/ecdh.html), and with the unused bit set
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
			"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"0000000000000000000000000000000000000000000000000000000000000080",
		},
		"curve448": { // 0, 1, p-1, p, p+1
			strings.Repeat("00", 56),
			"01" + strings.Repeat("00", 55),
			"fe" + strings.Repeat("ff", 27) + "fe" + strings.Repeat("ff", 27),
			strings.Repeat("ff", 28) + "fe" + strings.Repeat("ff", 27),
			strings.Repeat("00", 28) + strings.Repeat("ff", 28),
		},
	} {
		for _, p := range points {
			refuses(t, method(t, name), p, mustHex(p))
		}
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestBadRandomness(t *testing.T) {
	broken := errors.New("broken")
	for _, m := range methods {
		for _, r := range []io.Reader{strings.NewReader(""), strings.NewReader("short"), io.MultiReader(strings.NewReader("short"), errReader{broken})} {
			if o, err := m.Offer(r); err == nil || o != nil {
				t.Errorf("%s: an offer without randomness", m.Name())
			}
		}
		o, err := m.Offer(source(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Answer(errReader{broken}, o.Public()); !errors.Is(err, broken) {
			t.Errorf("%s: %v", m.Name(), err)
		}
		_, err = m.Offer(zeros{})
		_, isMODP := m.(*dh).group.(*modp)
		switch {
		case isMODP && m.(*dh).group.(*modp).subgroup == nil, m.ID() == crypto.KECurve25519, m.ID() == crypto.KECurve448:
			if err != nil {
				t.Errorf("%s: %v", m.Name(), err) // any octets are a key
			}
		case !errors.Is(err, errRandom):
			t.Errorf("%s: zero as a private key: %v", m.Name(), err)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestOffersHidePrivateKeys prints offers in every way.
func TestOffersHidePrivateKeys(t *testing.T) {
	for _, m := range methods {
		o, err := m.Offer(source(1))
		if err != nil {
			t.Fatal(err)
		}
		private := *o.(*dhOffer).key
		tail := private[len(private)-4:]
		inHex, inDecimal := hex.EncodeToString(tail), strings.Trim(fmt.Sprintf("%d", []byte(tail)), "[]")
		for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			for _, v := range []any{o, []Offer{o}, struct{ O Offer }{o}, struct{ o Offer }{o}} {
				if s := fmt.Sprintf(f, v); strings.Contains(strings.ToLower(s), inHex) || strings.Contains(s, inDecimal) {
					t.Errorf("%s: %s shows %s", m.Name(), f, s)
				}
			}
		}
	}
}

func FuzzFinish(f *testing.F) {
	var offers []Offer
	for _, id := range []uint16{2, 19, 20, 21, 22, 25, 26, 31, 32} {
		m, _ := Get(id)
		o, err := m.Offer(source(1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(len(offers)), o.Public())
		f.Add(byte(len(offers)), make([]byte, m.PublicLen()))
		offers = append(offers, o)
	}
	f.Fuzz(func(t *testing.T, which byte, public []byte) {
		o := offers[int(which)%len(offers)]
		secret, err := o.Finish(public)
		if err != nil && (!errors.Is(err, ErrPublic) || secret != nil) {
			t.Fatalf("%v", err)
		}
		if err == nil && (len(public) != len(o.Public()) || len(secret) == 0 || bytes.Equal(secret, make([]byte, len(secret)))) {
			t.Fatalf("%x gives %x", public, secret)
		}
	})
}
