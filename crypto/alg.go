package crypto

import (
	"strconv"
	"strings"
)

// String names the transform type as administrators call it.
func (t Type) String() string {
	switch t {
	case Encr:
		return "encryption"
	case PRF:
		return "pseudorandom function"
	case Integ:
		return "integrity"
	case KE:
		return "key exchange group"
	case ESN:
		return "extended sequence numbers"
	}
	return "transform type " + strconv.Itoa(int(t))
}

// prefix starts the word for an algorithm of this type that has none of its own.
func (t Type) prefix() string {
	switch t {
	case Encr:
		return "encr"
	case PRF:
		return "prf"
	case Integ:
		return "integ"
	case KE:
		return "ke"
	case ESN:
		return "esn"
	}
	return "type" + strconv.Itoa(int(t))
}

// String returns "IKE", "AH" or "ESP".
func (p Proto) String() string {
	switch p {
	case IKE:
		return "IKE"
	case AH:
		return "AH"
	case ESP:
		return "ESP"
	}
	return "protocol " + strconv.Itoa(int(p))
}

// String returns the word for the algorithm, such as "aes256gcm16". What the
// registry does not know is written as type and number: "encr_1234", with a key
// length "encr_1234_256". The zero Alg is "none".
func (a Alg) String() string {
	if a == (Alg{}) {
		return "none"
	}
	if r, ok := lookup(a); ok {
		return withBits(r.word, a.KeyBits)
	}
	s := a.Type.prefix() + "_" + strconv.Itoa(int(a.ID))
	if a.KeyBits != 0 {
		s += "_" + strconv.Itoa(int(a.KeyBits))
	}
	return s
}

// StrongSwanName returns the constant by which strongSwan logs the algorithm and
// names it over VICI, without the key length: "AES_GCM_16", "CURVE_25519".
// Unknown algorithms are their number in parentheses, the zero Alg is "".
func (a Alg) StrongSwanName() string {
	if a == (Alg{}) {
		return ""
	}
	if r, ok := rowOf[rowKey{a.Type, a.ID}]; ok {
		return r.name
	}
	return "(" + strconv.Itoa(int(a.ID)) + ")"
}

// Known says whether the registry has the algorithm with that very key length.
func (a Alg) Known() bool {
	_, ok := lookup(a)
	return ok
}

// Weak says whether the algorithm should no longer be used, and why.
func Weak(a Alg) (reason string, weak bool) {
	r, ok := lookup(a)
	if !ok || r.weak == "" {
		return "", false
	}
	return r.weak, true
}

// Combined says whether the cipher authenticates by itself, so that no
// integrity algorithm is negotiated with it (RFC 5282, 8; RFC 7296, 3.3).
func Combined(encr Alg) bool {
	r, ok := rowOf[rowKey{encr.Type, encr.ID}]
	return ok && encr.Type == Encr && r.combined
}

// KeyLen is the number of octets of key material that the algorithm takes. For
// GCM, CCM, CTR, GMAC and ChaCha20-Poly1305 it includes the salt that follows
// the key (RFC 3686, 5.1; RFC 4106, 8.1; RFC 4309, 7.1; RFC 4543, 5.1; RFC 7634, 2).
// For a PRF it is the preferred key length. It is 0 for what is unknown.
func KeyLen(a Alg) int {
	r, ok := lookup(a)
	if !ok {
		return 0
	}
	if r.bits != nil {
		return int(a.KeyBits)/8 + r.salt
	}
	return r.key + r.salt
}

// ImpliedPRF is the PRF that stands on the same primitive as an integrity
// algorithm: what an IKE proposal without a PRF of its own means.
func ImpliedPRF(integ Alg) (Alg, bool) {
	r, ok := lookup(integ)
	if !ok || r.impliesP == 0 {
		return Alg{}, false
	}
	return Alg{Type: PRF, ID: r.impliesP}, true
}

func withBits(word string, bits uint16) string {
	return strings.Replace(word, "#", strconv.Itoa(int(bits)), 1)
}

// Algorithms lists the registry's transforms of one type, every key length by
// itself. NONE, which is no algorithm, is left out.
func Algorithms(t Type) []Alg {
	var as []Alg
	for _, f := range families {
		for i := range f {
			r := &f[i]
			a := Alg{Type: r.typ, ID: r.id}
			if r.typ != t || isNone(a) {
				continue
			}
			if r.bits == nil {
				as = append(as, a)
			}
			for _, b := range r.bits {
				as = append(as, Alg{Type: r.typ, ID: r.id, KeyBits: b})
			}
		}
	}
	return as
}
