package v2

import (
	"errors"
	"slices"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/prf"
	"github.com/goike/goike/crypto/seal"
	"github.com/goike/goike/ike"
)

// keys are the keys of an IKE SA (RFC 7296, 2.14), cut from one allocation.
type keys struct {
	d      crypto.Secret // derives the keys of child SAs and of the next IKE SA
	ai, ar crypto.Secret // integrity, initiator's and responder's messages
	ei, er crypto.Secret // encryption
	pi, pr crypto.Secret // AUTH payloads
	all    crypto.Secret
}

func (k *keys) ready() bool { return k.all != nil }

func (k *keys) zero() {
	k.all.Zero()
	*k = keys{}
}

var errNoPRF = errors.New("no such PRF")

// deriveKeys computes the keys of an IKE SA from its exchange (RFC 7296, 2.14) or,
// with the SK_d and PRF of the IKE SA that it replaces, as 2.18 says.
func deriveKeys(s crypto.Suite, old prf.PRF, oldD crypto.Secret, shared, ni, nr []byte, spiI, spiR uint64) (keys, error) {
	f, ok := prf.Get(s.PRF.ID)
	if !ok {
		return keys{}, errNoPRF
	}
	nonces := append(append(make([]byte, 0, len(ni)+len(nr)+16), ni...), nr...)
	var skeyseed []byte
	if oldD != nil {
		skeyseed = old.Sum(oldD, shared, nonces)
	} else {
		skeyseed = f.Sum(initKey(s, ni, nr), shared)
	}
	defer clear(skeyseed)
	mat, err := prf.Plus(f, skeyseed, appendSPIs(nonces, spiI, spiR), keysLen(s, f))
	if err != nil {
		return keys{}, err
	}
	return cutKeys(s, f, mat), nil
}

// keysLen is how many octets the keys of an IKE SA have in all.
func keysLen(s crypto.Suite, f prf.PRF) int {
	return 3*f.KeyLen() + 2*(crypto.KeyLen(s.Encr)+crypto.KeyLen(s.Integ))
}

// cutKeys divides keysLen octets into the keys.
func cutKeys(s crypto.Suite, f prf.PRF, mat crypto.Secret) keys {
	el, il, pl := crypto.KeyLen(s.Encr), crypto.KeyLen(s.Integ), f.KeyLen()
	k := keys{all: mat}
	cut := func(n int) crypto.Secret {
		part := mat[:n:n]
		mat = mat[n:]
		return part
	}
	k.d, k.ai, k.ar, k.ei, k.er, k.pi, k.pr = cut(pl), cut(il), cut(il), cut(el), cut(el), cut(pl), cut(pl)
	return k
}

// initKey is the key of the first prf: Ni | Nr, of which PRFs of AES with fixed
// keys take the first 8 octets each (RFC 7296, 2.14).
func initKey(s crypto.Suite, ni, nr []byte) []byte {
	if s.PRF.ID == crypto.PRFAES128XCBC || s.PRF.ID == crypto.PRFAES128CMAC {
		ni, nr = ni[:8], nr[:8]
	}
	return append(append(make([]byte, 0, len(ni)+len(nr)), ni...), nr...)
}

func appendSPIs(b []byte, spiI, spiR uint64) []byte {
	for _, spi := range [2]uint64{spiI, spiR} {
		for s := 56; s >= 0; s -= 8 {
			b = append(b, byte(spi>>s))
		}
	}
	return b
}

// Disclose implements ike.Discloser.
func (sa *SA) Disclose() (ike.Keys, bool) {
	if !sa.keys.ready() {
		return ike.Keys{}, false
	}
	st := sa.Status()
	return ike.Keys{
		Conn: st.Conn, SPIi: st.SPIi, SPIr: st.SPIr, Suite: sa.suite,
		Ei: slices.Clone(sa.keys.ei), Er: slices.Clone(sa.keys.er), Ai: slices.Clone(sa.keys.ai), Ar: slices.Clone(sa.keys.ar),
	}, true
}

// sealer is what protects messages that we send, opener what opens the peer's.
// They are built for each message: that is cheap, and an idle IKE SA keeps none.
func (sa *SA) sealer() (seal.Sealer, error) { return sa.protector(sa.initiator) }
func (sa *SA) opener() (seal.Sealer, error) { return sa.protector(!sa.initiator) }

func (sa *SA) protector(initiator bool) (seal.Sealer, error) {
	if initiator {
		return seal.New(sa.suite.Encr, sa.suite.Integ, sa.keys.ei, sa.keys.ai)
	}
	return seal.New(sa.suite.Encr, sa.suite.Integ, sa.keys.er, sa.keys.ar)
}

// ourAuthKey and peerAuthKey are SK_pi and SK_pr by side.
func (sa *SA) ourAuthKey() crypto.Secret {
	if sa.initiator {
		return sa.keys.pi
	}
	return sa.keys.pr
}

func (sa *SA) peerAuthKey() crypto.Secret {
	if sa.initiator {
		return sa.keys.pr
	}
	return sa.keys.pi
}

// prf is the PRF agreed on.
func (sa *SA) prf() prf.PRF {
	f, _ := prf.Get(sa.suite.PRF.ID)
	return f
}
