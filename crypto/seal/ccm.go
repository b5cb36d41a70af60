package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"github.com/goike/goike/crypto"
)

// ccm is AES-CCM for ESP and IKE (RFC 4309, RFC 5282): a nonce of 3 octets of salt
// and 8 of IV leaves 4 octets for length and counter (RFC 3610, 2.1).
type ccm struct {
	block cipher.Block
	icv   int
	nonce [ccmNonce]byte
	aad   []byte
	ctr   counterMode
	mac   [aes.BlockSize]byte // running CBC-MAC
	tag   [aes.BlockSize]byte // key stream that hides the ICV, then the ICV
}

const (
	ccmSalt  = 3
	ccmNonce = ccmSalt + ivSize
	ccmL     = 15 - ccmNonce // octets of the length field
)

func newCCM(encr crypto.Alg, key, salt []byte) (Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &ccm{block: block, icv: icvOf(encr), ctr: counterMode{block: block}, aad: make([]byte, 0, 2*aes.BlockSize)}
	copy(s.nonce[:], salt)
	return s, nil
}

func (s *ccm) IVLen() int  { return ivSize }
func (s *ccm) ICVLen() int { return s.icv }
func (s *ccm) Align() int  { return 1 }

func (s *ccm) Seal(pkt []byte, head int, esn []byte, counter uint64) {
	binary.BigEndian.PutUint64(pkt[head:], counter)
	s.seal(pkt, head, esn)
}

func (s *ccm) seal(pkt []byte, head int, esn []byte) {
	copy(s.nonce[ccmSalt:], pkt[head:])
	end := len(pkt) - s.icv
	plain := pkt[head+ivSize : end]
	s.authenticate(pkt[:head], esn, plain)
	s.crypt(plain)
	subtle.XORBytes(pkt[end:], s.mac[:s.icv], s.tag[:s.icv])
}

func (s *ccm) Open(pkt []byte, head int, esn []byte) ([]byte, error) {
	end := len(pkt) - s.icv
	if end < head+ivSize {
		return nil, ErrAuth
	}
	copy(s.nonce[ccmSalt:], pkt[head:])
	plain := pkt[head+ivSize : end]
	s.crypt(plain)
	s.authenticate(pkt[:head], esn, plain)
	subtle.XORBytes(s.tag[:s.icv], s.tag[:s.icv], s.mac[:s.icv])
	if subtle.ConstantTimeCompare(s.tag[:s.icv], pkt[end:]) != 1 {
		clear(plain)
		return nil, ErrAuth
	}
	return plain, nil
}

// crypt encrypts or decrypts data with the counters from 1 on and leaves the key
// stream of counter 0 in s.tag (RFC 3610, 2.3).
func (s *ccm) crypt(data []byte) {
	s.ctr.counter[0] = ccmL - 1
	copy(s.ctr.counter[1:], s.nonce[:])
	clear(s.ctr.counter[1+ccmNonce:])
	s.block.Encrypt(s.tag[:], s.ctr.counter[:])
	s.ctr.xor(data, 1)
}

// authenticate leaves the CBC-MAC of head and plaintext in s.mac (RFC 3610, 2.2).
func (s *ccm) authenticate(head, esn, plain []byte) {
	s.mac[0] = byte((s.icv-2)/2)<<3 | ccmL - 1
	s.aad = s.aad[:0]
	if n := len(head) + len(esn); n > 0 {
		s.mac[0] |= 1 << 6
		s.aad = appendCCMLength(s.aad, n)
		s.aad = appendAAD(s.aad, head, esn)
	}
	copy(s.mac[1:], s.nonce[:])
	binary.BigEndian.PutUint32(s.mac[1+ccmNonce:], uint32(len(plain)))
	s.block.Encrypt(s.mac[:], s.mac[:])
	s.absorb(s.aad)
	s.absorb(plain)
}

// appendCCMLength encodes the length of what is authenticated only.
func appendCCMLength(b []byte, n int) []byte {
	if n < 0xff00 {
		return binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xff, 0xfe), uint32(n))
}

// absorb adds data, padded with zeros to full blocks, to the CBC-MAC.
func (s *ccm) absorb(data []byte) {
	for len(data) > 0 {
		n := subtle.XORBytes(s.mac[:], s.mac[:], data[:min(len(data), aes.BlockSize)])
		s.block.Encrypt(s.mac[:], s.mac[:])
		data = data[n:]
	}
}
