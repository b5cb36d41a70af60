//go:build linux

package xfrm

import (
	"fmt"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// algorithm is the kernel's name for an algorithm. The kernel wants a key as KEYMAT
// has it, the salt behind the key.
type algorithm struct {
	name    string
	icvBits uint32 // of what authenticates
	aead    bool
}

// ciphers are the kernel's names for transform type 1.
var ciphers = map[uint16]algorithm{
	crypto.EncrNull:             {name: "ecb(cipher_null)"},
	crypto.EncrAESCBC:           {name: "cbc(aes)"},
	crypto.EncrAESCTR:           {name: "rfc3686(ctr(aes))"},
	crypto.EncrAESCCM8:          {name: "rfc4309(ccm(aes))", icvBits: 64, aead: true},
	crypto.EncrAESCCM12:         {name: "rfc4309(ccm(aes))", icvBits: 96, aead: true},
	crypto.EncrAESCCM16:         {name: "rfc4309(ccm(aes))", icvBits: 128, aead: true},
	crypto.EncrAESGCM8:          {name: "rfc4106(gcm(aes))", icvBits: 64, aead: true},
	crypto.EncrAESGCM12:         {name: "rfc4106(gcm(aes))", icvBits: 96, aead: true},
	crypto.EncrAESGCM16:         {name: "rfc4106(gcm(aes))", icvBits: 128, aead: true},
	crypto.EncrNullAESGMAC:      {name: "rfc4543(gcm(aes))", icvBits: 128, aead: true},
	crypto.EncrChaCha20Poly1305: {name: "rfc7539esp(chacha20,poly1305)", icvBits: 128, aead: true},
}

// macs are the kernel's names for transform type 3, with the truncation of their RFCs.
// The truncation is always said: the kernel's own for SHA-256 is that of a draft.
var macs = map[uint16]algorithm{
	crypto.IntegHMACSHA1:   {name: "hmac(sha1)", icvBits: 96},
	crypto.IntegHMACSHA256: {name: "hmac(sha256)", icvBits: 128},
	crypto.IntegHMACSHA384: {name: "hmac(sha384)", icvBits: 192},
	crypto.IntegHMACSHA512: {name: "hmac(sha512)", icvBits: 256},
	crypto.IntegAESXCBC:    {name: "xcbc(aes)", icvBits: 96},
	crypto.IntegAESCMAC:    {name: "cmac(aes)", icvBits: 96},
}

// deflate is the only algorithm of IPComp (RFC 2394).
const deflate = "deflate"

// setAlgorithms puts the algorithms and keys of sa into st. They are not copied.
func setAlgorithms(st *message.State, sa *esp.SA) error {
	switch sa.ID.Proto {
	case esp.ProtoIPComp:
		st.Comp = &message.Alg{Name: deflate}
		return nil
	case esp.ProtoAH:
		return setIntegrity(st, sa)
	case esp.ProtoESP:
		a, ok := ciphers[sa.Encr.ID]
		if !ok || !sa.Encr.Known() || sa.Encr.Type != crypto.Encr {
			return fmt.Errorf("the kernel has no name for the cipher %s: %w", sa.Encr, errUnsupported)
		}
		if a.aead {
			st.AEAD = &message.Alg{Name: a.name, Key: sa.EncrKey, ICVBits: a.icvBits}
			return nil
		}
		st.Encr = &message.Alg{Name: a.name, Key: sa.EncrKey}
		return setIntegrity(st, sa)
	}
	return fmt.Errorf("no SA has IP protocol %d: %w", sa.ID.Proto, errUnsupported)
}

func setIntegrity(st *message.State, sa *esp.SA) error {
	a, ok := macs[sa.Integ.ID]
	if !ok || !sa.Integ.Known() || sa.Integ.Type != crypto.Integ {
		return fmt.Errorf("the kernel has no name for the integrity algorithm %s: %w", sa.Integ, errUnsupported)
	}
	st.Auth = &message.Alg{Name: a.name, Key: sa.IntegKey, ICVBits: a.icvBits}
	return nil
}

// algorithmsOf names the algorithms of an SA, as people and the kernel know them.
func algorithmsOf(sa *esp.SA) string {
	switch {
	case sa.ID.Proto == esp.ProtoIPComp:
		return "IPComp with " + deflate
	case sa.ID.Proto == esp.ProtoAH:
		return fmt.Sprintf("AH with %s (%s)", sa.Integ, macs[sa.Integ.ID].name)
	case ciphers[sa.Encr.ID].aead:
		return fmt.Sprintf("ESP with %s (%s)", sa.Encr, ciphers[sa.Encr.ID].name)
	}
	return fmt.Sprintf("ESP with %s-%s (%s, %s)", sa.Encr, sa.Integ, ciphers[sa.Encr.ID].name, macs[sa.Integ.ID].name)
}
