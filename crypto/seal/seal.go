// Package seal protects packets: one Sealer serves ESP (RFC 4303) and the
// encrypted payload of IKEv2 (RFC 7296, 3.14), combined-mode ciphers and
// encrypt-then-MAC pairs alike.
//
// A packet lies in one buffer:
//
//	head | IV | ciphertext | ICV
//
// head is authenticated and not encrypted: SPI and sequence number for ESP,
// everything from the IKE header to the end of the SK payload's generic header
// for IKE.
package seal

import "errors"

// ErrAuth is the one answer to every packet that does not authenticate.
var ErrAuth = errors.New("packet does not authenticate")

// Sealer protects one direction of one SA under one key. It is not for
// concurrent use; New is cheap, so that each worker has one of its own.
type Sealer interface {
	// IVLen is the length of the explicit IV in octets, ICVLen that of the
	// integrity check value, Align what the plaintext's length must be a multiple of
	// (1 for stream modes; ESP asks for 4 all the same).
	IVLen() int
	ICVLen() int
	Align() int

	// Seal protects pkt in place: pkt[:head] is authenticated, the IV is written
	// behind it, pkt[head+IVLen():len(pkt)-ICVLen()] is encrypted and the ICV fills
	// the rest. counter must never repeat under one key: the IV is made from it (in
	// CBC by encrypting it, so that it cannot be foreseen; SP 800-38A, appendix C).
	// esn is nil, or the high 4 octets of an extended sequence number, which is
	// authenticated and not sent (RFC 4303, 2.2.1; RFC 4106, 5). No allocation.
	Seal(pkt []byte, head int, esn []byte, counter uint64)

	// Open checks and decrypts pkt in place and returns the plaintext within it,
	// padding included. It returns ErrAuth, and leaves the content of pkt undefined,
	// when pkt is too short, misaligned or not authentic. No allocation.
	Open(pkt []byte, head int, esn []byte) ([]byte, error)
}
