package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/prf"
)

func hmac256(key, data string) string {
	h := hmac.New(sha256.New, []byte(key))
	_, _ = h.Write([]byte(data))
	return string(h.Sum(nil))
}

// What strongSwan computes is compared in ike/v2 (testdata/charon-*.json); here the
// formula of RFC 7296, 2.15 is written out once more with the standard library.
func TestSharedKey(t *testing.T) {
	f, ok := prf.Get(crypto.PRFHMACSHA256)
	if !ok {
		t.Fatal("no PRF")
	}
	octets := SignedOctets(f, []byte("first message"), []byte("nonce"), crypto.Secret("SK_p"), []byte("ID body"))
	if want := "first message" + "nonce" + hmac256("SK_p", "ID body"); string(octets) != want {
		t.Errorf("signed octets %x, want %x", octets, want)
	}
	data := SharedKey(f, crypto.Secret("a secret"), octets)
	if want := hmac256(hmac256("a secret", "Key Pad for IKEv2"), string(octets)); string(data) != want {
		t.Errorf("AUTH %x, want %x", data, want)
	}
	if !VerifySharedKey(f, crypto.Secret("a secret"), octets, data) {
		t.Error("our own proof is refused")
	}
	changed := bytes.Clone(data)
	changed[len(changed)-1] ^= 1
	for name, bad := range map[string][]byte{"empty": nil, "short": data[:31], "long": append(bytes.Clone(data), 0), "changed": changed} {
		if VerifySharedKey(f, crypto.Secret("a secret"), octets, bad) {
			t.Errorf("a proof that is %s is taken", name)
		}
	}
	if VerifySharedKey(f, crypto.Secret("another"), octets, data) || VerifySharedKey(f, crypto.Secret("a secret"), octets[1:], data) {
		t.Error("another key or message is taken")
	}
}
