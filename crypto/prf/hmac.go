package prf

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/goike/goike/crypto"
)

// hmacPRF is HMAC, untruncated, over a hash (RFC 2104, RFC 4868, 2.1.2).
type hmacPRF struct {
	id   uint16
	size int
	hash func() hash.Hash
}

var hmacs = []PRF{
	hmacPRF{crypto.PRFHMACSHA1, sha1.Size, sha1.New},
	hmacPRF{crypto.PRFHMACSHA256, sha256.Size, sha256.New},
	hmacPRF{crypto.PRFHMACSHA384, sha512.Size384, sha512.New384},
	hmacPRF{crypto.PRFHMACSHA512, sha512.Size, sha512.New},
}

func (h hmacPRF) ID() uint16   { return h.id }
func (h hmacPRF) Name() string { return name(h.id) }
func (h hmacPRF) KeyLen() int  { return h.size }
func (h hmacPRF) Size() int    { return h.size }

func (h hmacPRF) Sum(key []byte, data ...[]byte) []byte {
	m := hmac.New(h.hash, key)
	for _, d := range data {
		m.Write(d)
	}
	return m.Sum(nil)
}
