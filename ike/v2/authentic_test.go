package v2

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// situation is a machine with keys, in some state, and messages that it would take
// if they were authentic.
type situation struct {
	name string
	make func(t testing.TB) (n *network, sa *SA, messages [][]byte)
}

// cut lets a handshake run until a message of the kind is sent, which is lost.
func cut(n *network, from *host, x wire.ExchangeType, response bool) *[]byte {
	var caught []byte
	n.intercept = func(p packet) []packet {
		h := header(n.t, p.data)
		if p.from == from && h.Exchange == x && (h.Flags&wire.FlagResponse != 0) == response {
			caught = p.data
			return nil
		}
		return []packet{p}
	}
	return &caught
}

// pending is an established pair of which a has a request under way that b has
// answered; the answer has not arrived.
func pending(t testing.TB, ev ike.Event, x wire.ExchangeType) (*network, *SA, [][]byte) {
	n, a, b := up(t, func(a, b *conf.Connection) {
		addChild(t, a, "second", "172.16.0.0/24", "172.17.0.0/24", "aes128gcm16-modp1024-curve25519")
		addChild(t, b, "second", "172.17.0.0/24", "172.16.0.0/24", "aes128gcm16-curve25519")
	})
	answer := cut(n, n.b, x, true)
	n.a.step(a, ev)
	n.run()
	messages := [][]byte{*answer}
	if !b.closed {
		messages = append(messages, craft(t, b, wire.Informational))
	}
	return n, a, messages
}

var situations = []situation{
	{"initiator waits for IKE_AUTH", func(t testing.TB) (*network, *SA, [][]byte) {
		n := newNetwork(t)
		answer := cut(n, n.b, wire.IKEAuth, true)
		a := n.a.dial()
		n.run()
		return n, a, [][]byte{*answer, n.sent[1].data}
	}},
	{"responder waits for IKE_AUTH", func(t testing.TB) (*network, *SA, [][]byte) {
		n := newNetwork(t)
		request := cut(n, n.a, wire.IKEAuth, false)
		n.a.dial()
		n.run()
		return n, n.b.list()[0], [][]byte{*request}
	}},
	{"responder installs", func(t testing.TB) (*network, *SA, [][]byte) {
		n := newNetwork(t)
		request := cut(n, n.a, wire.IKEAuth, false)
		n.a.dial()
		n.run()
		n.b.hold = true
		b := n.b.list()[0]
		n.b.step(b, ike.Datagram{Path: b.path, Data: bytes.Clone(*request)})
		return n, b, [][]byte{*request, craft(t, n.a.list()[0], wire.Informational)}
	}},
	{"initiator is up", func(t testing.TB) (*network, *SA, [][]byte) {
		n, a, b := up(t)
		return n, a, [][]byte{
			craft(t, b, wire.Informational), craft(t, b, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE}),
			craft(t, b, wire.Informational, &wire.Notify{Kind: wire.NotifyAuthenticationFailed}),
		}
	}},
	{"responder is up", func(t testing.TB) (*network, *SA, [][]byte) {
		n, a, b := up(t)
		return n, b, [][]byte{craft(t, a, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE}), rekeyOf(t, a)}
	}},
	{"initiator asks for a child", func(t testing.TB) (*network, *SA, [][]byte) {
		return pending(t, ike.Initiate{Child: "second"}, wire.CreateChildSA)
	}},
	{"initiator deletes a child", func(t testing.TB) (*network, *SA, [][]byte) {
		return pending(t, ike.Terminate{Child: "lan"}, wire.Informational)
	}},
	{"initiator ends", func(t testing.TB) (*network, *SA, [][]byte) {
		return pending(t, ike.Terminate{}, wire.Informational)
	}},
	{"responder is replaced", func(t testing.TB) (*network, *SA, [][]byte) {
		n, a, b := up(t)
		if ps := n.ask(a, b, rekeyOf(t, a)); len(ps) == 0 || b.state != ike.Rekeyed {
			t.Fatal(n.story())
		}
		a.win.nextSend++
		return n, b, [][]byte{craft(t, a, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE})}
	}},
	{"half of the fragments", func(t testing.TB) (*network, *SA, [][]byte) {
		n, a, b := up(t, small)
		packets, err := a.protect(a.header(wire.Informational, a.win.nextSend, false), &wire.Notify{Kind: 40000, Data: make([]byte, 300)})
		if err != nil {
			t.Fatal(err)
		}
		n.b.step(b, ike.Datagram{Path: b.path, Data: bytes.Clone(packets[1])})
		return n, b, [][]byte{packets[0], packets[2]}
	}},
	{"a classic cipher", func(t testing.TB) (*network, *SA, [][]byte) {
		n, a, b := up(t, func(a, b *conf.Connection) {
			a.Proposals = proposals(t, crypto.IKE, "aes128-sha256-curve25519")
			b.Proposals = a.Proposals
		})
		return n, b, [][]byte{craft(t, a, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE})}
	}},
}

// rekeyOf is a's wish to replace the IKE SA.
func rekeyOf(t testing.TB, a *SA) []byte {
	t.Helper()
	key := bytes.Repeat([]byte{9}, 32)
	return craft(t, a, wire.CreateChildSA, &wire.SA{Proposals: wireProposals(a.conn.Proposals, spi64(0x1234))},
		&wire.Nonce{Data: make([]byte, 32)}, &wire.KE{Method: crypto.KECurve25519, Data: key})
}

// untouched gives a machine a message and fails unless nothing comes of it but,
// perhaps, the answer from the cache.
func untouched(t testing.TB, n *network, sa *SA, before string, path ike.Path, data []byte, what string, i int) {
	t.Helper()
	var fx ike.Effects
	sa.Step(n.now, ike.Datagram{Path: path, Data: bytes.Clone(data)}, &fx)
	for _, a := range fx.Actions {
		s, ok := a.(ike.Send)
		cached := false
		for _, p := range sa.win.lastReply {
			cached = cached || ok && bytes.Equal(p, s.Data)
		}
		if !cached {
			t.Fatalf("%s %d: %T", what, i, a)
		}
	}
	if len(fx.Counted) > 0 {
		t.Fatalf("%s %d: counted %v", what, i, fx.Counted)
	}
	if snapshot(sa) != before {
		t.Fatalf("%s %d changed something", what, i)
	}
}

// Once there are keys, nothing that does not authenticate changes anything.
func TestNothingUnauthenticatedCounts(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			n, sa, messages := s.make(t)
			before := snapshot(sa)
			for _, m := range messages {
				if m == nil {
					t.Fatal("no message")
				}
				for i := range m {
					bits := []byte{1 << (i % 8)}
					if i < wire.HeaderLen+8 {
						bits = []byte{1, 2, 4, 8, 16, 32, 64, 128, 255}
					}
					for _, bit := range bits {
						wrong := bytes.Clone(m)
						wrong[i] ^= bit
						untouched(t, n, sa, before, sa.path, wrong, "a wrong octet", i)
					}
				}
				for i := range m {
					untouched(t, n, sa, before, sa.path, m[:i], "cut off", i)
				}
				garbage(t, n, sa, before, m)
			}
			for i, p := range n.sent {
				if !contains(messages, p.data) {
					untouched(t, n, sa, before, sa.path, p.data, "an old message", i)
					untouched(t, n, sa, before, pathOf("198.51.100.2:4500", "203.0.113.7:9"), p.data, "an old message from elsewhere", i)
				}
			}
			// The messages themselves do count, so that the test is one: those that the
			// machine can take now.
			if s.name == "responder installs" {
				return
			}
			sa.Step(n.now, ike.Datagram{Path: sa.path, Data: bytes.Clone(messages[0])}, new(ike.Effects))
			if snapshot(sa) == before {
				t.Error("the true message changed nothing")
			}
		})
	}
}

func contains(list [][]byte, b []byte) bool {
	for _, x := range list {
		if bytes.Equal(x, b) {
			return true
		}
	}
	return false
}

// garbage gives a machine a message with its header and random octets, and one
// with other exchanges, unprotected.
func garbage(t *testing.T, n *network, sa *SA, before string, m []byte) {
	t.Helper()
	rnd := rand.NewChaCha8([32]byte{7})
	for i := range 200 {
		b := bytes.Clone(m)
		_, _ = rnd.Read(b[wire.HeaderLen+4:])
		untouched(t, n, sa, before, sa.path, b, "random octets", i)
		_, _ = rnd.Read(b[24:])
		untouched(t, n, sa, before, sa.path, b, "random length", i)
	}
	h := header(t, m)
	for x := range 256 {
		h.Exchange = wire.ExchangeType(x)
		for _, ps := range [][]wire.Payload{
			nil, {&wire.Delete{Protocol: wire.ProtocolIKE}}, {&wire.Notify{Kind: wire.NotifyAuthenticationFailed}},
			{&wire.Notify{Kind: wire.NotifyInvalidIKESPI}}, {&wire.Notify{Kind: wire.NotifyNoProposalChosen}},
			{&wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 14}}}, {&wire.Notify{Kind: wire.NotifyCookie, Data: []byte{1}}},
		} {
			b, err := wire.Append(nil, h, ps...)
			if err != nil {
				t.Fatal(err)
			}
			untouched(t, n, sa, before, sa.path, b, "unprotected exchange", x)
		}
	}
}

// What is authentic and not for us: a message of ours that is sent back.
func TestReflection(t *testing.T) {
	n, a, b := up(t)
	for _, sa := range []*SA{a, b} {
		m := craft(t, sa, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE})
		before := snapshot(sa)
		untouched(t, n, sa, before, sa.path, m, "a reflected request", 0)
		m[19] ^= wire.FlagInitiator
		untouched(t, n, sa, before, sa.path, m, "a reflected request, turned round", 0)
		m[19] ^= wire.FlagResponse
		untouched(t, n, sa, before, sa.path, m, "a reflected response", 0)
	}
}
