package v2

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// ah makes children AH with these words.
func ah(t testing.TB, words string, children ...*conf.Child) {
	for _, c := range children {
		c.Protocol, c.Proposals = crypto.AH, proposals(t, crypto.AH, words)
	}
}

// secondAH adds an AH child "second" to both sides.
func secondAH(t testing.TB, words string) func(a, b *conf.Connection) {
	return func(a, b *conf.Connection) {
		second(t, "aes256gcm16", "aes256gcm16")(a, b)
		ah(t, words, a.Children[1], b.Children[1])
	}
}

// AH through its whole life: in IKE_AUTH, by CREATE_CHILD_SA from either side with and
// without perfect forward secrecy, deleted (RFC 7296, 3.3.1: protocol 2).
func TestAH(t *testing.T) {
	for words, keyLen := range map[string]int{"sha256": 32, "sha512-curve25519-esn": 64, "aesxcbc-modp2048": 16, "sha384-sha256": 48} {
		n, a, b := up(t, func(a, b *conf.Connection) { ah(t, "sha256", a.Children[0], b.Children[0]) }, secondAH(t, words))
		n.a.step(a, ike.Initiate{Child: "second"})
		n.run()
		n.established(2)
		sas := 0
		for id, sa := range n.b.plane.sas {
			if id.Proto != esp.ProtoAH || len(sa.EncrKey) != 0 || sa.Encr != (crypto.Alg{}) || sa.Integ.Type != crypto.Integ || sa.Mode != esp.Tunnel {
				t.Errorf("%s: %+v", words, sa)
			}
			if len(sa.IntegKey) == keyLen {
				sas++
			}
		}
		if sas < 2 {
			t.Errorf("%s: %d SAs with keys of %d octets", words, sas, keyLen)
		}
		for _, p := range n.a.plane.policies {
			if p.Proto != esp.ProtoAH {
				t.Errorf("%+v", p)
			}
		}
		if up := n.a.of(ike.ChildUp)[0]; !strings.Contains(up.Text, ", AH sha256 tunnel mode") {
			t.Error(up.Text)
		}
		if esn := n.a.plane.sas[a.children[1].OutboundID()].ESN; esn != strings.Contains(words, "esn") {
			t.Errorf("%s: ESN %v", words, esn)
		}
		n.b.step(b, ike.Terminate{Child: "second"})
		last := n.sent[len(n.sent)-1]
		if d, _ := wire.Find[*wire.Delete](n.open(a, last.data)); d == nil || d.Protocol != wire.ProtocolAH || len(d.SPIs) != 1 {
			t.Errorf("delete %+v", d)
		}
		n.run()
		n.established(1)
		n.a.step(a, ike.Terminate{})
		n.run()
		n.a.empty()
		n.b.empty()
	}
}

// The peer replaces an AH child.
func TestPeerRekeysAH(t *testing.T) {
	n, a, b := up(t, func(a, b *conf.Connection) { ah(t, "sha256", a.Children[0], b.Children[0]) })
	old := b.children[0]
	ps := n.rekeyChild(a, b, a.children[0], "sha256", nil)
	answer, _ := wire.Find[*wire.SA](ps)
	if answer == nil || len(b.children) != 2 || answer.Proposals[0].Protocol != wire.ProtocolAH || len(answer.Proposals[0].SPI) != 4 {
		t.Fatal(notifies(ps), n.story())
	}
	ps = n.exchange(a, b, wire.Informational, deleteOf(crypto.AH, old.SPIOut))
	if d, _ := wire.Find[*wire.Delete](ps); d == nil || d.Protocol != wire.ProtocolAH || binary.BigEndian.Uint32(d.SPIs[0]) != old.SPIIn {
		t.Errorf("answer %+v", ps)
	}
	n.b.settle(b)
	if len(b.children) != 1 || len(n.b.plane.sas) != 2 || n.b.plane.sas[b.children[0].OutboundID()].ID.Proto != esp.ProtoAH {
		t.Error(n.b.plane.log)
	}
}

// ESP here and AH there have nothing in common, and it is said so.
func TestAHAndESP(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) { ah(t, "sha256", a.Children[0]) })
	n.a.dial()
	n.run()
	n.established(0)
	if f := n.b.failure(); f.Why.Cause != ike.NoProposal || f.Why.Offered != "sha256" || !strings.Contains(f.Text, "protocol (ESP / AH)") && !strings.Contains(f.Text, "protocol (AH / ESP)") {
		t.Error(f.Text)
	}
	if f := n.a.failure(); !f.Why.ByPeer || f.Why.Notify != "NO_PROPOSAL_CHOSEN" {
		t.Error(f.Text)
	}
}

// AH passes no NAT: neither side begins it, nor agrees to it; ESP of the same
// connection is not touched.
func TestAHBehindNAT(t *testing.T) {
	for _, forced := range []bool{false, true} {
		n := newNetwork(t, secondAH(t, "sha256"), func(a, b *conf.Connection) { b.Gateways = conf.Gateways{{Any: true}}; a.ForceEncap = forced })
		if !forced {
			n.nat = natA
		}
		n.a.dial()
		n.run()
		a, b := n.established(1)
		before := len(n.sent)
		n.a.step(a, ike.Initiate{Child: "second"})
		n.b.step(b, ike.Initiate{Child: "second"})
		n.run()
		for _, h := range []*host{n.a, n.b} {
			if f := h.failure(); f.Child != "second" || !strings.Contains(f.Text, "AH protects the addresses of packets") || !strings.Contains(f.Text, `protocol = "esp"`) {
				t.Error(f.Text)
			}
		}
		if len(n.sent) != before {
			t.Error("the peer was asked")
		}
		n.b.reports = nil
		offer := &wire.SA{Proposals: wireProposals(proposals(t, crypto.AH, "sha256"), be32(0x4711))}
		ps := n.exchange(a, b, wire.CreateChildSA, offer, &wire.Nonce{Data: make([]byte, 32)},
			&wire.TS{Selectors: []wire.Selector{wireSelector("172.16.0.0/24")}}, &wire.TS{Responder: true, Selectors: []wire.Selector{wireSelector("172.17.0.0/24")}})
		if f := n.b.failure(); notifies(ps) != "NO_PROPOSAL_CHOSEN" || !strings.Contains(f.Text, "AH protects the addresses") {
			t.Error(notifies(ps), f.Text)
		}
		if len(n.b.plane.reserved) != 1 || len(n.a.plane.reserved) != 1 {
			t.Error("an SPI is left")
		}
	}
}

// The only child is AH, and there is a NAT: an IKE SA without a child, where the peer
// takes that, else none.
func TestOnlyAHBehindNAT(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		ah(t, "sha256", a.Children[0], b.Children[0])
		b.Gateways = conf.Gateways{{Any: true}}
	})
	n.nat = natA
	n.a.dial()
	n.run()
	n.established(0)
	if f := n.a.failure(); f.Child != "lan" || !strings.Contains(f.Text, "this host behind NAT") {
		t.Error(f.Text)
	}
}
