//go:build linux

package xfrm

import (
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// Every algorithm that can be negotiated for ESP or AH has a name in the kernel.
func TestEveryAlgorithmHasAName(t *testing.T) {
	for _, a := range crypto.Algorithms(crypto.Encr) {
		p := crypto.Proposal{Proto: crypto.ESP, Algs: []crypto.Alg{a, {Type: crypto.ESN}}}
		if !crypto.Combined(a) {
			p.Algs = append(p.Algs, crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256})
		}
		if p.Validate() != nil {
			continue // for IKE alone
		}
		sa := inSA(0x1234)
		sa.Encr, sa.EncrKey = a, key(a, 3)
		if !crypto.Combined(a) {
			sa.Integ = crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256}
			sa.IntegKey = key(sa.Integ, 4)
		}
		st, err := state(&sa, true)
		if err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		switch {
		case crypto.Combined(a) && (st.AEAD == nil || len(st.AEAD.Key) != crypto.KeyLen(a) || st.AEAD.ICVBits == 0):
			t.Errorf("%s: %+v", a, st.AEAD)
		case !crypto.Combined(a) && (st.Encr == nil || len(st.Encr.Key) != crypto.KeyLen(a) || st.Auth == nil):
			t.Errorf("%s: %+v", a, st.Encr)
		}
	}
	for _, a := range crypto.Algorithms(crypto.Integ) {
		sa := inSA(0x1234)
		sa.ID.Proto, sa.Encr, sa.EncrKey, sa.Integ, sa.IntegKey = esp.ProtoAH, crypto.Alg{}, nil, a, key(a, 5)
		st, err := state(&sa, true)
		if err != nil || len(st.Auth.Key) != crypto.KeyLen(a) || st.Encr != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// The names are those of Linux (net/xfrm/xfrm_algo.c), the truncations those of RFC
// 2404, 3566, 4106, 4309, 4494, 4543, 4868 and 7634.
func TestNamesOfTheKernel(t *testing.T) {
	alg := func(word string) crypto.Alg {
		ps, err := crypto.ParseProposal(crypto.ESP, word)
		if err != nil {
			t.Fatal(err)
		}
		return ps.Algs[0]
	}
	for word, want := range map[string]message.Alg{
		"aes256gcm16":      {Name: "rfc4106(gcm(aes))", ICVBits: 128},
		"aes128gcm8":       {Name: "rfc4106(gcm(aes))", ICVBits: 64},
		"aes192gcm12":      {Name: "rfc4106(gcm(aes))", ICVBits: 96},
		"aes128ccm16":      {Name: "rfc4309(ccm(aes))", ICVBits: 128},
		"aes128gmac":       {Name: "rfc4543(gcm(aes))", ICVBits: 128},
		"chacha20poly1305": {Name: "rfc7539esp(chacha20,poly1305)", ICVBits: 128},
	} {
		sa := inSA(0x1234)
		sa.Encr = alg(word)
		sa.EncrKey = key(sa.Encr, 1)
		st, err := state(&sa, true)
		if err != nil {
			t.Fatal(err)
		}
		if st.AEAD.Name != want.Name || st.AEAD.ICVBits != want.ICVBits {
			t.Errorf("%s is %s with %d bits, want %s with %d", word, st.AEAD.Name, st.AEAD.ICVBits, want.Name, want.ICVBits)
		}
	}
	for word, want := range map[string]message.Alg{
		"null-sha1": {Name: "hmac(sha1)", ICVBits: 96}, "aes128-sha256": {Name: "hmac(sha256)", ICVBits: 128},
		"aes128-sha384": {Name: "hmac(sha384)", ICVBits: 192}, "aes128ctr-sha512": {Name: "hmac(sha512)", ICVBits: 256},
		"aes128-aesxcbc": {Name: "xcbc(aes)", ICVBits: 96}, "aes128-aescmac": {Name: "cmac(aes)", ICVBits: 96},
	} {
		ps, err := crypto.ParseProposal(crypto.ESP, word)
		if err != nil {
			t.Fatal(err)
		}
		sa := inSA(0x1234)
		sa.Encr, sa.Integ = ps.Of(crypto.Encr)[0], ps.Of(crypto.Integ)[0]
		sa.EncrKey, sa.IntegKey = key(sa.Encr, 1), key(sa.Integ, 2)
		st, err := state(&sa, true)
		if err != nil {
			t.Fatal(err)
		}
		if st.Auth.Name != want.Name || st.Auth.ICVBits != want.ICVBits || st.AEAD != nil {
			t.Errorf("%s is %s with %d bits, want %s with %d", word, st.Auth.Name, st.Auth.ICVBits, want.Name, want.ICVBits)
		}
	}
}

func TestUnknownAlgorithms(t *testing.T) {
	sa := inSA(0x1234)
	sa.Encr = crypto.Alg{Type: crypto.Encr, ID: 999}
	_, err := state(&sa, true)
	wantUnsupported(t, err, true)
	sa = inSA(0x1234)
	sa.ID.Proto, sa.Integ = esp.ProtoAH, crypto.Alg{}
	_, err = state(&sa, true)
	wantUnsupported(t, err, true)
	sa.ID.Proto = 6
	_, err = state(&sa, true)
	wantUnsupported(t, err, true)
}
