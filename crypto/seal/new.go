package seal

import (
	"fmt"

	"github.com/goike/goike/crypto"
)

// combined makes the Sealers that authenticate by themselves.
type combined func(encr crypto.Alg, key, salt []byte) (Sealer, error)

// blockMode encrypts for an encrypt-then-MAC pair. data is changed in place.
type blockMode interface {
	ivLen() int
	align() int
	// makeIV fills iv from a counter that never repeats.
	makeIV(iv []byte, counter uint64)
	// encrypt and decrypt take the IV as it stands in the packet; len(data) is a
	// multiple of align.
	encrypt(iv, data []byte)
	decrypt(iv, data []byte)
}

// classic makes the ciphers that need an integrity algorithm beside them.
type classic func(key, salt []byte) (blockMode, error)

// combinedCiphers and classicCiphers are all there is, by IANA transform ID.
var (
	combinedCiphers = map[uint16]combined{
		crypto.EncrAESGCM8:          newGCM8,
		crypto.EncrAESGCM12:         newGCM,
		crypto.EncrAESGCM16:         newGCM,
		crypto.EncrAESCCM8:          newCCM,
		crypto.EncrAESCCM12:         newCCM,
		crypto.EncrAESCCM16:         newCCM,
		crypto.EncrChaCha20Poly1305: newChaCha,
		crypto.EncrNullAESGMAC:      newGMAC,
	}
	classicCiphers = map[uint16]classic{
		crypto.EncrAESCBC: newCBC,
		crypto.EncrAESCTR: newCTR,
		crypto.EncrNull:   newNull,
	}
)

// saltLen is the number of octets behind the key in encrKey, by transform ID.
func saltLen(encr crypto.Alg) int {
	bits := int(encr.KeyBits)
	if encr.ID == crypto.EncrChaCha20Poly1305 {
		bits = 256
	}
	return crypto.KeyLen(encr) - bits/8
}

// New makes the Sealer of one direction of one SA. encrKey holds the salt behind
// the key, so that its length is crypto.KeyLen(encr); that of integKey is
// crypto.KeyLen(integ). For combined-mode ciphers integ is zero. Both keys are
// copied: they may be zeroed afterwards.
func New(encr, integ crypto.Alg, encrKey, integKey crypto.Secret) (Sealer, error) {
	if encr.Type != crypto.Encr || !encr.Known() {
		return nil, fmt.Errorf("no cipher %s", encr)
	}
	if want := crypto.KeyLen(encr); len(encrKey) != want {
		return nil, fmt.Errorf("%s takes %d octets of key, not %d", encr, want, len(encrKey))
	}
	split := len(encrKey) - saltLen(encr)
	key, salt := []byte(encrKey[:split]), []byte(encrKey[split:])
	if mk, ok := combinedCiphers[encr.ID]; ok {
		if integ != (crypto.Alg{}) || len(integKey) != 0 {
			return nil, fmt.Errorf("%s takes no integrity algorithm beside it", encr)
		}
		return mk(encr, key, salt)
	}
	mk, ok := classicCiphers[encr.ID]
	if !ok {
		return nil, fmt.Errorf("cipher %s is not built in", encr)
	}
	mac, icv, err := newMAC(integ, integKey)
	if err != nil {
		return nil, err
	}
	mode, err := mk(key, salt)
	if err != nil {
		return nil, err
	}
	return &etm{mode: mode, mac: mac, icv: icv, iv: mode.ivLen(), alignment: mode.align()}, nil
}

// appendAAD appends what combined modes authenticate of the head: the head, or,
// with extended sequence numbers, SPI | high half | low half (RFC 4106, 5).
func appendAAD(b, head, esn []byte) []byte {
	low := max(len(head)-4, 0)
	b = append(b, head[:low]...)
	b = append(b, esn...)
	return append(b, head[low:]...)
}
