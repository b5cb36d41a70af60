package ke

import (
	"crypto/ecdh"
	"io"

	"github.com/goike/goike/crypto"
)

// ecp is one of the curves of RFC 5903 that crypto/ecdh has. Public values are
// x | y without the octet of the uncompressed form, the secret is x (RFC 5903, 7).
type ecp struct {
	curve ecdh.Curve
	size  int  // octets of a coordinate
	mask  byte // for the first octet of a private key
}

const uncompressed = 4 // SEC 1, 2.3.3

var ecpMethods = []Method{
	newECP(crypto.KEECP256, ecdh.P256(), 32, 0xff),
	newECP(crypto.KEECP384, ecdh.P384(), 48, 0xff),
	newECP(crypto.KEECP521, ecdh.P521(), 66, 0x01),
}

func newECP(id uint16, curve ecdh.Curve, size int, mask byte) Method {
	return &dh{id: id, publicLen: 2 * size, group: &ecp{curve, size, mask}}
}

// generate draws the key by itself: crypto/ecdh does not use the source that it
// is given.
func (e *ecp) generate(rand io.Reader) (crypto.Secret, []byte, error) {
	var public []byte
	private, err := draw(rand, e.size, e.mask, func(b []byte) bool {
		key, err := e.curve.NewPrivateKey(b)
		if err != nil {
			return false
		}
		public = key.PublicKey().Bytes()[1:]
		return true
	})
	return private, public, err
}

func (e *ecp) agree(private crypto.Secret, peer []byte) ([]byte, error) {
	key, err := e.curve.NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	public, err := e.curve.NewPublicKey(append([]byte{uncompressed}, peer...))
	if err != nil {
		return nil, ErrPublic
	}
	secret, err := key.ECDH(public)
	if err != nil {
		return nil, ErrPublic
	}
	return secret, nil
}
