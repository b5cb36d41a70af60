package ke

import (
	"fmt"
	"io"

	"github.com/goike/goike/crypto"
)

// families lists the tables of methods; one more family is one more name here.
var families = [][]Method{modpMethods, ecpMethods, shortCurveMethods, montgomeryMethods}

var methods = index()

func index() map[uint16]Method {
	m := make(map[uint16]Method)
	for _, f := range families {
		for _, x := range f {
			m[x.ID()] = x
		}
	}
	return m
}

// Get returns the method with an IANA transform ID.
func Get(id uint16) (Method, bool) {
	m, ok := methods[id]
	return m, ok
}

func name(id uint16) string { return crypto.Alg{Type: crypto.KE, ID: id}.String() }

// group is Diffie-Hellman over some group: what the families implement.
type group interface {
	// generate makes a private key and its public value.
	generate(rand io.Reader) (private crypto.Secret, public []byte, err error)
	// agree computes the shared secret; ErrPublic if peer must not be used.
	agree(private crypto.Secret, peer []byte) (secret []byte, err error)
}

// dh makes a Method of a group: offer and answer are both public values.
type dh struct {
	id        uint16
	publicLen int
	group
}

func (d *dh) ID() uint16     { return d.id }
func (d *dh) Name() string   { return name(d.id) }
func (d *dh) PublicLen() int { return d.publicLen }

func (d *dh) Offer(rand io.Reader) (Offer, error) {
	private, public, err := d.generate(rand)
	if err != nil {
		return nil, err
	}
	return &dhOffer{d: d, public: public, key: &private}, nil
}

func (d *dh) Answer(rand io.Reader, offer []byte) (answer, secret []byte, err error) {
	if len(offer) != d.publicLen {
		return nil, nil, ErrPublic
	}
	private, public, err := d.generate(rand)
	if err != nil {
		return nil, nil, err
	}
	defer private.Zero()
	if secret, err = d.agree(private, offer); err != nil {
		return nil, nil, err
	}
	return public, secret, nil
}

// dhOffer holds the private key by a pointer: where fmt cannot call Format, since
// the offer stands in an unexported field, it prints the address.
type dhOffer struct {
	d      *dh
	public []byte
	key    *crypto.Secret
}

func (o *dhOffer) Public() []byte { return o.public }

func (o *dhOffer) Finish(answer []byte) ([]byte, error) {
	if len(answer) != o.d.publicLen {
		return nil, ErrPublic
	}
	return o.d.agree(*o.key, answer)
}

// Format keeps the private key out of whatever is printed.
func (o *dhOffer) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%s offer", o.d.Name()) }

// maxDraws bounds the search for a private key that is in range. One draw in two
// is good at worst, so only a broken source of randomness gets there.
const maxDraws = 128

// errRandom is what a source of randomness gets that yields no private key.
var errRandom = fmt.Errorf("no private key after %d draws of randomness", maxDraws)

// draw reads random octets until accept takes them. mask is applied to the first.
func draw(rand io.Reader, n int, mask byte, accept func(b []byte) bool) (crypto.Secret, error) {
	b := make(crypto.Secret, n)
	for range maxDraws {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("read randomness for a private key: %w", err)
		}
		if b[0] &= mask; accept(b) {
			return b, nil
		}
	}
	return nil, errRandom
}
