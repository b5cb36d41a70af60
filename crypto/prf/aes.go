package prf

import (
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/internal/aesmac"
)

// aesPRF is AES-XCBC-PRF-128 (RFC 4434) or AES-CMAC-PRF-128 (RFC 4615).
type aesPRF struct {
	id uint16
	// mac is given keys of aesmac.Size octets only, so it cannot fail.
	mac func(key []byte) (*aesmac.MAC, error)
	// fit brings a key of another length to aesmac.Size octets.
	fit func(p aesPRF, key []byte) []byte
}

var aesPRFs = []PRF{
	aesPRF{crypto.PRFAES128XCBC, aesmac.NewXCBC, fitXCBC},
	aesPRF{crypto.PRFAES128CMAC, aesmac.NewCMAC, fitCMAC},
}

func (a aesPRF) ID() uint16   { return a.id }
func (a aesPRF) Name() string { return name(a.id) }
func (a aesPRF) KeyLen() int  { return aesmac.Size }
func (a aesPRF) Size() int    { return aesmac.Size }

func (a aesPRF) Sum(key []byte, data ...[]byte) []byte {
	if len(key) != aesmac.Size {
		key = a.fit(a, key)
	}
	m, err := a.mac(key)
	if err != nil {
		return nil
	}
	for _, d := range data {
		_, _ = m.Write(d)
	}
	return m.Sum(nil)
}

// fitXCBC pads short keys with zeros and hashes long ones (RFC 4434, 2).
func fitXCBC(a aesPRF, key []byte) []byte {
	if len(key) > aesmac.Size {
		return a.Sum(make([]byte, aesmac.Size), key)
	}
	return append(append(make([]byte, 0, aesmac.Size), key...), make([]byte, aesmac.Size-len(key))...)
}

// fitCMAC hashes keys of any other length (RFC 4615, 3).
func fitCMAC(a aesPRF, key []byte) []byte { return a.Sum(make([]byte, aesmac.Size), key) }
