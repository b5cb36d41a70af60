// Package aesmac holds the two AES-128 message authentication codes of IPsec:
// XCBC (RFC 3566) and CMAC (RFC 4493). They differ only in their subkeys.
package aesmac

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// Size is the length of the untruncated code in octets; keys are as long.
const Size = 16

// MAC computes one code after another under one key. It satisfies hash.Hash and
// is not for concurrent use; its methods do not allocate.
type MAC struct {
	block cipher.Block
	// whole is mixed into a last block that is full, padded into one that was not.
	whole, padded [Size]byte
	state, buf    [Size]byte
	n             int // octets in buf; the last block waits there for Sum
}

// NewXCBC returns AES-XCBC-MAC under a key of Size octets (RFC 3566, 4).
func NewXCBC(key []byte) (*MAC, error) {
	outer, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	var k [3][Size]byte
	for i := range k {
		for j := range k[i] {
			k[i][j] = byte(i + 1)
		}
		outer.Encrypt(k[i][:], k[i][:])
	}
	block, err := aes.NewCipher(k[0][:])
	if err != nil {
		return nil, err
	}
	return &MAC{block: block, whole: k[1], padded: k[2]}, nil
}

// NewCMAC returns AES-CMAC under a key of Size octets (RFC 4493, 2.3).
func NewCMAC(key []byte) (*MAC, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	m := &MAC{block: block}
	block.Encrypt(m.whole[:], m.whole[:])
	double(&m.whole)
	m.padded = m.whole
	double(&m.padded)
	return m, nil
}

// double multiplies by x in GF(2^128), in constant time (RFC 4493, 2.3).
func double(b *[Size]byte) {
	carry := b[0] >> 7
	for i := 0; i < Size-1; i++ {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[Size-1] = b[Size-1]<<1 ^ carry*0x87
}

// Size returns 16.
func (m *MAC) Size() int { return Size }

// BlockSize returns 16.
func (m *MAC) BlockSize() int { return Size }

// Reset makes the MAC ready for another message.
func (m *MAC) Reset() {
	clear(m.state[:])
	m.n = 0
}

// Write adds to the message; it never fails.
func (m *MAC) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if m.n == Size {
			m.absorb(m.buf[:])
			m.n = 0
		}
		for m.n == 0 && len(p) > Size {
			m.absorb(p[:Size])
			p = p[Size:]
		}
		c := copy(m.buf[m.n:], p)
		m.n += c
		p = p[c:]
	}
	return total, nil
}

func (m *MAC) absorb(b []byte) {
	subtle.XORBytes(m.state[:], m.state[:], b)
	m.block.Encrypt(m.state[:], m.state[:])
}

// Sum appends the code of what was written and ends the message: Reset has to
// follow.
func (m *MAC) Sum(b []byte) []byte {
	sub := &m.whole
	if m.n < Size {
		m.buf[m.n] = 0x80
		clear(m.buf[m.n+1:])
		sub = &m.padded
	}
	subtle.XORBytes(m.state[:], m.state[:], sub[:])
	m.absorb(m.buf[:])
	return append(b, m.state[:]...)
}
