package v2

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// The responder wants another group than the initiator began with (RFC 7296, 1.3).
func TestInvalidKE(t *testing.T) {
	n, a, _ := up(t, func(a, b *conf.Connection) {
		a.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-modp2048-curve25519")
	})
	if a.suite.KE.ID != crypto.KECurve25519 || len(n.sent) != 6 {
		t.Errorf("%s after %d messages", a.suite, len(n.sent))
	}
	if _, ps := parsed(t, n.sent[1].data); notifies(ps) != "INVALID_KE_PAYLOAD" {
		t.Error(notifies(ps))
	}
	_, first := parsed(t, n.sent[0].data)
	_, second := parsed(t, n.sent[2].data)
	if !bytes.Equal(nonceOf(t, first), nonceOf(t, second)) {
		t.Error("the nonce has changed, so that a cookie would not be good any more")
	}
	if n.a.kinds() != "IKEUp ChildUp" || n.b.kinds() != "IKEUp ChildUp" {
		t.Error(n.story())
	}
}

// A copy of INVALID_KE_PAYLOAD that comes late does no harm.
func TestInvalidKETwice(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-modp2048-curve25519")
	})
	n.intercept = func(p packet) []packet { return []packet{p, p} }
	n.a.dial()
	n.run()
	n.established(1)
}

// A responder that asks for what was not offered, or for the same again, is given
// up.
func TestInvalidKEForNothing(t *testing.T) {
	for _, data := range [][]byte{{0, 5}, {0, 31}, {0}, nil} {
		n := newNetwork(t)
		replyInit(n, func(wire.Header) []wire.Payload {
			return []wire.Payload{&wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: data}}
		})
		n.a.dial()
		n.pass(2 * time.Second)
		if f := n.a.failure(); f.Why.Cause != ike.NoProposal || f.Why.Notify != "INVALID_KE_PAYLOAD" || len(n.a.sas) != 0 {
			t.Errorf("%x: %s", data, f.Text)
		}
	}
}

// replyInit answers every IKE_SA_INIT request of a in the place of b, nil: not.
func replyInit(n *network, answer func(wire.Header) []wire.Payload) {
	n.intercept = func(p packet) []packet {
		h := header(n.t, p.data)
		if p.from != n.a || h.Exchange != wire.IKESAInit {
			return []packet{p}
		}
		ps := answer(h)
		if ps == nil {
			return nil
		}
		h.Flags, h.SPIr = wire.FlagResponse, 0
		data, err := wire.Append(nil, h, ps...)
		if err != nil {
			n.t.Fatal(err)
		}
		return []packet{{n.b, p.dst, p.src, data}}
	}
}

// Whoever demands cookies or groups again and again does not keep the initiator at
// it.
func TestDemandsWithoutEnd(t *testing.T) {
	n := newNetwork(t)
	i := byte(0)
	replyInit(n, func(wire.Header) []wire.Payload {
		i++
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyCookie, Data: []byte{i}}}
	})
	n.a.dial()
	n.pass(2 * time.Second)
	if f := n.a.failure(); f.Why.Cause != ike.BadMessage || int(i) != initRounds+1 {
		t.Errorf("%d rounds: %s", i, f.Text)
	}
}

// A refusal of IKE_SA_INIT may be forged: a true answer that comes within a second
// is taken (RFC 7296, 2.21.1). Otherwise the refusal is the reason.
func TestForgedRefusal(t *testing.T) {
	for _, forged := range [][]wire.Payload{
		{&wire.Notify{Kind: wire.NotifyNoProposalChosen}},
		{&wire.Notify{Kind: wire.NotifyInvalidSyntax}},
		{&wire.Raw{Kind: 200, CriticalFlag: true}},
		{&wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 5}}},
		{&wire.VendorID{Data: []byte("nothing")}},
	} {
		for _, late := range []bool{false, true} {
			n := newNetwork(t)
			var held []packet
			n.intercept = func(p packet) []packet {
				h := header(t, p.data)
				if p.from != n.b || h.Exchange != wire.IKESAInit {
					return []packet{p}
				}
				held = append(held, p)
				h.SPIr = 0
				data, err := wire.Append(nil, h, forged...)
				if err != nil {
					t.Fatal(err)
				}
				return []packet{{n.b, p.src, p.dst, data}}
			}
			n.a.dial()
			n.pass(graceTime / 2)
			if n.a.kinds() != "" {
				t.Fatalf("%T: %s", forged[0], n.story())
			}
			if late {
				n.pass(graceTime)
			}
			n.deliver(held[0])
			n.run()
			if got := n.a.kinds(); got != map[bool]string{false: "IKEUp ChildUp", true: "Failed"}[late] {
				t.Errorf("%T, late %v: %s", forged[0], late, n.story())
			}
		}
	}
}

// A refusal does not outlive the demand of a cookie that comes after it.
func TestForgedRefusalBeforeCookie(t *testing.T) {
	n := newNetwork(t)
	n.intercept = func(packet) []packet { return nil }
	sa := n.a.dial()
	for _, notify := range []*wire.Notify{{Kind: wire.NotifyNoProposalChosen}, {Kind: wire.NotifyCookie, Data: []byte{1}}} {
		h := header(t, n.sent[0].data)
		h.Flags = wire.FlagResponse
		reply, err := wire.Append(nil, h, notify)
		if err != nil {
			t.Fatal(err)
		}
		n.a.step(sa, ike.Datagram{Path: sa.path, Data: reply})
	}
	n.intercept = nil
	n.pass(5 * time.Second) // the request with the cookie was lost, and is sent again
	n.established(1)
}

// An answer that does not fit what was offered is not taken.
func TestBadInitReplies(t *testing.T) {
	var good []wire.Payload
	change := func(f func([]wire.Payload) []wire.Payload) (*network, *SA) {
		n := newNetwork(t, func(a, b *conf.Connection) {
			a.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519-modp2048")
		})
		n.intercept = func(p packet) []packet {
			h := header(t, p.data)
			if p.from == n.b && h.Exchange == wire.IKESAInit {
				_, good = parsed(t, p.data)
				data, err := wire.Append(nil, h, f(good)...)
				if err != nil {
					t.Fatal(err)
				}
				p.data = data
			}
			return []packet{p}
		}
		sa := n.a.dial()
		n.run()
		return n, sa
	}
	suite := func(words string) *wire.SA {
		return &wire.SA{Proposals: wireProposals(proposals(t, crypto.IKE, words), nil)}
	}
	for name, f := range map[string]func([]wire.Payload) []wire.Payload{
		"another suite": func(ps []wire.Payload) []wire.Payload { ps[0] = suite("aes128gcm16-prfsha256-curve25519"); return ps },
		"another group": func(ps []wire.Payload) []wire.Payload { ps[0] = suite("aes256gcm16-prfsha256-modp2048"); return ps },
		"two groups": func(ps []wire.Payload) []wire.Payload {
			ps[0] = suite("aes256gcm16-prfsha256-curve25519-modp2048")
			return ps
		},
		"no nonce": func(ps []wire.Payload) []wire.Payload { return append(ps[:2:2], ps[3:]...) },
		"no KE":    func(ps []wire.Payload) []wire.Payload { return append(ps[:1:1], ps[2:]...) },
		"KE of another": func(ps []wire.Payload) []wire.Payload {
			ps[1] = &wire.KE{Method: 14, Data: make([]byte, 256)}
			return ps
		},
		"a short nonce": func(ps []wire.Payload) []wire.Payload { ps[2] = &wire.Nonce{Data: make([]byte, 8)}; return ps },
		"short KE": func(ps []wire.Payload) []wire.Payload {
			ps[1] = &wire.KE{Method: 31, Data: make([]byte, 31)}
			return ps
		},
		"low order KE": func(ps []wire.Payload) []wire.Payload {
			ps[1] = &wire.KE{Method: 31, Data: make([]byte, 32)}
			return ps
		},
		"critical": func(ps []wire.Payload) []wire.Payload { return append(ps, &wire.Raw{Kind: 201, CriticalFlag: true}) },
		"several chosen": func(ps []wire.Payload) []wire.Payload {
			x := ps[0].(*wire.SA)
			x.Proposals = append(x.Proposals, x.Proposals[0])
			return ps
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := change(f)
			n.pass(graceTime)
			if f := n.a.failure(); f.Why.Cause != ike.BadMessage || len(n.a.sas) != 0 {
				t.Error(f.Text)
			}
			n.a.empty()
		})
	}
	// From another address, for another SPI, with another message ID: not ours.
	n := newNetwork(t)
	n.intercept = func(packet) []packet { return nil }
	sa := n.a.dial()
	h := header(t, n.sent[0].data)
	h.Flags, h.SPIr = wire.FlagResponse, 7
	reply, err := wire.Append(nil, h, &wire.Notify{Kind: wire.NotifyNoProposalChosen})
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(sa)
	for i, x := range []func(*wire.Header, *ike.Path){
		func(h *wire.Header, _ *ike.Path) { h.SPIi++ },
		func(h *wire.Header, _ *ike.Path) { h.MessageID++ },
		func(h *wire.Header, _ *ike.Path) { h.Flags |= wire.FlagInitiator },
		func(h *wire.Header, _ *ike.Path) { h.Major = 1 },
		func(_ *wire.Header, p *ike.Path) { p.Remote = netip.AddrPortFrom(addrB, 501) },
		func(_ *wire.Header, p *ike.Path) { p.Remote = netip.AddrPortFrom(addrA, 500) },
	} {
		h, path := h, sa.path
		x(&h, &path)
		data, err := wire.Append(nil, h, &wire.Notify{Kind: wire.NotifyNoProposalChosen})
		if err != nil {
			t.Fatal(err)
		}
		n.a.step(sa, ike.Datagram{Path: path, Data: data})
		if snapshot(sa) != before {
			t.Errorf("case %d changed something", i)
		}
	}
	n.a.step(sa, ike.Datagram{Path: sa.path, Data: reply})
	if snapshot(sa) == before {
		t.Error("the reply itself changed nothing")
	}
}

// The responder refuses what it cannot use, unprotected, and forgets it.
func TestBadInitRequests(t *testing.T) {
	suite := wireProposals(proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519"), nil)
	nonce := &wire.Nonce{Data: make([]byte, 32)}
	key := bytes.Repeat([]byte{9}, 32)
	good := []wire.Payload{&wire.SA{Proposals: suite}, &wire.KE{Method: 31, Data: key}, nonce}
	for name, c := range map[string]struct {
		ps    []wire.Payload
		want  string
		cause ike.Cause
	}{
		"good":             {good, "", 0},
		"critical":         {append(slices.Clone(good), &wire.Raw{Kind: 60, CriticalFlag: true, Data: []byte{1}}), "UNSUPPORTED_CRITICAL_PAYLOAD", ike.BadMessage},
		"not critical":     {append(slices.Clone(good), &wire.Raw{Kind: 60, Data: []byte{1}}), "", 0},
		"no KE":            {[]wire.Payload{good[0], nonce, &wire.VendorID{Data: make([]byte, 64)}}, "INVALID_SYNTAX", ike.BadMessage},
		"low order KE":     {[]wire.Payload{good[0], &wire.KE{Method: 31, Data: make([]byte, 32)}, nonce}, "INVALID_SYNTAX", ike.BadMessage},
		"wrong group":      {[]wire.Payload{good[0], &wire.KE{Method: 14, Data: make([]byte, 256)}, nonce}, "INVALID_KE_PAYLOAD", 0},
		"no proposal":      {[]wire.Payload{&wire.SA{Proposals: wireProposals(proposals(t, crypto.IKE, "aes128-sha1-modp1024"), nil)}, good[1], nonce}, "NO_PROPOSAL_CHOSEN", ike.NoProposal},
		"proposal for ESP": {[]wire.Payload{&wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, "aes256gcm16"), be32(5))}, good[1], nonce}, "NO_PROPOSAL_CHOSEN", ike.NoProposal},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			data, err := wire.Append(nil, wire.Header{SPIi: 77, Major: 2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}, c.ps...)
			if err != nil {
				t.Fatal(err)
			}
			n.b.receive(ike.Datagram{Path: pathOf("198.51.100.2:500", "192.0.2.1:500"), Data: data})
			h, ps := parsed(t, n.sent[0].data)
			if h.SPIi != 77 || h.Flags != wire.FlagResponse || h.MessageID != 0 {
				t.Errorf("%+v", h)
			}
			if c.want == "" {
				if len(n.b.sas) != 1 {
					t.Error("no IKE SA")
				}
				return
			}
			if got := notifies(ps); got != c.want || len(ps) != 1 || len(n.b.sas) != 0 {
				t.Errorf("answered %s, %d IKE SAs", got, len(n.b.sas))
			}
			if c.cause == 0 {
				if n.b.kinds() != "" {
					t.Error(n.story())
				}
			} else if f := n.b.failure(); f.Why.Cause != c.cause || f.Why.Notify != c.want || f.Path.Remote.Addr() != addrA {
				t.Errorf("%+v", f.Why)
			}
		})
	}
}

// A job that fails for want of workers is not the peer's fault: it will ask again.
func TestInitWithoutWorkers(t *testing.T) {
	n := newNetwork(t)
	n.b.jobErr = errors.New("busy")
	n.a.dial()
	n.run()
	if f := n.b.failure(); f.Why.Cause != ike.Internal || len(n.b.sas) != 0 || n.a.kinds() != "" {
		t.Error(n.story())
	}
	n.b.jobErr = nil
	n.b.reports = nil
	n.pass(5 * time.Second)
	n.established(1)

	n = newNetwork(t)
	n.a.jobErr = errors.New("busy")
	n.a.dial()
	n.run()
	if f := n.a.failure(); f.Why.Cause != ike.Internal || !strings.Contains(f.Text, "busy") {
		t.Error(f.Text)
	}
}

// An address that no connection is for.
func TestNoConnection(t *testing.T) {
	n := newNetwork(t, func(_, b *conf.Connection) {
		b.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}}
	})
	n.a.dial()
	n.pass(2 * time.Second)
	if f := n.b.failure(); f.Why.Cause != ike.NoConnection || f.Why.Notify != "NO_PROPOSAL_CHOSEN" || !strings.Contains(f.Text, "192.0.2.1") {
		t.Error(f.Text)
	}
	if f := n.a.failure(); f.Why.Cause != ike.NoProposal || !f.Why.ByPeer {
		t.Error(f.Text)
	}
}

// The connections for an address: the most specific gateway first.
func TestByAddress(t *testing.T) {
	mk := func(name string, f func(*conf.Connection)) *conf.Connection {
		c := &conf.Connection{Name: name}
		f(c)
		return c
	}
	c := &conf.Config{Connections: []*conf.Connection{
		mk("any", func(c *conf.Connection) { c.Gateways = conf.Gateways{{Any: true}} }),
		mk("net", func(c *conf.Connection) { c.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}} }),
		mk("host", func(c *conf.Connection) { c.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("192.0.2.1/32")}} }),
		mk("several", func(c *conf.Connection) {
			c.Gateways = conf.Gateways{{Host: "gw.example.org"}, {Prefix: netip.MustParsePrefix("203.0.113.0/24")}, {Prefix: netip.MustParsePrefix("192.0.0.0/16")}}
		}),
		mk("others", func(c *conf.Connection) {
			c.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("203.0.113.0/24")}, {Prefix: netip.MustParsePrefix("203.0.113.9/32")}}
		}),
		mk("v1", func(c *conf.Connection) { c.Gateways, c.Version = conf.Gateways{{Any: true}}, conf.IKEv1 }),
		mk("name", func(c *conf.Connection) { c.Gateways = conf.Gateways{{Host: "gw.example.org"}} }),
		mk("elsewhere", func(c *conf.Connection) { c.Gateways, c.LocalAddr = conf.Gateways{{Any: true}}, addrA }),
		mk("here", func(c *conf.Connection) { c.Gateways, c.LocalAddr = conf.Gateways{{Any: true}}, addrB }),
	}}
	var names []string
	for _, x := range byAddress(c, pathOf("198.51.100.2:500", "192.0.2.1:500")) {
		names = append(names, x.Name)
	}
	if got := fmt.Sprint(names); got != "[host net several any name here]" {
		t.Error(got)
	}
}

// A transform with an attribute that is not understood must not be chosen
// (RFC 7296, 3.3.6), and a response has nothing but what was chosen.
func TestProposalsFromWire(t *testing.T) {
	mine := proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519")
	theirs := wireProposals(mine, nil)
	theirs[0].Transforms[0].Unknown = true
	ps, _ := fromWire(theirs, wire.ProtocolIKE)
	if _, _, miss := crypto.Select(mine, ps); miss == nil {
		t.Error("a transform with an unknown attribute was chosen")
	}
	if _, _, ok := chosen(&wire.SA{Proposals: theirs}, mine, wire.ProtocolIKE); ok {
		t.Error("a response with an unknown attribute was taken")
	}
	theirs = wireProposals(mine, nil)
	if s, _, ok := chosen(&wire.SA{Proposals: theirs}, mine, wire.ProtocolIKE); !ok || s.String() != "aes256gcm16-prfsha256-curve25519" {
		t.Error("a good response was not taken")
	}
	if _, _, ok := chosen(&wire.SA{Proposals: theirs}, mine, wire.ProtocolESP); ok {
		t.Error("a response for another protocol was taken")
	}
	extra := wire.Transform{Type: wire.TransformType(crypto.PRF), ID: crypto.PRFHMACSHA1}
	theirs[0].Transforms = append(theirs[0].Transforms, extra)
	if _, _, ok := chosen(&wire.SA{Proposals: theirs}, mine, wire.ProtocolIKE); ok {
		t.Error("a response with two PRFs was taken")
	}
}
