package v2

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// split divides octets into datagrams, each behind its length in two octets.
func split(b []byte) (out [][]byte) {
	for len(b) >= 2 && len(out) < 16 {
		n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
		out = append(out, b[2:2+n])
		b = b[2+n:]
	}
	return out
}

func joined(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

// addressed gives a message the SPIs of a machine, its length, and what else lets
// it in, so that it gets as far as it can without keys.
func addressed(sa *SA, data []byte) []byte {
	b := bytes.Clone(data)
	if len(b) < wire.HeaderLen {
		return b
	}
	binary.BigEndian.PutUint64(b, sa.spiI)
	binary.BigEndian.PutUint64(b[8:], sa.spiR)
	b[17] = 0x20
	b[19] &^= wire.FlagInitiator
	if !sa.initiator {
		b[19] |= wire.FlagInitiator
	}
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

// FuzzResponder feeds a new responder, a half-open one and an established pair
// with what anybody can send. Nothing panics, and who has keys stays as it is.
func FuzzResponder(f *testing.F) {
	n, a, b := up(f)
	_, stranger, _ := up(f, func(a, b *conf.Connection) { a.PSK, b.PSK = []byte("x"), []byte("x") })
	stranger.keys = keys{}
	stranger.keys, _ = deriveKeys(a.suite, nil, nil, []byte("of nobody"), make([]byte, 32), make([]byte, 32), 1, 2)
	var all [][]byte
	for _, p := range n.sent {
		f.Add(joined(p.data))
		all = append(all, p.data)
	}
	f.Add(joined(all...))
	f.Add(joined(craft(f, stranger, wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE}), all[0], all[0]))
	h := header(f, all[0])
	for _, ps := range [][]wire.Payload{
		{&wire.Notify{Kind: wire.NotifyCookie, Data: []byte{1}}}, {&wire.Raw{Kind: 200, CriticalFlag: true}},
		{&wire.Notify{Kind: wire.NotifyInvalidIKESPI}}, {&wire.SKF{Fragment: 1, Total: 2, Body: make([]byte, 64)}},
		{&wire.SK{Body: make([]byte, 64)}},
	} {
		data, err := wire.Append(nil, h, ps...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(joined(all[0], data))
	}
	sa, sb := snapshot(a), snapshot(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		fresh := newNetwork(t)
		path := pathOf("198.51.100.2:500", "192.0.2.1:500")
		for i, dg := range split(in) {
			fresh.b.receive(ike.Datagram{Path: path, Data: bytes.Clone(dg)})
			for _, half := range fresh.b.list() {
				fresh.b.step(half, ike.Datagram{Path: path, Data: addressed(half, dg)})
			}
			for _, m := range [][]byte{dg, addressed(a, dg), addressed(b, dg)} {
				if !contains(all, m) {
					untouched(t, n, a, sa, a.path, m, "datagram at a", i)
				}
				untouched(t, n, b, sb, b.path, m, "datagram at b", i)
			}
		}
		if len(fresh.b.sas) > 16 || len(fresh.b.of(ike.IKEUp)) > 0 {
			t.Error(fresh.story())
		}
	})
}

// FuzzInitiator feeds an initiator that waits for the answer to its first message,
// and one that waits for IKE_AUTH.
func FuzzInitiator(f *testing.F) {
	n, _, _ := up(f)
	for _, p := range n.sent {
		f.Add(joined(p.data))
	}
	h := header(f, n.sent[1].data)
	h.SPIr = 0
	for _, ps := range [][]wire.Payload{
		{&wire.Notify{Kind: wire.NotifyCookie, Data: []byte{1}}}, {&wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 14}}},
		{&wire.Notify{Kind: wire.NotifyNoProposalChosen}},
	} {
		data, err := wire.Append(nil, h, ps...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(joined(data, n.sent[1].data, data))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := newNetwork(t)
		n.intercept = func(packet) []packet { return nil }
		first := n.a.dial()
		for _, dg := range split(in) {
			n.a.step(first, ike.Datagram{Path: first.path, Data: addressed(first, dg)})
			n.a.step(first, ike.Datagram{Path: first.path, Data: bytes.Clone(dg)})
		}
		if len(n.a.of(ike.IKEUp)) > 0 {
			t.Error(n.story())
		}
	})
}

// fuzzed adds children of other kinds: one that is compressed and one of AH.
func fuzzed(t testing.TB) func(a, b *conf.Connection) {
	return func(a, b *conf.Connection) {
		second(t, "aes256gcm16-curve25519", "aes256gcm16-curve25519")(a, b)
		compressAll(a, b)
		ah(t, "sha256", addChild(t, a, "third", "172.18.0.0/24", "172.19.0.0/24", "aes256gcm16"),
			addChild(t, b, "third", "172.19.0.0/24", "172.18.0.0/24", "aes256gcm16"))
	}
}

// FuzzProtected gives established machines of both sides authentic messages with
// any payloads: requests, and answers to what is under way. Nothing panics, the
// work is bounded, and a machine that closes leaves nothing behind.
func FuzzProtected(f *testing.F) {
	n, a, _ := up(f, fuzzed(f))
	chain := func(x wire.ExchangeType, ps ...wire.Payload) {
		plain, first, err := wire.AppendPayloads(nil, ps...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(x), uint8(first), plain)
	}
	c := a.children[0]
	sel := []wire.Payload{&wire.TS{Selectors: c.Local}, &wire.TS{Responder: true, Selectors: c.Remote}}
	offer := &wire.SA{Proposals: wireProposals(a.conn.Children[0].Proposals, be32(0x7777))}
	nonce := &wire.Nonce{Data: make([]byte, 32)}
	chain(wire.Informational)
	chain(wire.Informational, deleteOf(3, c.SPIIn), deleteOf(3, 1, 2, 3))
	chain(wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE})
	chain(wire.Informational, &wire.Notify{Kind: wire.NotifyAuthenticationFailed})
	chain(wire.CreateChildSA, append([]wire.Payload{offer, nonce}, sel...)...)
	chain(wire.CreateChildSA, append([]wire.Payload{&wire.Notify{Kind: wire.NotifyRekeySA, Protocol: 3, SPI: be32(c.SPIIn)}, offer, nonce}, sel...)...)
	for _, more := range [][]wire.Payload{
		compression(0x4321), {&wire.Notify{Kind: wire.NotifyIPCompSupported, Data: []byte{0, 2, 1, 2}}},
		append(compression(0x4321), compression(0x100)...), {&wire.Notify{Kind: wire.NotifyIPCompSupported}},
		{&wire.Notify{Kind: notifyUseBEETMode}}, {&wire.Notify{Kind: notifyUseBEETMode}, &wire.Notify{Kind: wire.NotifyUseTransportMode}},
		{&wire.Notify{Kind: wire.NotifyESPTFCPaddingNotSupported}},
	} {
		chain(wire.CreateChildSA, append(append([]wire.Payload{offer, nonce}, sel...), more...)...)
	}
	charon := kindsOf(f)
	f.Add(uint8(wire.CreateChildSA), uint8(wire.PayloadNotify), []byte(charon.CreateRequest))
	f.Add(uint8(wire.CreateChildSA), uint8(wire.PayloadNotify), []byte(charon.CreateResponse))
	f.Add(uint8(wire.CreateChildSA), uint8(wire.PayloadIDi), []byte(charon.AuthRequest))
	third := a.conn.Children[2]
	chain(wire.CreateChildSA, &wire.SA{Proposals: wireProposals(third.Proposals, be32(0x7778))}, nonce,
		&wire.TS{Selectors: ts.FromConf(third.Local, addrA)}, &wire.TS{Responder: true, Selectors: ts.FromConf(third.Remote, addrB)})
	chain(wire.CreateChildSA, &wire.SA{Proposals: wireProposals(a.conn.Proposals, spi64(9))}, nonce, &wire.KE{Method: 31, Data: bytes.Repeat([]byte{9}, 32)})
	chain(wire.CreateChildSA, &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 14}})
	chain(wire.IKEAuth, n.open(a, n.sent[3].data)...)
	chain(43)
	f.Fuzz(func(t *testing.T, exchange, first uint8, plain []byte) {
		for _, prepare := range []func(n *network, a, b *SA){
			func(*network, *SA, *SA) {},
			func(n *network, a, _ *SA) { n.a.step(a, ike.Initiate{Child: "second"}) },
			func(n *network, a, _ *SA) { n.a.step(a, ike.Initiate{Child: "third"}) },
			func(n *network, a, _ *SA) { n.a.step(a, ike.Terminate{Child: "lan"}) },
			func(n *network, a, _ *SA) { n.a.step(a, ike.Terminate{}) },
		} {
			n, a, b := up(t, fuzzed(t))
			n.intercept = func(packet) []packet { return nil }
			prepare(n, a, b)
			fuzzMessage(t, n, a, b, wire.ExchangeType(exchange), wire.PayloadType(first), plain)
			for _, h := range []*host{n.a, n.b} {
				if len(h.reports) > 100 || len(h.sas) > 2 {
					t.Error("too much came of it")
				}
				if len(h.sas) == 0 {
					h.empty()
				}
			}
		}
	})
}

// fuzzMessage seals a chain of payloads as b's answer and as a request of each side.
func fuzzMessage(t *testing.T, n *network, a, b *SA, x wire.ExchangeType, first wire.PayloadType, plain []byte) {
	give := func(h *host, from, to *SA, hd wire.Header) {
		if from.closed || to.closed || len(plain) > 20000 {
			return
		}
		data, err := from.sealInto(hd, &wire.SK{First: first}, plain)
		if err != nil {
			t.Fatal(err)
		}
		h.step(to, ike.Datagram{Path: to.path, Data: data})
	}
	if a.win.out != nil {
		give(n.a, b, a, b.header(x, a.win.out.id, true))
	}
	give(n.a, b, a, b.header(x, a.win.nextRecv, false))
	give(n.b, a, b, a.header(x, b.win.nextRecv, false))
}

// FuzzAuth gives both sides authentic IKE_AUTH messages with any payloads. Nobody
// is authenticated by them.
func FuzzAuth(f *testing.F) {
	n, a, b := up(f)
	for _, p := range n.sent[2:4] {
		to := map[*host]*SA{n.a: b, n.b: a}[p.from]
		plain, first, err := wire.AppendPayloads(nil, n.open(to, p.data)...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(first), plain)
	}
	f.Fuzz(func(t *testing.T, first uint8, plain []byte) {
		n := newNetwork(t, func(a, b *conf.Connection) { a.Children, b.Children = b.Children[:1:1], a.Children[:1:1] })
		n.rand.Seed([32]byte{2}) // not that of the seeds, which are authentic
		cut(n, n.a, wire.IKEAuth, false)
		a := n.a.dial()
		n.run()
		b := n.b.list()[0]
		n.intercept = func(packet) []packet { return nil }
		if len(plain) > 20000 {
			return
		}
		for _, c := range []struct {
			h        *host
			from, to *SA
		}{{n.b, a, b}, {n.a, b, a}} {
			data, err := c.from.sealInto(c.from.header(wire.IKEAuth, 1, c.h == n.a), &wire.SK{First: wire.PayloadType(first)}, plain)
			if err != nil {
				continue // the other has closed
			}
			c.h.step(c.to, ike.Datagram{Path: c.to.path, Data: data})
		}
		if len(n.a.of(ike.IKEUp))+len(n.b.of(ike.IKEUp)) > 0 {
			t.Error(n.story())
		}
	})
}
