package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"github.com/goike/goike/crypto"
)

// gmac authenticates and does not encrypt: AES-GMAC for ESP (RFC 4543). The ICV
// covers the head, the IV and the payload, which stands in the clear.
type gmac struct {
	aead  cipher.AEAD
	nonce [nonceSize]byte
	aad   []byte        // scratch for extended sequence numbers
	tag   [gmacICV]byte // scratch for Open
}

const gmacICV = 16

func newGMAC(_ crypto.Alg, key, salt []byte) (Sealer, error) {
	c, err := gcm(key, gmacICV)
	if err != nil {
		return nil, err
	}
	s := &gmac{aead: c}
	copy(s.nonce[:], salt)
	return s, nil
}

func (s *gmac) IVLen() int  { return ivSize }
func (s *gmac) ICVLen() int { return gmacICV }
func (s *gmac) Align() int  { return 1 }

func (s *gmac) Seal(pkt []byte, head int, esn []byte, counter uint64) {
	binary.BigEndian.PutUint64(pkt[head:], counter)
	s.seal(pkt, head, esn)
}

func (s *gmac) seal(pkt []byte, head int, esn []byte) {
	end := len(pkt) - gmacICV
	s.sum(pkt[end:end:len(pkt)], pkt[:end], head, esn)
}

func (s *gmac) Open(pkt []byte, head int, esn []byte) ([]byte, error) {
	end := len(pkt) - gmacICV
	if end < head+ivSize {
		return nil, ErrAuth
	}
	s.sum(s.tag[:0], pkt[:end], head, esn)
	if subtle.ConstantTimeCompare(s.tag[:], pkt[end:]) != 1 {
		return nil, ErrAuth
	}
	return pkt[head+ivSize : end], nil
}

// sum appends the ICV of everything before it to dst, which has room for it.
func (s *gmac) sum(dst, covered []byte, head int, esn []byte) {
	copy(s.nonce[saltSize:], covered[head:])
	if esn != nil {
		s.aad = append(appendAAD(s.aad[:0], covered[:head], esn), covered[head:]...)
		covered = s.aad
	}
	s.aead.Seal(dst, s.nonce[:], nil, covered)
}
