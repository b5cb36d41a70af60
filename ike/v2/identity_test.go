package v2

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Every type of identity authenticates.
func TestIdentities(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"a.example.org", "b.example.org"}, {"alice@example.org", "bob@example.org"}, {"192.0.2.1", "198.51.100.2"},
		{"10.0.0.1", "2001:db8::1"}, {"@#0102ff", "@#00"}, {"CN=a, O=Example", "CN=b, O=Example"}, {"10.0.0.1", "b.example.org"},
	} {
		_, a, b := up(t, func(ca, cb *conf.Connection) {
			ca.Local.ID, ca.Remote.ID = mustID(t, c.a), mustID(t, c.b)
			cb.Local.ID, cb.Remote.ID = mustID(t, c.b), mustID(t, c.a)
		})
		if a.localID != mustID(t, c.a) || b.localID != mustID(t, c.b) {
			t.Errorf("%v: %v %v", c, a.localID, b.localID)
		}
	}
	// The address in use is the identity when none is configured; the pattern for the
	// peer's may be anything.
	_, a, b := up(t, func(ca, cb *conf.Connection) {
		ca.Local.ID, ca.Remote.ID = id.ID{}, mustID(t, "198.51.100.2")
		cb.Local.ID, cb.Remote.ID = id.ID{}, id.ID{}
	})
	if a.localID != mustID(t, "192.0.2.1") || b.localID != mustID(t, "198.51.100.2") {
		t.Errorf("%v %v", a.localID, b.localID)
	}
	up(t, func(ca, cb *conf.Connection) {
		ca.Remote.ID, cb.Remote.ID = mustID(t, "*.example.org"), mustID(t, "*.example.org")
	})
	// In another case of letters.
	up(t, func(ca, _ *conf.Connection) { ca.Remote.ID = mustID(t, "B.Example.ORG") })
}

// A responder behind a NAT that has no identity but its address is asked for by the
// address that the peer knows.
func TestIdentityBehindNAT(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.Remote.ID, b.Local.ID = mustID(t, "198.51.100.2"), id.ID{}
	})
	n.nat = natB
	n.a.dial()
	n.b.addr = netip.MustParseAddr("10.9.9.9")
	n.run()
	if _, b := n.established(1); b.localID != mustID(t, "198.51.100.2") {
		t.Error(b.localID)
	}
	// Without a NAT that is somebody else.
	n = newNetwork(t, func(a, b *conf.Connection) {
		a.Remote.ID, b.Local.ID = mustID(t, "198.51.100.3"), id.ID{}
	})
	n.a.dial()
	n.run()
	if f := n.b.failure(); f.Why.Cause != ike.WrongKey || !strings.Contains(f.Text, "198.51.100.3") {
		t.Error(f.Text)
	}
}

// roads are connections that fit the same address.
func roads(t *testing.T) []*conf.Connection {
	mk := func(name, own, peer, psk string) *conf.Connection {
		c := testConn(t, false)
		c.Name, c.Gateways, c.PSK = name, conf.Gateways{{Any: true}}, crypto.Secret(psk)
		c.Local.ID, c.Remote.ID = mustID(t, own), mustID(t, peer)
		return c
	}
	return []*conf.Connection{
		mk("everybody", "b.example.org", "%any", "for everybody"), mk("domain", "b.example.org", "*.example.org", "for the domain"),
		mk("alice", "b.example.org", "alice.example.org", "for alice"), mk("bob", "b.example.org", "bob.example.org", "for bob"),
		mk("bob 2", "b.example.org", "bob.example.org", "for bob, the second"), mk("other", "c.example.org", "alice.example.org", "for alice at c"),
	}
}

// The responder takes the connection for the identity, the most specific first, and
// nobody gets in by the key of another.
func TestConnectionByIdentity(t *testing.T) {
	tries := []struct{ id, want, psk, conn string }{
		{"alice.example.org", "b.example.org", "for alice", "alice"},
		{"alice.example.org", "", "for alice", "alice"},
		{"bob.example.org", "b.example.org", "for bob", "bob"},
		{"bob.example.org", "b.example.org", "for bob, the second", "bob 2"},
		{"carol.example.org", "b.example.org", "for the domain", "domain"},
		{"carol.example.net", "b.example.org", "for everybody", "everybody"},
		{"alice.example.org", "c.example.org", "for alice at c", "other"},
		{"alice.example.org", "b.example.org", "for the domain", ""},
		{"alice.example.org", "b.example.org", "for everybody", ""},
		{"alice.example.org", "b.example.org", "for bob", ""},
		{"carol.example.org", "b.example.org", "for everybody", ""},
		{"alice.example.org", "b.example.org", "", ""},
		{"alice.example.org", "d.example.org", "for alice", ""},
	}
	for i := range 2 * len(tries) {
		c := tries[i/2]
		n := newNetwork(t, func(a, _ *conf.Connection) {
			a.Local.ID, a.PSK = mustID(t, c.id), crypto.Secret(c.psk)
			if a.Remote.ID = mustID(t, "%any"); c.want != "" {
				a.Remote.ID = mustID(t, c.want)
			}
		})
		if c.psk == "" {
			n.a.conn().PSK = crypto.Secret("no such key")
		}
		n.b.conf.Connections = roads(t)
		if i%2 == 1 {
			slices.Reverse(n.b.conf.Connections)
		}
		n.a.dial()
		n.run()
		if c.conn == "" {
			if f := n.b.failure(); f.Why.Cause != ike.WrongKey || len(n.b.sas) != 0 || n.a.failure().Why.Notify != "AUTHENTICATION_FAILED" {
				t.Errorf("%v: %s", c, f.Text)
			}
			continue
		}
		if len(n.b.sas) != 1 || n.b.list()[0].Status().Conn != c.conn || n.b.of(ike.IKEUp)[0].Conn != c.conn {
			t.Errorf("%v: %s", c, n.story())
		}
	}
}

// A connection whose proposals do not allow the suite is not taken.
func TestConnectionBySuite(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) {
		a.Local.ID = mustID(t, "alice.example.org")
		a.PSK = crypto.Secret("for alice")
		a.Proposals = proposals(t, crypto.IKE, "aes128gcm16-prfsha256-curve25519")
	})
	n.b.conf.Connections = roads(t)
	n.b.conf.Connections[0].Proposals = n.a.conn().Proposals
	n.a.dial()
	n.run()
	if f := n.b.failure(); f.Why.Cause != ike.WrongKey {
		t.Error(f.Text)
	}
}

// What the peer shows is not accepted, at either end.
func TestIdentityRefused(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) { a.Local.ID = mustID(t, "eve.example.net") })
	n.a.dial()
	n.run()
	f := n.b.failure()
	if f.Conn != "site" || f.Why.Cause != ike.WrongKey || f.Why.Notify != "AUTHENTICATION_FAILED" || f.Why.Offered != "eve.example.net" || f.Why.Configured != "a.example.org" {
		t.Errorf("%+v", f.Why)
	}
	if f := n.a.failure(); f.Why.Cause != ike.WrongKey || !f.Why.ByPeer {
		t.Error(f.Text)
	}
	// The responder calls itself otherwise than the initiator wants, and does not care
	// for IDr: the initiator ends it, and says so (RFC 7296, 2.21.2).
	n = newNetwork(t, func(a, b *conf.Connection) {
		a.Remote.ID, b.Local.ID = mustID(t, "*.example.com"), mustID(t, "b.example.org")
	})
	n.a.dial()
	n.run()
	if f := n.a.failure(); f.Why.Cause != ike.WrongKey || f.Why.ByPeer || !strings.Contains(f.Text, "b.example.org") || len(n.a.sas)+len(n.b.sas) != 0 {
		t.Error(f.Text, n.story())
	}
	n.a.empty()
	n.b.empty()
	if d := n.b.of(ike.IKEDown); len(d) != 1 || d[0].Why.Notify != "AUTHENTICATION_FAILED" {
		t.Error(n.story())
	}
}

// authRequestOf is what a sends in IKE_AUTH, which b has not got.
func authRequestOf(t *testing.T, change ...func(a, b *conf.Connection)) (n *network, a, b *SA, ps []wire.Payload) {
	n = newNetwork(t, change...)
	request := cut(n, n.a, wire.IKEAuth, false)
	a = n.a.dial()
	n.run()
	b = n.b.list()[0]
	return n, a, b, n.open(b, *request)
}

// IKE_AUTH requests that are not in order.
func TestBadAuthRequests(t *testing.T) {
	drop := func(kind wire.PayloadType) func([]wire.Payload) []wire.Payload {
		return func(ps []wire.Payload) (out []wire.Payload) {
			for _, p := range ps {
				if p.Type() != kind {
					out = append(out, p)
				}
			}
			return out
		}
	}
	for name, c := range map[string]struct {
		change func([]wire.Payload) []wire.Payload
		want   string
		cause  ike.Cause
	}{
		"no IDi":   {drop(wire.PayloadIDi), "INVALID_SYNTAX", ike.BadMessage},
		"no AUTH":  {drop(wire.PayloadAuth), "AUTHENTICATION_FAILED", ike.WrongKey}, // wants EAP
		"no TSi":   {drop(wire.PayloadTSi), "INVALID_SYNTAX", ike.BadMessage},
		"critical": {func(ps []wire.Payload) []wire.Payload { return append(ps, &wire.Raw{Kind: 99, CriticalFlag: true}) }, "UNSUPPORTED_CRITICAL_PAYLOAD", ike.BadMessage},
		"other method": {func(ps []wire.Payload) []wire.Payload {
			a, _ := wire.Find[*wire.Auth](ps)
			a.Method = 14
			return ps
		}, "AUTHENTICATION_FAILED", ike.WrongKey},
		"wrong AUTH": {func(ps []wire.Payload) []wire.Payload {
			a, _ := wire.Find[*wire.Auth](ps)
			a.Data[3]++
			return ps
		}, "AUTHENTICATION_FAILED", ike.WrongKey},
		"short AUTH": {func(ps []wire.Payload) []wire.Payload {
			a, _ := wire.Find[*wire.Auth](ps)
			a.Data = a.Data[:8]
			return ps
		}, "AUTHENTICATION_FAILED", ike.WrongKey},
		"another IDi": {func(ps []wire.Payload) []wire.Payload {
			wire.FindID(ps, false).Data = []byte("mallory.example.org")
			return ps
		}, "AUTHENTICATION_FAILED", ike.WrongKey},
		"bad IDi": {func(ps []wire.Payload) []wire.Payload {
			i := wire.FindID(ps, false)
			i.Kind, i.Data = 1, []byte{1, 2, 3}
			return ps
		}, "AUTHENTICATION_FAILED", ike.BadMessage},
		"bad IDr": {func(ps []wire.Payload) []wire.Payload {
			i := wire.FindID(ps, true)
			i.Kind, i.Data = 5, []byte{1, 2, 3}
			return ps
		}, "AUTHENTICATION_FAILED", ike.BadMessage},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b, ps := authRequestOf(t)
			answer := n.ask(a, b, craftMessage(t, a, a.header(wire.IKEAuth, 1, false), c.change(ps)...))
			if notifies(answer) != c.want || len(answer) != 1 || !b.closed {
				t.Errorf("answered %s, closed %v", notifies(answer), b.closed)
			}
			if f := n.b.failure(); f.Why.Cause != c.cause || f.Why.Notify != c.want || len(f.Text) == 0 {
				t.Errorf("%+v", f.Why)
			}
			if n.b.kinds() != "Failed" {
				t.Error(n.story())
			}
			n.b.empty()
		})
	}
	// What does not matter.
	n, a, b, ps := authRequestOf(t)
	ps = append(ps, &wire.Notify{Kind: 16396}, &wire.Notify{Kind: 55555}, &wire.CP{Kind: 1}, &wire.Raw{Kind: 99}, &wire.VendorID{Data: []byte("x")})
	if answer := n.ask(a, b, craftMessage(t, a, a.header(wire.IKEAuth, 1, false), ps...)); notifies(answer) != "IKEV2_MESSAGE_ID_SYNC_SUPPORTED" || b.closed || len(b.children) != 1 {
		t.Error(notifies(answer), n.story())
	}
	// Once more, when it is over.
	before := snapshot(b)
	if answer := n.ask(a, b, craftMessage(t, a, a.header(wire.IKEAuth, 2, false), ps...)); answer != nil || snapshot(b) != before {
		t.Error("a second IKE_AUTH was taken")
	}
	// Any other request, before IKE_AUTH.
	n, a, b, _ = authRequestOf(t)
	for _, x := range []wire.ExchangeType{wire.CreateChildSA, wire.Informational, 43} {
		before = snapshot(b)
		if answer := n.ask(a, b, craftMessage(t, a, a.header(x, 1, false), &wire.Delete{Protocol: wire.ProtocolIKE})); answer != nil || snapshot(b) != before {
			t.Errorf("exchange %d was taken", x)
		}
	}
}

// IKE_AUTH responses that are not in order.
func TestBadAuthReplies(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]wire.Payload) []wire.Payload
		cause  ike.Cause
		told   bool
	}{
		"AUTHENTICATION_FAILED": {func([]wire.Payload) []wire.Payload {
			return []wire.Payload{&wire.Notify{Kind: wire.NotifyAuthenticationFailed}}
		}, ike.WrongKey, false},
		"INVALID_SYNTAX": {func([]wire.Payload) []wire.Payload {
			return []wire.Payload{&wire.Notify{Kind: wire.NotifyInvalidSyntax}}
		}, ike.PeerRefused, false},
		"unknown error": {func([]wire.Payload) []wire.Payload { return []wire.Payload{&wire.Notify{Kind: 9999}} }, ike.PeerRefused, false},
		"nothing":       {func([]wire.Payload) []wire.Payload { return nil }, ike.BadMessage, true},
		"no AUTH":       {func(ps []wire.Payload) []wire.Payload { return append(ps[:1:1], ps[2:]...) }, ike.BadMessage, true},
		"wrong AUTH":    {func(ps []wire.Payload) []wire.Payload { ps[1].(*wire.Auth).Data[0]++; return ps }, ike.WrongKey, true},
		"other method":  {func(ps []wire.Payload) []wire.Payload { ps[1].(*wire.Auth).Method = 1; return ps }, ike.WrongKey, true},
		"other IDr":     {func(ps []wire.Payload) []wire.Payload { ps[0].(*wire.ID).Data = []byte("x.example.org"); return ps }, ike.WrongKey, true},
		"bad IDr":       {func(ps []wire.Payload) []wire.Payload { ps[0].(*wire.ID).Kind = 0; return ps }, ike.BadMessage, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			var caught packet
			n.intercept = func(p packet) []packet {
				if p.from == n.b && header(t, p.data).Exchange == wire.IKEAuth {
					caught = p
					return nil
				}
				return []packet{p}
			}
			a := n.a.dial()
			n.run()
			b := n.b.list()[0]
			sent := len(n.sent)
			reply := craftMessage(t, b, b.header(wire.IKEAuth, 1, true), c.change(n.open(a, caught.data))...)
			n.a.step(a, ike.Datagram{Path: a.path, Data: reply})
			if f := n.a.failure(); f.Why.Cause != c.cause || a.closed == c.told || n.a.kinds() != "Failed" {
				t.Errorf("%+v %s", f.Why, n.story())
			}
			n.a.empty()
			if told := len(n.sent) > sent; told != c.told {
				t.Errorf("the peer is told: %v", told)
			}
			n.run()
			if c.told == (len(n.b.sas) == 1) || !a.closed || n.a.kinds() != "Failed" {
				t.Error("b does not end it", n.story())
			}
		})
	}
}

// No pre-shared key is configured: said at once, at either end.
func TestNoKey(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) { a.PSK = nil })
	n.a.dial()
	n.run()
	if f := n.a.failure(); f.Why.Cause != ike.WrongKey || !strings.Contains(f.Text, "no pre-shared key") {
		t.Error(f.Text)
	}
	n = newNetwork(t, func(_, b *conf.Connection) { b.PSK = nil })
	n.a.dial()
	n.run()
	if f := n.b.failure(); f.Why.Cause != ike.WrongKey {
		t.Error(f.Text)
	}
}

func TestListOfWords(t *testing.T) {
	var words []string
	for i := range 20 {
		words = append(words, fmt.Sprint(i/2))
	}
	if got := list(words); got != "0 or 1 or 2 or 3 or 4 or 5 or ..." {
		t.Error(got)
	}
}
