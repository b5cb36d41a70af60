package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// counterMode is AES in counter mode with a 32-bit block counter in the last four
// octets. cipher.NewCTR would have to be made, and allocated, for every packet.
type counterMode struct {
	block   cipher.Block
	counter [aes.BlockSize]byte
	stream  [aes.BlockSize]byte
}

// xor applies the key stream that starts with block number first.
func (c *counterMode) xor(data []byte, first uint32) {
	for n := first; len(data) > 0; n++ {
		binary.BigEndian.PutUint32(c.counter[aes.BlockSize-4:], n)
		c.block.Encrypt(c.stream[:], c.counter[:])
		data = data[subtle.XORBytes(data, data, c.stream[:]):]
	}
}

// ctr is AES-CTR for ESP (RFC 3686) and IKE (RFC 5930).
type ctr struct{ mode counterMode }

func newCTR(key, salt []byte) (blockMode, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c := &ctr{counterMode{block: block}}
	copy(c.mode.counter[:], salt)
	return c, nil
}

func (c *ctr) ivLen() int { return ivSize }
func (c *ctr) align() int { return 1 }

func (c *ctr) makeIV(iv []byte, counter uint64) { binary.BigEndian.PutUint64(iv, counter) }

func (c *ctr) encrypt(iv, data []byte) {
	copy(c.mode.counter[saltSize:], iv[:ivSize])
	c.mode.xor(data, 1)
}

func (c *ctr) decrypt(iv, data []byte) { c.encrypt(iv, data) }
