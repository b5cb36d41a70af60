package control

import (
	"context"

	"github.com/goike/goike/crypto"
)

// implementation stands where strongSwan names the plugin that has an algorithm.
const implementation = "goike"

// getAlgorithms shows what can be negotiated. What strongSwan lists besides, such as
// hashes for signatures, is there where goike has something of the kind.
func getAlgorithms(context.Context, *session, *Message) *Message {
	m := &Message{}
	addAlgorithms(m, "encryption", crypto.Encr, func(a crypto.Alg) bool { return !crypto.Combined(a) })
	addAlgorithms(m, "integrity", crypto.Integ, nil)
	addAlgorithms(m, "aead", crypto.Encr, crypto.Combined)
	hashes := m.AddSection("hasher")
	for _, name := range []string{"HASH_SHA1", "HASH_SHA2_256", "HASH_SHA2_384", "HASH_SHA2_512"} {
		hashes.Set(name, implementation)
	}
	addAlgorithms(m, "prf", crypto.PRF, nil)
	m.AddSection("xof")
	m.AddSection("kdf").Set("KDF_PRF_PLUS", implementation)
	m.AddSection("drbg")
	addAlgorithms(m, "dh", crypto.KE, nil)
	m.AddSection("rng").Set("RNG_STRONG", implementation)
	m.AddSection("nonce-gen").Set("NONCE_GEN", implementation)
	return m
}

// addAlgorithms adds the transforms of a type, each once whatever its key lengths.
func addAlgorithms(m *Message, section string, t crypto.Type, want func(crypto.Alg) bool) {
	sec := m.AddSection(section)
	for _, a := range crypto.Algorithms(t) {
		if name := a.StrongSwanName(); (want == nil || want(a)) && !sec.Has(name) {
			sec.Set(name, implementation)
		}
	}
}
