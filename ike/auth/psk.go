// Package auth computes what proves an identity: the AUTH payload of IKEv2.
package auth

import (
	"crypto/hmac"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/prf"
)

// keyPad is the constant that a pre-shared key is mixed with (RFC 7296, 2.15).
const keyPad = "Key Pad for IKEv2"

// SignedOctets is what a side authenticates (RFC 7296, 2.15): its first message
// as sent, the other side's nonce, and prf(SK_p, body of its ID payload).
func SignedOctets(f prf.PRF, message, nonce []byte, skp crypto.Secret, idBody []byte) []byte {
	maced := f.Sum(skp, idBody)
	b := make([]byte, 0, len(message)+len(nonce)+len(maced))
	b = append(b, message...)
	b = append(b, nonce...)
	return append(b, maced...)
}

// SharedKey computes the AUTH data of shared key message integrity code
// (RFC 7296, 2.15).
func SharedKey(f prf.PRF, psk crypto.Secret, octets []byte) []byte {
	key := f.Sum(psk, []byte(keyPad))
	defer clear(key)
	return f.Sum(key, octets)
}

// VerifySharedKey checks AUTH data in constant time.
func VerifySharedKey(f prf.PRF, psk crypto.Secret, octets, data []byte) bool {
	return hmac.Equal(SharedKey(f, psk, octets), data)
}
