package ke

import (
	"crypto/ecdh"
	"io"

	"github.com/cloudflare/circl/dh/x448"

	"github.com/goike/goike/crypto"
)

// The functions of RFC 7748 as RFC 8031 uses them: any octets are a private key,
// and a shared secret of zeros is refused (RFC 8031, 2.3; RFC 7748, 6).
var montgomeryMethods = []Method{
	&dh{id: crypto.KECurve25519, publicLen: 32, group: curve25519{}},
	&dh{id: crypto.KECurve448, publicLen: x448.Size, group: curve448{}},
}

func anyOctets([]byte) bool { return true }

type curve25519 struct{}

func (curve25519) generate(rand io.Reader) (crypto.Secret, []byte, error) {
	private, err := draw(rand, 32, 0xff, anyOctets)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return private, key.PublicKey().Bytes(), nil
}

func (curve25519) agree(private crypto.Secret, peer []byte) ([]byte, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	public, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, ErrPublic
	}
	secret, err := key.ECDH(public)
	if err != nil {
		return nil, ErrPublic
	}
	return secret, nil
}

type curve448 struct{}

func (curve448) generate(rand io.Reader) (crypto.Secret, []byte, error) {
	private, err := draw(rand, x448.Size, 0xff, anyOctets)
	if err != nil {
		return nil, nil, err
	}
	var public x448.Key
	x448.KeyGen(&public, (*x448.Key)(private))
	return private, public[:], nil
}

func (curve448) agree(private crypto.Secret, peer []byte) ([]byte, error) {
	if len(private) != x448.Size || len(peer) != x448.Size {
		return nil, ErrPublic
	}
	var secret x448.Key
	if !x448.Shared(&secret, (*x448.Key)(private), (*x448.Key)(peer)) {
		return nil, ErrPublic
	}
	return secret[:], nil
}
