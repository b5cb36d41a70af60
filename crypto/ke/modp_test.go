package ke

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"github.com/goike/goike/crypto"
)

// pi returns floor(2^bits * pi), by Machin's formula.
func pi(bits uint) *big.Int {
	const guard = 64
	one := new(big.Int).Lsh(big.NewInt(1), bits+guard)
	arctan := func(n int64) *big.Int { // arctan(1/n)
		sum, power, square := new(big.Int), new(big.Int).Div(one, big.NewInt(n)), big.NewInt(n*n)
		for k := int64(1); power.Sign() != 0; k += 2 {
			term := new(big.Int).Div(power, big.NewInt(k))
			if k%4 == 1 {
				sum.Add(sum, term)
			} else {
				sum.Sub(sum, term)
			}
			power.Div(power, square)
		}
		return sum
	}
	p := new(big.Int).Mul(arctan(5), big.NewInt(16))
	p.Sub(p, new(big.Int).Mul(arctan(239), big.NewInt(4)))
	return p.Rsh(p, guard)
}

func fromHex(s string) *big.Int { return new(big.Int).SetBytes(mustHex(s)) }

// TestPrimes computes the primes by the formula of RFC 2409, 6.2 and RFC 3526:
// 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + c).
func TestPrimes(t *testing.T) {
	all := pi(8192)
	one := big.NewInt(1)
	for _, c := range []struct {
		text string
		n    uint
		c    int64
	}{
		{prime1024, 1024, 129093}, {prime1536, 1536, 741804}, {prime2048, 2048, 124476}, {prime3072, 3072, 1690314},
		{prime4096, 4096, 240904}, {prime6144, 6144, 929484}, {prime8192, 8192, 4743158},
	} {
		p := new(big.Int).Rsh(all, 8192-(c.n-130))
		p.Add(p, big.NewInt(c.c)).Lsh(p, 64).Sub(p, one)
		p.Add(p, new(big.Int).Lsh(one, c.n)).Sub(p, new(big.Int).Lsh(one, c.n-64))
		if got := fromHex(c.text); got.Cmp(p) != 0 {
			t.Errorf("%d bits: %x, not %x", c.n, got, p)
		}
		if c.n <= 2048 { // the larger ones take seconds
			if !p.ProbablyPrime(0) || !new(big.Int).Rsh(p, 1).ProbablyPrime(0) {
				t.Errorf("%d bits: no safe prime", c.n)
			}
		}
	}
}

var subgroups = []struct{ name, p, g, q string }{
	{"modp1024s160", prime1024s160, generator1024s160, order1024s160},
	{"modp2048s224", prime2048s224, generator2048s224, order2048s224},
	{"modp2048s256", prime2048s256, generator2048s256, order2048s256},
}

// TestSubgroups proves the constants of RFC 5114: primes p and q, q divides p-1, and g
// generates the subgroup of order q.
func TestSubgroups(t *testing.T) {
	one := big.NewInt(1)
	for _, s := range subgroups {
		p, g, q := fromHex(s.p), fromHex(s.g), fromHex(s.q)
		if !p.ProbablyPrime(0) || !q.ProbablyPrime(0) {
			t.Errorf("%s: p or q is no prime", s.name)
		}
		if new(big.Int).Mod(new(big.Int).Sub(p, one), q).Sign() != 0 {
			t.Errorf("%s: q does not divide p-1", s.name)
		}
		if g.Cmp(one) == 0 || new(big.Int).Exp(g, q, p).Cmp(one) != 0 {
			t.Errorf("%s: g has another order", s.name)
		}
	}
}

// offers are kept, since large groups take their time.
var offers = map[uint16]Offer{}

// refuses asserts that neither side takes a public value; in the large groups only
// the initiator is asked.
func refuses(t *testing.T, m Method, what string, public []byte) {
	t.Helper()
	o := offers[m.ID()]
	if o == nil {
		var err error
		if o, err = m.Offer(source(5)); err != nil {
			t.Fatal(err)
		}
		offers[m.ID()] = o
	}
	if secret, err := o.Finish(public); !errors.Is(err, ErrPublic) || secret != nil {
		t.Errorf("%s: Finish takes %s", m.Name(), what)
	}
	if m.PublicLen() > 256 {
		return
	}
	if answer, secret, err := m.Answer(source(6), public); !errors.Is(err, ErrPublic) || secret != nil || answer != nil {
		t.Errorf("%s: Answer takes %s", m.Name(), what)
	}
}

// TestBadMODPValues: RFC 6989, 2.1.
func TestBadMODPValues(t *testing.T) {
	for _, m := range modpMethods {
		p := primeOf(t, m.ID())
		enc := func(n *big.Int) []byte { return n.FillBytes(make([]byte, m.PublicLen())) }
		one := big.NewInt(1)
		refuses(t, m, "0", enc(new(big.Int)))
		refuses(t, m, "1", enc(one))
		refuses(t, m, "p-1", enc(new(big.Int).Sub(p, one)))
		refuses(t, m, "p", enc(p))
		refuses(t, m, "p+1", enc(new(big.Int).Add(p, one)))
		refuses(t, m, "all ones", bytes.Repeat([]byte{0xff}, m.PublicLen()))
		refuses(t, m, "an octet too much", append([]byte{0}, enc(big.NewInt(2))...))
		refuses(t, m, "an octet too little", enc(big.NewInt(2))[1:])
		refuses(t, m, "nothing", nil)
	}
}

func primeOf(t *testing.T, id uint16) *big.Int {
	t.Helper()
	text := map[uint16]string{
		crypto.KEMODP1024: prime1024, crypto.KEMODP1536: prime1536, crypto.KEMODP2048: prime2048, crypto.KEMODP3072: prime3072,
		crypto.KEMODP4096: prime4096, crypto.KEMODP6144: prime6144, crypto.KEMODP8192: prime8192,
		crypto.KEMODP1024s160: prime1024s160, crypto.KEMODP2048s224: prime2048s224, crypto.KEMODP2048s256: prime2048s256,
	}[id]
	if text == "" {
		t.Fatalf("no prime of group %d", id)
	}
	return fromHex(text)
}

// TestSmallSubgroups: RFC 6989, 2.2. Values of an order that does not divide q are
// refused in the groups of RFC 5114.
func TestSmallSubgroups(t *testing.T) {
	one := big.NewInt(1)
	for _, s := range subgroups {
		m := method(t, s.name)
		p, q := fromHex(s.p), fromHex(s.q)
		cofactor := new(big.Int).Div(new(big.Int).Sub(p, one), q)
		tried := 0
		for r := int64(3); r < 2000 && tried < 3; r += 2 {
			if !big.NewInt(r).ProbablyPrime(0) || new(big.Int).Mod(cofactor, big.NewInt(r)).Sign() != 0 {
				continue
			}
			y := new(big.Int).Exp(big.NewInt(3), new(big.Int).Div(new(big.Int).Sub(p, one), big.NewInt(r)), p)
			if y.Cmp(one) != 0 {
				refuses(t, m, "a value of small order", y.FillBytes(make([]byte, m.PublicLen())))
				tried++
			}
		}
		// A member of the subgroup times -1 has twice its order.
		minus := new(big.Int).Sub(p, fromHex(s.g))
		refuses(t, m, "the negative of the generator", minus.FillBytes(make([]byte, m.PublicLen())))
		o, err := m.Offer(source(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Finish(mustHex(s.g)); err != nil {
			t.Errorf("%s: refuses a member of the subgroup", s.name)
		}
	}
}

// TestMODPLikeBig compares with math/big, and the length of private keys.
func TestMODPLikeBig(t *testing.T) {
	for _, m := range modpMethods {
		p := primeOf(t, m.ID())
		g := m.(*dh).group.(*modp)
		private, public, err := g.generate(source(byte(m.ID())))
		if err != nil {
			t.Fatal(err)
		}
		x := new(big.Int).SetBytes(private)
		base := new(big.Int).SetBytes(g.g.Bytes(g.p))
		if want := new(big.Int).Exp(base, x, p); want.Cmp(new(big.Int).SetBytes(public)) != 0 {
			t.Errorf("%s: public value differs", m.Name())
		}
		peer := new(big.Int).Exp(base, big.NewInt(1234567), p)
		secret, err := g.agree(private, peer.FillBytes(make([]byte, m.PublicLen())))
		if want := new(big.Int).Exp(peer, x, p).FillBytes(make([]byte, m.PublicLen())); err != nil || !bytes.Equal(secret, want) {
			t.Errorf("%s: secret differs (%v)", m.Name(), err)
		}
		if g.subgroup == nil && x.BitLen() != 8*exponentLen || g.subgroup != nil && len(private) != len(g.orderText) {
			t.Errorf("%s: private key of %d bits", m.Name(), x.BitLen())
		}
	}
}
