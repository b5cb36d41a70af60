// Package crypto is the registry of algorithms: which transforms exist, how
// administrators write them, how two sides agree on them, and why they did not.
// The mathematics stands in its subpackages: ke (key exchange), prf, and seal
// (what protects packets, of IKE and of ESP).
package crypto

// Type is an IKEv2 transform type (RFC 7296, 3.3.2).
type Type uint8

// The transform types by their IANA numbers.
const (
	Encr  Type = 1
	PRF   Type = 2
	Integ Type = 3
	KE    Type = 4
	ESN   Type = 5
)

// Proto is the protocol that a proposal is for (RFC 7296, 3.3.1).
type Proto uint8

// The protocols by their IANA numbers.
const (
	IKE Proto = 1
	AH  Proto = 2
	ESP Proto = 3
)

// Alg names one transform as it is negotiated. It is comparable and the zero
// value means "none".
type Alg struct {
	Type Type
	ID   uint16
	// KeyBits is the Key Length attribute in bits; 0 where the transform has a
	// fixed key length and the attribute must not be sent (RFC 7296, 3.3.5).
	KeyBits uint16
}

// Proposal is a set of alternatives for each transform type, in order of
// preference within a type (RFC 7296, 3.3). Proposals are alternatives to each
// other; of one proposal a peer picks one transform of each type present.
type Proposal struct {
	Proto Proto
	Algs  []Alg
}

// Suite is what was agreed on: at most one transform of each type.
// For combined-mode ciphers Integ is zero; for IKE, ESN is zero; for ESP and
// AH, PRF is zero and KE is zero without perfect forward secrecy.
type Suite struct {
	Proto Proto
	Encr  Alg
	PRF   Alg
	Integ Alg
	KE    Alg
	ESN   Alg
}
