package ke

import (
	"encoding/hex"
	"io"

	"filippo.io/bigmod"

	"github.com/goike/goike/crypto"
)

// modp is a group of integers modulo a prime. The arithmetic takes constant time.
type modp struct {
	p         *bigmod.Modulus
	g         *bigmod.Nat
	minusOne  *bigmod.Nat
	subgroup  *bigmod.Modulus // its order, where RFC 5114 gives one; else nil
	orderText []byte          // the same as octets
}

// exponentLen is the length in octets of private keys in the groups with safe
// primes: more than twice the strength of the largest, 190 bits by the first
// estimate of RFC 3526, 8 and 192 by RFC 7919, A.5, which asks for 400 bits there.
const exponentLen = 64

var modpMethods = []Method{
	newMODP(crypto.KEMODP1024, prime1024, "02", ""),
	newMODP(crypto.KEMODP1536, prime1536, "02", ""),
	newMODP(crypto.KEMODP2048, prime2048, "02", ""),
	newMODP(crypto.KEMODP3072, prime3072, "02", ""),
	newMODP(crypto.KEMODP4096, prime4096, "02", ""),
	newMODP(crypto.KEMODP6144, prime6144, "02", ""),
	newMODP(crypto.KEMODP8192, prime8192, "02", ""),
	newMODP(crypto.KEMODP1024s160, prime1024s160, generator1024s160, order1024s160),
	newMODP(crypto.KEMODP2048s224, prime2048s224, generator2048s224, order2048s224),
	newMODP(crypto.KEMODP2048s256, prime2048s256, generator2048s256, order2048s256),
}

// newMODP makes a group of constants in hexadecimal, which the tests prove sound.
func newMODP(id uint16, prime, generator, order string) Method {
	p := mustModulus(prime)
	g := &modp{p: p, minusOne: bigmod.NewNat().ExpandFor(p).SubOne(p)}
	g.g = mustNat(generator, p)
	if order != "" {
		g.subgroup, g.orderText = mustModulus(order), mustHex(order)
	}
	return &dh{id: id, publicLen: p.Size(), group: g}
}

func (g *modp) generate(rand io.Reader) (crypto.Secret, []byte, error) {
	x, err := g.exponent(rand)
	if err != nil {
		return nil, nil, err
	}
	return x, bigmod.NewNat().Exp(g.g, x, g.p).Bytes(g.p), nil
}

// exponent draws a private key: of full length in the groups with safe primes,
// below the order of the subgroup in the others.
func (g *modp) exponent(rand io.Reader) (crypto.Secret, error) {
	if g.subgroup == nil {
		x, err := draw(rand, exponentLen, 0xff, anyOctets)
		if err == nil {
			x[0] |= 0x80
		}
		return x, err
	}
	return draw(rand, g.subgroup.Size(), 0xff, func(b []byte) bool {
		x, err := bigmod.NewNat().SetBytes(b, g.subgroup)
		return err == nil && x.IsZero() == 0 && x.IsOne() == 0
	})
}

func (g *modp) agree(private crypto.Secret, peer []byte) ([]byte, error) {
	y, err := g.public(peer)
	if err != nil {
		return nil, err
	}
	return bigmod.NewNat().Exp(y, private, g.p).Bytes(g.p), nil
}

// public checks a peer's value: 1 < y < p-1, and in the groups of RFC 5114 that it
// lies in the subgroup (RFC 6989, 2.1 and 2.2).
func (g *modp) public(peer []byte) (*bigmod.Nat, error) {
	y, err := bigmod.NewNat().SetBytes(peer, g.p)
	if err != nil || y.IsZero() == 1 || y.IsOne() == 1 || y.Equal(g.minusOne) == 1 {
		return nil, ErrPublic
	}
	if g.subgroup != nil && bigmod.NewNat().Exp(y, g.orderText, g.p).IsOne() != 1 {
		return nil, ErrPublic
	}
	return y, nil
}

// mustHex, mustModulus and mustNat serve the constants of this package only.
func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic("ke: bad constant: " + err.Error())
	}
	return b
}

func mustModulus(s string) *bigmod.Modulus {
	m, err := bigmod.NewModulus(mustHex(s))
	if err != nil {
		panic("ke: bad constant: " + err.Error())
	}
	return m
}

func mustNat(s string, m *bigmod.Modulus) *bigmod.Nat {
	n, err := bigmod.NewNat().SetBytes(mustHex(s), m)
	if err != nil {
		panic("ke: bad constant: " + err.Error())
	}
	return n
}
