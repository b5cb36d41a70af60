package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"github.com/goike/goike/crypto"
)

// gcm8 is AES-GCM with an ICV of 8 octets, which crypto/cipher does not offer: it
// truncates the ICV of 16. To check one it decrypts by encrypting (in counter mode
// both are the same), seals the result and compares.
type gcm8 struct {
	aead  cipher.AEAD
	nonce [nonceSize]byte
	aad   []byte // scratch for extended sequence numbers
	plain []byte // scratch: a packet decrypted and not yet known to be authentic
	again []byte // scratch: a packet with its full ICV
}

const icv8 = 8

func newGCM8(_ crypto.Alg, key, salt []byte) (Sealer, error) {
	c, err := gcm(key, 16)
	if err != nil {
		return nil, err
	}
	s := &gcm8{aead: c, aad: make([]byte, 0, espHead+4)}
	copy(s.nonce[:], salt)
	return s, nil
}

func (s *gcm8) IVLen() int  { return ivSize }
func (s *gcm8) ICVLen() int { return icv8 }
func (s *gcm8) Align() int  { return 1 }

func (s *gcm8) Seal(pkt []byte, head int, esn []byte, counter uint64) {
	binary.BigEndian.PutUint64(pkt[head:], counter)
	s.seal(pkt, head, esn)
}

func (s *gcm8) seal(pkt []byte, head int, esn []byte) {
	s.prepare(pkt, head, esn)
	s.again = s.aead.Seal(s.again[:0], s.nonce[:], pkt[head+ivSize:len(pkt)-icv8], s.aad)
	copy(pkt[head+ivSize:], s.again[:len(pkt)-head-ivSize])
}

func (s *gcm8) Open(pkt []byte, head int, esn []byte) ([]byte, error) {
	if len(pkt) < head+ivSize+icv8 {
		return nil, ErrAuth
	}
	s.prepare(pkt, head, esn)
	sealed := pkt[head+ivSize:]
	n := len(sealed) - icv8
	s.plain = s.aead.Seal(s.plain[:0], s.nonce[:], sealed[:n], nil)
	s.again = s.aead.Seal(s.again[:0], s.nonce[:], s.plain[:n], s.aad)
	if subtle.ConstantTimeCompare(s.again[n:n+icv8], sealed[n:]) != 1 {
		return nil, ErrAuth
	}
	copy(sealed, s.plain[:n])
	return sealed[:n], nil
}

func (s *gcm8) prepare(pkt []byte, head int, esn []byte) {
	s.aad = appendAAD(s.aad[:0], pkt[:head], esn)
	copy(s.nonce[saltSize:], pkt[head:])
}
