package v2

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

func single(s string) []conf.Selector {
	a := netip.MustParseAddr(s)
	return []conf.Selector{{First: a, Last: a, PortLast: 65535}}
}

// beet makes the first child of both sides one of BEET mode.
func beet(a, b *conf.Connection) {
	x, y := a.Children[0], b.Children[0]
	x.Mode, x.Local, x.Remote = conf.BEET, single("10.1.0.1"), single("10.2.0.1")
	y.Mode, y.Local, y.Remote = conf.BEET, x.Remote, x.Local
}

// BEET mode is asked for by a notify that strongSwan has, of peers that know it by its
// vendor ID.
func TestBEET(t *testing.T) {
	n, a, b := up(t, beet, func(a, b *conf.Connection) {
		addChild(t, a, "second", "172.16.0.0/24", "172.17.0.0/24", "aes256gcm16")
		addChild(t, b, "second", "172.17.0.0/24", "172.16.0.0/24", "aes256gcm16")
	})
	for i, p := range n.sent[:2] {
		_, ps := parsed(t, p.data)
		if !knowsBEET(ps) {
			t.Errorf("message %d has no vendor ID", i)
		}
	}
	if got := notifies(n.open(b, n.sent[2].data)); !strings.Contains(got, "NOTIFY_40961") {
		t.Error(got)
	}
	if a.children[0].Mode != conf.BEET || ts.String(a.children[0].Remote) != "10.2.0.1/32" {
		t.Errorf("%+v", a.children[0])
	}
	in := n.a.plane.sas[a.children[0].InboundID()]
	want := esp.Selector{Src: netip.MustParsePrefix("10.2.0.1/32"), Dst: netip.MustParsePrefix("10.1.0.1/32"), SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
	if in.Mode != esp.BEET || len(in.Selectors) != 1 || in.Selectors[0] != want {
		t.Errorf("%+v", in)
	}
	for _, p := range n.b.plane.policies {
		if p.Mode != esp.BEET {
			t.Errorf("%+v", p)
		}
	}
	n.b.step(b, ike.Initiate{Child: "second"})
	n.run()
	n.established(2)
	// The heir of the IKE SA still knows.
	n.exchange(a, b, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(a.conn.Proposals, spi64(9))}, &wire.Nonce{Data: make([]byte, 32)},
		&wire.KE{Method: crypto.KECurve25519, Data: keOffer(t, n, crypto.KECurve25519).Public()})
	if heir := n.b.last; heir == b || !heir.beet {
		t.Error("the heir has forgotten", n.story())
	}
}

// A packet that asks for a BEET child narrows it to its protocol, not its address.
func TestBEETByPacket(t *testing.T) {
	n := newNetwork(t, beet)
	packet := esp.Selector{
		Src: netip.MustParsePrefix("10.1.0.1/32"), Dst: netip.MustParsePrefix("10.2.0.1/32"), Proto: 6,
		SrcPorts: esp.PortRange{First: 1000, Last: 1000}, DstPorts: esp.PortRange{First: 80, Last: 80},
	}
	p := n.a.params()
	sa := dial(p, n.a.conn(), ike.Path{Local: netip.AddrPortFrom(addrA, ike.Port), Remote: netip.AddrPortFrom(addrB, ike.Port)})
	n.a.add(p.SPI, sa)
	n.a.step(sa, ike.Initiate{Child: "lan", Packet: &packet})
	n.run()
	a, _ := n.established(1)
	if got := ts.String(a.children[0].Local); got != "10.1.0.1/32" {
		t.Error(got)
	}
}

// Modes that differ.
func TestModesDiffer(t *testing.T) {
	become := func(c *conf.Connection, m conf.Mode) {
		child := c.Children[0]
		child.Mode = m
		if m == conf.Transport {
			child.Local, child.Remote = nil, nil
		}
	}
	for _, c := range []struct {
		a, b conf.Mode
		want string // of b's refusal; empty: b agrees, and a refuses
	}{
		{conf.BEET, conf.Tunnel, ""},
		{conf.Tunnel, conf.BEET, `the peer wants tunnel mode, configured is mode = "beet"`},
		{conf.Transport, conf.Tunnel, ""},
	} {
		n := newNetwork(t, beet, func(a, b *conf.Connection) {
			become(a, c.a)
			become(b, c.b)
			if c.a == conf.Transport {
				b.Children[0].Local, b.Children[0].Remote = nil, nil
			}
		})
		n.a.dial()
		n.run()
		n.established(0)
		at, want := n.b, c.want
		if c.want == "" {
			at, want = n.a, `the peer wants tunnel mode, configured is mode = "`+c.a.String()+`"`
		}
		if f := at.failure(); f.Why.Cause != ike.NoProposal || !strings.Contains(f.Text, want) {
			t.Errorf("%v and %v: %s", c.a, c.b, n.story())
		}
		for _, h := range []*host{n.a, n.b} {
			if len(h.plane.sas) != 0 {
				t.Errorf("%v and %v: %v", c.a, c.b, h.plane.log)
			}
		}
	}
}

// The number of the notify means BEET only to who shows the vendor ID.
func TestPrivateNotifyOfStranger(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"))
	b.conn.Children[1].Mode = conf.BEET
	if b.beet || a.beet {
		t.Error("a vendor ID without a BEET child")
	}
	create := func() []wire.Payload {
		return n.exchange(a, b, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, "aes256gcm16"), be32(0x4711))},
			&wire.Nonce{Data: make([]byte, 32)}, &wire.TS{Selectors: []wire.Selector{wireSelector("172.16.0.0/24")}},
			&wire.TS{Responder: true, Selectors: []wire.Selector{wireSelector("172.17.0.0/24")}}, &wire.Notify{Kind: notifyUseBEETMode})
	}
	if got := notifies(create()); got != "NO_PROPOSAL_CHOSEN" || !strings.Contains(n.b.failure().Text, "the peer wants tunnel mode") {
		t.Error(got, n.story())
	}
	b.beet = true
	if got := notifies(create()); got != "NOTIFY_40961" || b.children[1].Mode != conf.BEET {
		t.Error(got, n.story())
	}
}

// Children that only let packets pass or drop them are never negotiated.
func TestShunts(t *testing.T) {
	shunt := func(m conf.Mode, conns ...*conf.Connection) {
		for _, c := range conns {
			hole := *c.Children[0]
			hole.Name, hole.Mode, hole.Proposals = "hole", m, nil
			c.Children = append([]*conf.Child{&hole}, c.Children...)
		}
	}
	for _, m := range []conf.Mode{conf.Pass, conf.Drop} {
		n, a, b := up(t, func(a, b *conf.Connection) { shunt(m, a, b) })
		if a.children[0].Name != "lan" || b.children[0].Name != "lan" {
			t.Error(n.story())
		}
		before := len(n.sent)
		n.a.step(a, ike.Initiate{Child: "hole"})
		n.run()
		if f := n.a.failure(); f.Child != "hole" || !strings.Contains(f.Text, "only lets packets pass or drops them") || len(n.sent) != before {
			t.Error(f.Text)
		}
		n.established(1)
		// A connection of nothing else.
		n = newNetwork(t, func(a, b *conf.Connection) {
			shunt(m, a, b)
			b.Children = b.Children[:1]
		})
		n.a.dial("hole", "lan")
		n.run()
		n.established(0)
		if f := n.b.failure(); f.Why.Notify != "TS_UNACCEPTABLE" || f.Child != "(none)" || f.Why.Differs != "no phase 2 is configured" {
			t.Error(f.Text)
		}
		if len(n.a.of(ike.Failed)) != 2 {
			t.Error(n.story())
		}
	}
}
