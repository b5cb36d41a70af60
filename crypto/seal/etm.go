package seal

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/internal/aesmac"
)

// etm encrypts, then authenticates head | IV | ciphertext and, with extended
// sequence numbers, their high half behind it (RFC 4303, 2.8; RFC 7296, 3.14).
type etm struct {
	mode      blockMode
	mac       hash.Hash
	icv       int
	iv        int
	alignment int
	sum       [sha512.Size]byte // scratch for the untruncated MAC
}

func (s *etm) IVLen() int  { return s.iv }
func (s *etm) ICVLen() int { return s.icv }
func (s *etm) Align() int  { return s.alignment }

func (s *etm) Seal(pkt []byte, head int, esn []byte, counter uint64) {
	s.mode.makeIV(pkt[head:head+s.iv], counter)
	s.seal(pkt, head, esn)
}

// seal protects a packet whose IV is in place.
func (s *etm) seal(pkt []byte, head int, esn []byte) {
	end, start := len(pkt)-s.icv, head+s.iv
	s.mode.encrypt(pkt[head:start], pkt[start:end])
	copy(pkt[end:], s.authenticate(pkt[:end], esn))
}

func (s *etm) Open(pkt []byte, head int, esn []byte) ([]byte, error) {
	end, start := len(pkt)-s.icv, head+s.iv
	if end < start || (end-start)%s.alignment != 0 {
		return nil, ErrAuth
	}
	if subtle.ConstantTimeCompare(s.authenticate(pkt[:end], esn), pkt[end:]) != 1 {
		return nil, ErrAuth
	}
	s.mode.decrypt(pkt[head:start], pkt[start:end])
	return pkt[start:end], nil
}

func (s *etm) authenticate(covered, esn []byte) []byte {
	s.mac.Reset()
	s.mac.Write(covered)
	s.mac.Write(esn)
	return s.mac.Sum(s.sum[:0])[:s.icv]
}

// macs are the integrity algorithms by IANA transform ID, with the octets that
// are left of each (RFC 2404, RFC 3566, RFC 4494, RFC 4868).
var macs = map[uint16]struct {
	icv  int
	make func(key []byte) (hash.Hash, error)
}{
	crypto.IntegHMACSHA1:   {12, hmacOf(sha1.New)},
	crypto.IntegHMACSHA256: {16, hmacOf(sha256.New)},
	crypto.IntegHMACSHA384: {24, hmacOf(sha512.New384)},
	crypto.IntegHMACSHA512: {32, hmacOf(sha512.New)},
	crypto.IntegAESXCBC:    {12, func(key []byte) (hash.Hash, error) { return aesmac.NewXCBC(key) }},
	crypto.IntegAESCMAC:    {12, func(key []byte) (hash.Hash, error) { return aesmac.NewCMAC(key) }},
}

func hmacOf(h func() hash.Hash) func(key []byte) (hash.Hash, error) {
	return func(key []byte) (hash.Hash, error) { return hmac.New(h, key), nil }
}

func newMAC(integ crypto.Alg, key crypto.Secret) (hash.Hash, int, error) {
	m, ok := macs[integ.ID]
	if !ok || integ.Type != crypto.Integ || !integ.Known() {
		return nil, 0, fmt.Errorf("no integrity algorithm %s", integ)
	}
	if want := crypto.KeyLen(integ); len(key) != want {
		return nil, 0, fmt.Errorf("%s takes %d octets of key, not %d", integ, want, len(key))
	}
	mac, err := m.make(key)
	return mac, m.icv, err
}
