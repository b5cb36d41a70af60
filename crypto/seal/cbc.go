package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// resettable is a CBC mode that takes a new IV without being made anew. The
// standard library's modes do, though their documentation does not say so.
type resettable interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

// cbc is AES-CBC (RFC 3602).
type cbc struct {
	block    cipher.Block
	enc, dec resettable
}

func newCBC(key, _ []byte) (blockMode, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cbcOf(block)
}

// cbcOf makes the mode for any block cipher.
func cbcOf(block cipher.Block) (blockMode, error) {
	iv := make([]byte, block.BlockSize())
	enc, ok1 := cipher.NewCBCEncrypter(block, iv).(resettable)
	dec, ok2 := cipher.NewCBCDecrypter(block, iv).(resettable)
	if !ok1 || !ok2 {
		return nil, errors.New("CBC mode cannot be given a new IV")
	}
	return &cbc{block: block, enc: enc, dec: dec}, nil
}

func (c *cbc) ivLen() int { return c.block.BlockSize() }
func (c *cbc) align() int { return c.block.BlockSize() }

// makeIV encrypts the counter: unique and not to be foreseen (SP 800-38A, C).
func (c *cbc) makeIV(iv []byte, counter uint64) {
	clear(iv)
	binary.BigEndian.PutUint64(iv[len(iv)-8:], counter)
	c.block.Encrypt(iv, iv)
}

func (c *cbc) encrypt(iv, data []byte) {
	c.enc.SetIV(iv)
	c.enc.CryptBlocks(data, data)
}

func (c *cbc) decrypt(iv, data []byte) {
	c.dec.SetIV(iv)
	c.dec.CryptBlocks(data, data)
}
