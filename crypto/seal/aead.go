package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/goike/goike/crypto"
)

const (
	saltSize  = 4 // the implicit part of GCM, GMAC and ChaCha20 nonces
	ivSize    = 8 // the explicit part, of these and of CCM and CTR
	nonceSize = saltSize + ivSize
	espHead   = 8 // SPI and sequence number
)

// aead serves every cipher for which there is a cipher.AEAD with the very ICV:
// AES-GCM (RFC 4106, RFC 5282) and ChaCha20-Poly1305 (RFC 7634).
type aead struct {
	aead  cipher.AEAD
	icv   int
	nonce [nonceSize]byte
	aad   []byte // scratch for extended sequence numbers
}

func newAEAD(c cipher.AEAD, salt []byte) *aead {
	s := &aead{aead: c, icv: c.Overhead(), aad: make([]byte, 0, espHead+4)}
	copy(s.nonce[:], salt)
	return s
}

func newGCM(encr crypto.Alg, key, salt []byte) (Sealer, error) {
	c, err := gcm(key, icvOf(encr))
	if err != nil {
		return nil, err
	}
	return newAEAD(c, salt), nil
}

func newChaCha(_ crypto.Alg, key, salt []byte) (Sealer, error) {
	c, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	return newAEAD(c, salt), nil
}

func gcm(key []byte, icv int) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithTagSize(block, icv)
}

// icvOf is the length of the ICV that the transform ID of an AES combined mode
// stands for (RFC 4106, 8.2; RFC 4309, 7.2).
func icvOf(encr crypto.Alg) int {
	switch encr.ID {
	case crypto.EncrAESGCM8, crypto.EncrAESCCM8:
		return 8
	case crypto.EncrAESGCM12, crypto.EncrAESCCM12:
		return 12
	}
	return 16
}

func (s *aead) IVLen() int  { return ivSize }
func (s *aead) ICVLen() int { return s.icv }
func (s *aead) Align() int  { return 1 }

func (s *aead) Seal(pkt []byte, head int, esn []byte, counter uint64) {
	binary.BigEndian.PutUint64(pkt[head:], counter)
	s.seal(pkt, head, esn)
}

// seal protects a packet whose IV is in place.
func (s *aead) seal(pkt []byte, head int, esn []byte) {
	aad := pkt[:head]
	if esn != nil {
		s.aad = appendAAD(s.aad[:0], aad, esn)
		aad = s.aad
	}
	copy(s.nonce[saltSize:], pkt[head:])
	plain := pkt[head+ivSize : len(pkt)-s.icv]
	s.aead.Seal(plain[:0], s.nonce[:], plain, aad)
}

func (s *aead) Open(pkt []byte, head int, esn []byte) ([]byte, error) {
	if len(pkt) < head+ivSize+s.icv {
		return nil, ErrAuth
	}
	aad := pkt[:head]
	if esn != nil {
		s.aad = appendAAD(s.aad[:0], aad, esn)
		aad = s.aad
	}
	copy(s.nonce[saltSize:], pkt[head:])
	sealed := pkt[head+ivSize:]
	plain, err := s.aead.Open(sealed[:0], s.nonce[:], sealed, aad)
	if err != nil {
		return nil, ErrAuth
	}
	return plain, nil
}
