// Package ke holds the key exchange methods (transform type 4), KEM-shaped, so
// that Diffie-Hellman and ML-KEM look the same to a negotiation.
package ke

import (
	"errors"
	"io"
)

// ErrPublic is returned for a public value that the peer must not send: wrong
// length, off the curve, of small order, out of range (RFC 6989).
var ErrPublic = errors.New("invalid public value in key exchange")

// Method is one key exchange method. Methods are stateless and safe for
// concurrent use.
type Method interface {
	// ID is the IANA transform ID.
	ID() uint16
	// Name is the word for it in proposals, such as "modp2048" or "curve25519".
	Name() string
	// PublicLen is the length in octets of what Offer sends.
	PublicLen() int
	// Offer makes the initiator's half.
	Offer(rand io.Reader) (Offer, error)
	// Answer makes the responder's half from the initiator's public value.
	Answer(rand io.Reader, offer []byte) (answer, secret []byte, err error)
}

// Offer is the initiator's half of an exchange under way. It holds a private
// key: it never prints it.
type Offer interface {
	// Public is what goes into the KE payload.
	Public() []byte
	// Finish computes the shared secret from the responder's public value.
	Finish(answer []byte) (secret []byte, err error)
}
