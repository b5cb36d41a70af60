package v2

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/prf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// kinds is what charon has sent and computed for an AH child with compression, in
// IKE_AUTH, and has sent for a BEET child; see "source" in the file.
type kinds struct {
	SKd, ChildSeed, ChildIntegI, ChildIntegR octets
	AuthRequest, AuthResponse                octets
	CreateRequest, CreateResponse            octets
}

func kindsOf(t testing.TB) (k kinds) {
	t.Helper()
	b, err := os.ReadFile("testdata/kinds.json")
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// chain parses decrypted payloads.
func chain(t testing.TB, first wire.PayloadType, plain []byte) []wire.Payload {
	t.Helper()
	ps, err := wire.Parse(first, plain, wire.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// AH takes an integrity key for each direction from KEYMAT, and nothing else
// (RFC 7296, 2.17).
func TestKeysOfAH(t *testing.T) {
	k := kindsOf(t)
	f, _ := prf.Get(crypto.PRFHMACSHA256)
	half := len(k.ChildSeed) / 2
	i, r, err := child.DeriveKeys(f, crypto.Secret(k.SKd), nil, k.ChildSeed[:half], k.ChildSeed[half:], suiteOf(t, crypto.AH, "sha256"))
	if err != nil || len(i.Encr)+len(r.Encr) != 0 {
		t.Fatal(err)
	}
	same(t, "initiator's integrity key", i.Integ, k.ChildIntegI)
	same(t, "responder's integrity key", r.Integ, k.ChildIntegR)
}

// What charon offers is understood, and answered as charon would.
func TestCharonOffers(t *testing.T) {
	k := kindsOf(t)
	n, a, b := up(t, func(a, b *conf.Connection) {
		addChild(t, a, "ah", "10.1.0.0/16", "10.2.0.0/16", "aes128gcm16").IPComp = true
		addChild(t, b, "ah", "10.2.0.0/16", "10.1.0.0/16", "aes128gcm16").IPComp = true
		ah(t, "sha256", a.Children[1], b.Children[1])
		b.Children[0].Mode, b.Children[0].Local, b.Children[0].Remote = conf.BEET, single("10.2.0.1"), single("10.1.0.1")
		b.Children[0].Proposals = proposals(t, crypto.ESP, "aes128gcm16-curve25519")
		a.Children[0].Mode, a.Children[0].Local, a.Children[0].Remote = conf.BEET, single("10.1.0.1"), single("10.2.0.1")
		a.Children[0].Proposals = b.Children[0].Proposals
	})
	offered := chain(t, wire.PayloadIDi, k.AuthRequest)
	if cpi, _ := readCompression(offered); cpi != 0x5aba {
		t.Errorf("CPI %x", cpi)
	}
	ps := n.exchange(a, b, wire.CreateChildSA, append(offered[2:], &wire.Nonce{Data: make([]byte, 32)})...)
	c := b.children[len(b.children)-1]
	if cpi, _ := readCompression(ps); c.Name != "ah" || c.Suite.Proto != crypto.AH || c.CPIOut != 0x5aba || c.CPIIn != cpi || cpi == 0 || c.SPIOut != 0xc28928d7 {
		t.Errorf("%+v, answered %s", c, notifies(ps))
	}
	ps = n.exchange(a, b, wire.CreateChildSA, chain(t, wire.PayloadNotify, k.CreateRequest)...)
	c = b.children[len(b.children)-1]
	if c.Name != "lan" || c.Mode != conf.BEET || c.Compressed() || notifies(ps) != "NOTIFY_40961" {
		t.Errorf("%+v, answered %s\n%s", c, notifies(ps), n.story())
	}
}

// A refusal of charon's holds IPCOMP_SUPPORTED, too.
func TestCharonRefuses(t *testing.T) {
	k := kindsOf(t)
	n, a, _ := createAnswers(t, "aes256gcm16", func([]wire.Payload) []wire.Payload { return chain(t, wire.PayloadNotify, k.CreateResponse) })
	if f := n.a.failure(); f.Why.Notify != "NO_PROPOSAL_CHOSEN" || f.Why.Cause != ike.NoProposal || len(a.children) != 1 || len(n.a.plane.reserved) != 1 {
		t.Error(n.story())
	}
	if got := notifies(chain(t, wire.PayloadIDr, k.AuthResponse)); got != "IPCOMP_SUPPORTED MOBIKE_SUPPORTED NO_ADDITIONAL_ADDRESSES NO_PROPOSAL_CHOSEN" {
		t.Error(got)
	}
}
