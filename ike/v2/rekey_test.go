package v2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// keOffer is the initiator's half of a key exchange.
func keOffer(t testing.TB, n *network, group uint16) ke.Offer {
	t.Helper()
	m, ok := ke.Get(group)
	if !ok {
		t.Fatal("no group", group)
	}
	offer, err := m.Offer(n.rand)
	if err != nil {
		t.Fatal(err)
	}
	return offer
}

// rekeyChild lets a replace a child of b, as a peer does, and returns the payloads
// of the answer.
func (n *network) rekeyChild(a, b *SA, c *childSA, words string, offer ke.Offer, more ...wire.Payload) []wire.Payload {
	proto := c.Suite.Proto
	ps := []wire.Payload{
		&wire.Notify{Kind: wire.NotifyRekeySA, Protocol: wire.Protocol(proto), SPI: be32(c.SPIIn)},
		&wire.SA{Proposals: wireProposals(proposals(n.t, proto, words), be32(0xabcd))},
		&wire.Nonce{Data: bytes.Repeat([]byte{3}, 32)},
	}
	if offer != nil {
		ps = append(ps, &wire.KE{Method: proposals(n.t, crypto.ESP, words)[0].Of(crypto.KE)[0].ID, Data: offer.Public()})
	}
	ps = append(ps, &wire.TS{Selectors: c.Local}, &wire.TS{Responder: true, Selectors: c.Remote})
	return n.exchange(a, b, wire.CreateChildSA, append(ps, more...)...)
}

// The peer replaces a child. The new one receives at once and sends when the old
// one is deleted, so that nothing is lost (RFC 7296, 1.3.3, 2.8).
func TestPeerRekeysChild(t *testing.T) {
	for _, words := range []string{"aes256gcm16", "aes256gcm16-curve25519"} {
		n, a, b := up(t, func(a, b *conf.Connection) { b.Children[0].Proposals = proposals(t, crypto.ESP, words) })
		old := b.children[0]
		var offer ke.Offer
		var dh []byte
		if words != "aes256gcm16" {
			offer = keOffer(t, n, crypto.KECurve25519)
		}
		ps := n.rekeyChild(a, b, a.children[0], words, offer)
		answer, _ := wire.Find[*wire.SA](ps)
		if answer == nil || len(b.children) != 2 {
			t.Fatal(notifies(ps), n.story())
		}
		if offer != nil {
			kep, _ := wire.Find[*wire.KE](ps)
			var err error
			if dh, err = offer.Finish(kep.Data); err != nil {
				t.Fatal(err)
			}
		}
		fresh := b.children[1]
		if fresh.ReqID != old.ReqID || old.State != ike.ChildRekeyedState || fresh.State != ike.ChildInstalled ||
			ts.String(fresh.Local) != ts.String(old.Local) || binary.BigEndian.Uint32(answer.Proposals[0].SPI) != fresh.SPIIn {
			t.Errorf("%+v", fresh)
		}
		in, out, err := child.DeriveKeys(a.prf(), a.keys.d, dh, bytes.Repeat([]byte{3}, 32), nonceOf(t, ps), fresh.Suite)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.b.plane.sas[fresh.InboundID()]; !bytes.Equal(got.EncrKey, in.Encr) {
			t.Error("the keys differ")
		}
		if _, ok := n.b.plane.sas[fresh.OutboundID()]; ok {
			t.Error("the new child sends already")
		}
		if got := n.b.kinds(); got != "IKEUp ChildUp ChildRekeyed" {
			t.Error(got)
		}
		r := n.b.of(ike.ChildRekeyed)[0]
		if r.ChildID != old.ID || r.NewID != fresh.ID || len(r.SA.Children) != 2 || r.Child != "lan" {
			t.Errorf("%+v", r)
		}
		// The peer deletes the old one.
		ps = n.exchange(a, b, wire.Informational, deleteOf(crypto.ESP, old.SPIOut))
		if d, _ := wire.Find[*wire.Delete](ps); d == nil || binary.BigEndian.Uint32(d.SPIs[0]) != old.SPIIn {
			t.Errorf("answer %+v", ps)
		}
		if got := n.b.plane.sas[fresh.OutboundID()]; !bytes.Equal(got.EncrKey, out.Encr) || len(n.b.plane.sas) != 3 || len(n.b.plane.policies) != 3 {
			t.Errorf("the new child does not send: %v", n.b.plane.log)
		}
		// What the peer has sent by it may still come.
		if d := b.Deadline(); d != n.now.Add(lateTime) {
			t.Errorf("deadline in %v", d.Sub(n.now))
		}
		n.now = n.now.Add(lateTime)
		n.b.step(b, ike.Timeout{})
		log := n.b.plane.log
		if got := strings.Join(log[len(log)-3:], ", "); got != fmt.Sprintf("add out 0000abcd, del %08x, del %08x", old.SPIOut, old.SPIIn) {
			t.Error(got)
		}
		if got := n.b.kinds(); got != "IKEUp ChildUp ChildRekeyed ChildDown" || fresh.Waiting != nil {
			t.Error(got)
		}
	}
}

// A peer that does not delete what it has replaced: we do.
func TestPeerForgetsToDelete(t *testing.T) {
	n, a, b := up(t)
	n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
	old, fresh := b.children[0], b.children[1]
	n.now = n.now.Add(replacedTime)
	if b.Deadline() != n.now {
		t.Errorf("deadline in %v", b.Deadline().Sub(n.now))
	}
	n.b.step(b, ike.Timeout{})
	last := n.sent[len(n.sent)-1]
	if d, _ := wire.Find[*wire.Delete](n.open(a, last.data)); d == nil || binary.BigEndian.Uint32(d.SPIs[0]) != old.SPIIn {
		t.Fatal("no delete")
	}
	n.run()
	n.b.settle(b)
	if len(b.children) != 1 || b.children[0] != fresh || len(n.b.plane.sas) != 2 {
		t.Error(n.story(), n.b.plane.log)
	}
}

// When a child may not be replaced (RFC 7296, 2.25.1).
func TestRekeyChildDenied(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(n *network, b *SA)
		want    string
	}{
		"it is being deleted": {func(n *network, b *SA) {
			n.b.step(b, ike.Terminate{Child: "lan"})
			n.queue = nil
		}, "TEMPORARY_FAILURE"},
		"it waits to be deleted": {func(n *network, b *SA) {
			b.queue = append(b.queue, &deleteExchange{child: b.children[0]})
			b.active = &deleteExchange{}
		}, "TEMPORARY_FAILURE"},
		"it was replaced":         {func(_ *network, b *SA) { b.children[0].State = ike.ChildRekeyedState }, "TEMPORARY_FAILURE"},
		"it is gone":              {func(_ *network, b *SA) { b.children = nil }, "CHILD_SA_NOT_FOUND"},
		"the IKE SA ends":         {func(_ *network, b *SA) { b.state = ike.Deleting }, "TEMPORARY_FAILURE"},
		"the IKE SA was replaced": {func(_ *network, b *SA) { b.state = ike.Rekeyed }, "TEMPORARY_FAILURE"},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := up(t)
			c.prepare(n, b)
			children := len(b.children)
			ps := n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
			if notifies(ps) != c.want || len(b.children) != children {
				t.Error(notifies(ps))
			}
			if notify, ok := ps[0].(*wire.Notify); c.want == "CHILD_SA_NOT_FOUND" && (!ok || !bytes.Equal(notify.SPI, be32(a.children[0].SPIIn)) || notify.Protocol != wire.ProtocolESP) {
				t.Errorf("%+v", ps[0])
			}
		})
	}
	// By AH's SPI it is not found, though the number is the same.
	n, a, b := up(t)
	ps := n.exchange(a, b, wire.CreateChildSA, &wire.Notify{Kind: wire.NotifyRekeySA, Protocol: wire.ProtocolAH, SPI: be32(a.children[0].SPIIn)},
		&wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, "aes256gcm16"), be32(7))}, &wire.Nonce{Data: make([]byte, 32)},
		&wire.TS{Selectors: a.children[0].Local}, &wire.TS{Responder: true, Selectors: a.children[0].Remote})
	if notifies(ps) != "CHILD_SA_NOT_FOUND" {
		t.Error(notifies(ps))
	}
}

// The suite that was agreed on first stays acceptable, with the groups that are
// configured, whatever the configuration has become.
func TestRekeySuiteStays(t *testing.T) {
	n, a, b := up(t)
	b.children[0].Conf.Proposals = proposals(t, crypto.ESP, "aes128-sha256-curve25519")
	b.conn.Proposals = proposals(t, crypto.IKE, "aes128-sha256-modp2048")
	if ps := n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil); notifies(ps) != "NO_PROPOSAL_CHOSEN" {
		t.Errorf("without perfect forward secrecy: %s", notifies(ps))
	}
	if ps := n.rekeyChild(a, b, a.children[0], "aes256gcm16-curve25519", keOffer(t, n, 31)); len(b.children) != 2 {
		t.Error(notifies(ps))
	}
	ps, _ := n.rekeyIKE(a, b, "aes256gcm16-prfsha256-curve25519")
	if b.state != ike.Rekeyed {
		t.Error(notifies(ps))
	}
}

// rekeyIKE lets a replace the IKE SA of b, as a peer does. It returns the payloads
// of the answer and the keys of the new IKE SA.
func (n *network) rekeyIKE(a, b *SA, words string) ([]wire.Payload, keys) {
	n.t.Helper()
	ps := proposals(n.t, crypto.IKE, words)
	group := firstGroup(ps)
	offer := keOffer(n.t, n, group)
	ni := bytes.Repeat([]byte{5}, 32)
	answer := n.exchange(a, b, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(ps, spi64(0xfeed))}, &wire.Nonce{Data: ni},
		&wire.KE{Method: group, Data: offer.Public()})
	sa, _ := wire.Find[*wire.SA](answer)
	kep, _ := wire.Find[*wire.KE](answer)
	if sa == nil || kep == nil {
		return answer, keys{}
	}
	dh, err := offer.Finish(kep.Data)
	if err != nil {
		n.t.Fatal(err)
	}
	s, spi, ok := chosen(sa, ps, wire.ProtocolIKE)
	if !ok || len(spi) != 8 {
		n.t.Fatalf("%+v", sa)
	}
	k, err := deriveKeys(s, a.prf(), a.keys.d, dh, ni, nonceOf(n.t, answer), 0xfeed, binary.BigEndian.Uint64(spi))
	if err != nil {
		n.t.Fatal(err)
	}
	return answer, k
}

// The peer replaces the IKE SA: the children move, without the data plane learning
// of it, and what waits is done by the new one (RFC 7296, 1.3.2, 2.8, 2.18).
func TestPeerRekeysIKE(t *testing.T) {
	for _, words := range []string{"aes256gcm16-prfsha256-curve25519", "aes128-aesxcbc-ecp256"} {
		n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"), func(_, b *conf.Connection) {
			b.Proposals = append(b.Proposals, proposals(t, crypto.IKE, "aes128-aesxcbc-ecp256")...)
		})
		ops := len(n.b.plane.log)
		answer, k := n.rekeyIKE(a, b, words)
		if len(n.b.sas) != 2 || !k.ready() {
			t.Fatal(notifies(answer), n.story())
		}
		heir := n.b.last
		if heir.initiator || heir.spiI != 0xfeed || heir.SPI != heir.spiR || heir.state != ike.Up || len(heir.children) != 1 || len(b.children) != 0 ||
			heir.localID != b.localID || heir.remoteID != b.remoteID || heir.fragments != b.fragments || heir.Deadline() != n.now.Add(time.Hour) {
			t.Errorf("%+v", heir.Status())
		}
		if !bytes.Equal(heir.keys.all, k.all) {
			t.Error("the keys differ")
		}
		if len(n.b.plane.log) != ops {
			t.Error("the data plane was changed", n.b.plane.log)
		}
		r := n.b.of(ike.IKERekeyed)[0]
		if r.IKE != b.ID || r.NewID != heir.ID || r.SA.ID != heir.ID {
			t.Errorf("%+v", r)
		}
		// The peer goes on with the new IKE SA, and deletes the old one.
		peer := dial(ike.Birth{SPI: 0xfeed, Config: n.a.conf}, n.a.conn(), a.path)
		peer.spiR, peer.suite, peer.keys, peer.established = heir.spiR, heir.suite, k, n.now
		if ps := n.exchange(peer, heir, wire.Informational); len(ps) != 0 || heir.win.nextRecv != 1 {
			t.Errorf("%v, next message ID %d", ps, heir.win.nextRecv)
		}
		if n.exchange(a, b, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE}); !b.closed || heir.closed || len(n.b.sas) != 1 {
			t.Error(n.story())
		}
		if got := n.b.kinds(); got != "IKEUp ChildUp IKERekeyed IKEDown" {
			t.Error(got)
		}
		n.b.step(heir, ike.Terminate{Force: true, Why: "test"})
		n.b.empty()
	}
}

// What waits when the IKE SA is replaced is done by the new one.
func TestRekeyIKEInheritsWork(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"))
	n.b.hold = true
	n.rekeyIKE(a, b, "aes256gcm16-prfsha256-curve25519")
	n.b.step(b, ike.Initiate{Child: "second"})
	if b.active != nil || len(b.queue) != 1 {
		t.Error("an exchange began while the IKE SA is about to be replaced")
	}
	n.b.hold = false
	n.b.release()
	heir := n.b.last
	if heir == b || len(heir.queue) != 1 || heir.Deadline() > n.now {
		t.Fatalf("%d exchanges wait, deadline in %v", len(heir.queue), heir.Deadline().Sub(n.now))
	}
	n.b.step(heir, ike.Timeout{})
	if heir.active == nil || heir.win.out == nil {
		t.Error("the new IKE SA does not do what waits")
	}
	// The old one does no more.
	n.b.step(b, ike.Initiate{Child: "second"})
	if f := n.b.failure(); f.Child != "second" || f.IKE != b.ID || f.Why.Cause != ike.Terminated {
		t.Error(f.Text)
	}
}

// A replaced IKE SA that the peer does not delete ends by itself.
func TestReplacedIKEEnds(t *testing.T) {
	n, a, b := up(t)
	n.rekeyIKE(a, b, "aes256gcm16-prfsha256-curve25519")
	n.now = n.now.Add(replacedTime)
	n.b.step(b, ike.Timeout{})
	if !b.closed || n.b.last.closed || len(n.b.last.children) != 1 {
		t.Error(n.story())
	}
	if d, _ := wire.Find[*wire.Delete](n.open(a, n.sent[len(n.sent)-1].data)); d == nil || d.Protocol != wire.ProtocolIKE {
		t.Error("the peer is not told")
	}
}

// When the IKE SA may not be replaced (RFC 7296, 2.25.2).
func TestRekeyIKEDenied(t *testing.T) {
	busy := func(x exchange) func(*network, *SA) {
		return func(_ *network, b *SA) { b.active = x }
	}
	const good = "aes256gcm16-prfsha256-curve25519"
	for name, c := range map[string]struct {
		prepare func(n *network, b *SA)
		words   string
		want    string
	}{
		"a child is being set up":  {busy(&childExchange{}), good, "TEMPORARY_FAILURE"},
		"a child is being deleted": {busy(&deleteExchange{}), good, "TEMPORARY_FAILURE"},
		"it ends":                  {func(_ *network, b *SA) { b.state = ike.Deleting }, good, "TEMPORARY_FAILURE"},
		"it was replaced":          {func(_ *network, b *SA) { b.state = ike.Rekeyed }, good, "TEMPORARY_FAILURE"},
		"no proposal":              {func(*network, *SA) {}, "aes128-sha1-modp1024", "NO_PROPOSAL_CHOSEN"},
		"other group":              {func(*network, *SA) {}, "aes256gcm16-prfsha256-modp2048-curve25519", "INVALID_KE_PAYLOAD"},
		"no job":                   {func(n *network, _ *SA) { n.b.jobErr = errors.New("busy") }, good, "TEMPORARY_FAILURE"},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := up(t)
			c.prepare(n, b)
			ps, _ := n.rekeyIKE(a, b, c.words)
			if notifies(ps) != c.want || len(n.b.sas) != 1 || len(b.children) != 1 || b.serving != nil {
				t.Error(notifies(ps), n.story())
			}
		})
	}
	n, a, b := up(t)
	ps := n.exchange(a, b, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(a.conn.Proposals, spi64(1))}, &wire.Nonce{Data: make([]byte, 32)},
		&wire.KE{Method: 31, Data: make([]byte, 32)})
	if notifies(ps) != "INVALID_SYNTAX" || !b.closed {
		t.Errorf("a public value of low order: %s", notifies(ps))
	}
	n, a, b = up(t)
	ps = n.exchange(a, b, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(a.conn.Proposals, spi64(0))}, &wire.Nonce{Data: make([]byte, 32)},
		&wire.KE{Method: 31, Data: make([]byte, 32)})
	if notifies(ps) != "NO_PROPOSAL_CHOSEN" || b.closed {
		t.Errorf("SPI 0: %s", notifies(ps))
	}
}

// The IKE SA that is about to be replaced closes: nothing is left of the work.
func TestRekeyDropped(t *testing.T) {
	n, a, b := up(t)
	n.b.hold = true
	n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
	n.b.step(b, ike.Terminate{Force: true})
	n.b.held = nil
	if len(n.b.plane.sas) != 0 || len(n.b.plane.policies) != 0 {
		t.Error("left in the data plane")
	}
	n, a, b = up(t)
	n.b.hold = true
	n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
	for range 2 { // nonce and SPI; now the data plane has it
		f := n.b.held[0]
		n.b.held = n.b.held[1:]
		f()
	}
	if len(n.b.held) != 1 || len(n.b.plane.sas) != 3 {
		t.Fatalf("%d answers wait, %d SAs", len(n.b.held), len(n.b.plane.sas))
	}
	n.b.step(b, ike.Terminate{Force: true})
	n.b.empty()
}
