package v2

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"os"
	"path/filepath"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike/auth"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// octets is hexadecimal in JSON.
type octets []byte

func (o *octets) UnmarshalText(b []byte) (err error) {
	*o, err = hex.DecodeString(string(b))
	return err
}

// run is what two charon (strongSwan 5.9.8) have sent and computed with each
// other; see "source" in the files.
type run struct {
	IKE, ESP, PSK                                        string
	InitRequest, InitResponse                            octets
	SharedSecret, Skeyseed                               octets
	SKd, SKai, SKar, SKei, SKer, SKpi, SKpr              octets
	IDi, IDr, AuthI, AuthR                               octets
	ChildSeed, ChildEncrI, ChildEncrR                    octets
	ChildIntegI, ChildIntegR                             octets
	PFSChildSeed, PFSChildSecret                         octets
	PFSChildEncrI, PFSChildEncrR                         octets
	PFSChildIntegI, PFSChildIntegR                       octets
	RekeySharedSecret, RekeySkeyseed                     octets
	RekeyRequest, RekeyResponse                          octets
	RekeySKd, RekeySKai, RekeySKar, RekeySKei, RekeySKer octets
	RekeySKpi, RekeySKpr                                 octets
}

// runs reads testdata/charon-*.json.
func runs(t *testing.T) map[string]run {
	t.Helper()
	files, err := filepath.Glob("testdata/charon-*.json")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	out := make(map[string]run)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r run
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(f, err)
		}
		out[filepath.Base(f)] = r
	}
	return out
}

// suite is the suite of a proposal with one algorithm of each type.
func suiteOf(t testing.TB, p crypto.Proto, words string) crypto.Suite {
	t.Helper()
	ps := proposals(t, p, words)
	s, _, miss := crypto.Select(ps, ps)
	if miss != nil {
		t.Fatal(miss)
	}
	return s
}

func parsed(t testing.TB, msg []byte) (wire.Header, []wire.Payload) {
	t.Helper()
	h := header(t, msg)
	ps, err := wire.Parse(h.NextPayload, msg[wire.HeaderLen:], wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h, ps
}

func nonceOf(t testing.TB, ps []wire.Payload) []byte {
	t.Helper()
	n, ok := wire.Find[*wire.Nonce](ps)
	if !ok {
		t.Fatal("no nonce")
	}
	return n.Data
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", what, got, want)
	}
}

// The keys of IKE SAs, of their replacements and of child SAs, and the AUTH
// payloads, are those that strongSwan computes.
func TestKeysOfCharon(t *testing.T) {
	for name, r := range runs(t) {
		t.Run(name, func(t *testing.T) {
			if len(r.SKd)*len(r.RekeySKd)*len(r.AuthR)*len(r.ChildEncrR)*len(r.PFSChildEncrI) == 0 {
				t.Fatal("the file lacks something")
			}
			s := suiteOf(t, crypto.IKE, r.IKE)
			_, request := parsed(t, r.InitRequest)
			h, response := parsed(t, r.InitResponse)
			ni, nr := nonceOf(t, request), nonceOf(t, response)
			k, err := deriveKeys(s, nil, nil, r.SharedSecret, ni, nr, h.SPIi, h.SPIr)
			if err != nil {
				t.Fatal(err)
			}
			r.sameKeys(t, k)
			r.sameAuth(t, s, k, ni, nr)
			r.sameChildren(t, s, k, ni, nr)
			r.sameRekeying(t, s, k)
		})
	}
}

func (r run) sameKeys(t *testing.T, k keys) {
	for _, c := range []struct {
		what      string
		got, want []byte
	}{
		{"SK_d", k.d, r.SKd}, {"SK_ai", k.ai, r.SKai}, {"SK_ar", k.ar, r.SKar}, {"SK_ei", k.ei, r.SKei},
		{"SK_er", k.er, r.SKer}, {"SK_pi", k.pi, r.SKpi}, {"SK_pr", k.pr, r.SKpr},
	} {
		same(t, c.what, c.got, c.want)
	}
}

func (r run) sameAuth(t *testing.T, s crypto.Suite, k keys, ni, nr []byte) {
	f := (&SA{suite: s}).prf()
	byI := auth.SignedOctets(f, r.InitRequest, nr, k.pi, r.IDi)
	same(t, "AUTH of the initiator", auth.SharedKey(f, crypto.Secret(r.PSK), byI), r.AuthI)
	byR := auth.SignedOctets(f, r.InitResponse, ni, k.pr, r.IDr)
	same(t, "AUTH of the responder", auth.SharedKey(f, crypto.Secret(r.PSK), byR), r.AuthR)
	if !auth.VerifySharedKey(f, crypto.Secret(r.PSK), byR, r.AuthR) || auth.VerifySharedKey(f, crypto.Secret(r.PSK), byR, r.AuthI) {
		t.Error("AUTH is not verified")
	}
}

func (r run) sameChildren(t *testing.T, s crypto.Suite, k keys, ni, nr []byte) {
	esp := suiteOf(t, crypto.ESP, r.ESP)
	f := (&SA{suite: s}).prf()
	same(t, "seed", append(append([]byte(nil), ni...), nr...), r.ChildSeed)
	i, o, err := child.DeriveKeys(f, k.d, nil, ni, nr, esp)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "initiator's encryption key", i.Encr, r.ChildEncrI)
	same(t, "responder's encryption key", o.Encr, r.ChildEncrR)
	same(t, "initiator's integrity key", i.Integ, r.ChildIntegI)
	same(t, "responder's integrity key", o.Integ, r.ChildIntegR)
	// Its replacement, with perfect forward secrecy: the seed is g^ir | Ni | Nr.
	n := len(r.PFSChildSecret)
	i, o, err = child.DeriveKeys(f, k.d, r.PFSChildSeed[:n], r.PFSChildSeed[n:n+32], r.PFSChildSeed[n+32:], esp)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "PFS: initiator's encryption key", i.Encr, r.PFSChildEncrI)
	same(t, "PFS: responder's encryption key", o.Encr, r.PFSChildEncrR)
	same(t, "PFS: initiator's integrity key", i.Integ, r.PFSChildIntegI)
	same(t, "PFS: responder's integrity key", o.Integ, r.PFSChildIntegR)
}

func (r run) sameRekeying(t *testing.T, s crypto.Suite, k keys) {
	read := func(chain []byte) (spi uint64, nonce []byte) {
		ps, err := wire.Parse(wire.PayloadSA, chain, wire.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		sa, _ := wire.Find[*wire.SA](ps)
		return binary.BigEndian.Uint64(sa.Proposals[0].SPI), nonceOf(t, ps)
	}
	spiI, ni := read(r.RekeyRequest)
	spiR, nr := read(r.RekeyResponse)
	n, err := deriveKeys(s, (&SA{suite: s}).prf(), k.d, r.RekeySharedSecret, ni, nr, spiI, spiR)
	if err != nil {
		t.Fatal(err)
	}
	r.SKd, r.SKai, r.SKar, r.SKei = r.RekeySKd, r.RekeySKai, r.RekeySKar, r.RekeySKei
	r.SKer, r.SKpi, r.SKpr = r.RekeySKer, r.RekeySKpi, r.RekeySKpr
	r.sameKeys(t, n)
}

// The NAT detection hashes in charon's first messages are those of the addresses
// that it used; both ends pretended to be behind a NAT (encap = yes).
func TestNATDetectionOfCharon(t *testing.T) {
	for name, r := range runs(t) {
		h, ps := parsed(t, r.InitRequest)
		path := pathOf("198.51.100.2:500", "192.0.2.2:500")
		if n := detectNAT(h, path, ps); n.local || !n.remote {
			t.Errorf("%s: %+v", name, n)
		}
		path = pathOf("198.51.100.3:500", "192.0.2.2:500")
		if n := detectNAT(h, path, ps); !n.local || !n.remote {
			t.Errorf("%s: another address of ours: %+v", name, n)
		}
	}
}

// When the PRF changes with the IKE SA, SKEYSEED is made with the old one and the
// keys with the new one (RFC 7296, 2.18); computed here by hand.
func TestKeysWithAnotherPRF(t *testing.T) {
	mac := func(h func() hash.Hash, key []byte, data ...[]byte) []byte {
		m := hmac.New(h, key)
		for _, d := range data {
			m.Write(d)
		}
		return m.Sum(nil)
	}
	oldD, shared := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	ni, nr := bytes.Repeat([]byte{3}, 32), bytes.Repeat([]byte{4}, 32)
	spis := []byte{0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6}
	seed := mac(sha256.New, oldD, shared, ni, nr)
	var all, block []byte
	for i := byte(1); len(all) < 3*48+2*36; i++ {
		block = mac(sha512.New384, seed, block, ni, nr, spis, []byte{i})
		all = append(all, block...)
	}
	old := &SA{suite: suiteOf(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519")}
	k, err := deriveKeys(suiteOf(t, crypto.IKE, "aes256gcm16-prfsha384-curve25519"), old.prf(), oldD, shared, ni, nr, 5, 6)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the key material", k.all, all[:3*48+2*36])
	same(t, "SK_pr", k.pr, all[2*48+2*36:3*48+2*36])
}
