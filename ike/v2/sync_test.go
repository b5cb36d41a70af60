package v2

import (
	"bytes"
	"math"
	"testing"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

func syncRequest(t testing.TB, from *SA, nonce byte, m1, p1 uint32) []byte {
	t.Helper()
	s := wire.MessageIDSync{Nonce: [4]byte{nonce, 2, 3, 4}, NextSend: m1, NextReceived: p1}
	return craftMessage(t, from, from.header(wire.Informational, 0, false), &wire.Notify{Kind: wire.NotifyMessageIDSync, Data: s.Append(nil)})
}

// syncReply reads the answer to a request, nil when there is none.
func syncReply(t testing.TB, n *network, a, b *SA, data []byte) *wire.MessageIDSync {
	t.Helper()
	before := len(n.sent)
	ps := n.ask(a, b, data)
	if ps == nil {
		return nil
	}
	if h := header(t, n.sent[before].data); h.MessageID != 0 || h.Exchange != wire.Informational {
		t.Errorf("%+v", h)
	}
	s, err := wire.ParseMessageIDSync(wire.FindNotify(ps, wire.NotifyMessageIDSync).Data)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// The values of RFC 6311, 5.1: M2 is M1 and P2 the higher of P1 and our own; both windows
// go on from there.
func TestMessageIDSync(t *testing.T) {
	for _, c := range []struct{ m1, p1, p2 uint32 }{{2, 0, 0}, {100, 0, 0}, {100, 50, 50}, {7, 9, 9}} {
		n, a, b := up(t)
		if !a.ext.sync || !b.ext.sync {
			t.Fatal("not announced")
		}
		got := syncReply(t, n, a, b, syncRequest(t, a, 1, c.m1, c.p1))
		if got == nil || *got != (wire.MessageIDSync{Nonce: [4]byte{1, 2, 3, 4}, NextSend: c.p2, NextReceived: c.m1}) {
			t.Fatalf("%+v: %+v", c, got)
		}
		a.win.nextSend, a.win.nextRecv = c.m1, c.p2
		n.b.step(b, ike.Terminate{Child: "lan"})
		n.run()
		n.established(0)
		n.a.step(a, ike.Terminate{Why: "test"})
		n.run()
		if len(n.a.sas)+len(n.b.sas) > 0 {
			t.Error(n.story())
		}
	}
}

// A request under way is sent again by its new number.
func TestMessageIDSyncWithRequest(t *testing.T) {
	n, a, b := up(t)
	n.intercept = func(packet) []packet { return nil }
	n.b.step(b, ike.Terminate{Child: "lan"})
	n.intercept = nil
	if got := syncReply(t, n, a, b, syncRequest(t, a, 1, 30, 0)); got == nil || got.NextSend != 1 {
		t.Fatalf("%+v", got)
	}
	if h := header(t, n.sent[len(n.sent)-1].data); h.MessageID != 1 || b.win.out.id != 1 || b.win.nextSend != 2 {
		t.Fatalf("%+v", h)
	}
	a.win.nextSend, a.win.nextRecv = 30, 1
	n.pass(5e9) // repeated
	n.established(0)
}

// What does not go forward, is replayed or not in order is dropped in silence, and moves
// nothing.
func TestHostileMessageIDSync(t *testing.T) {
	n, a, b := up(t)
	first := syncRequest(t, a, 1, 10, 5)
	if syncReply(t, n, a, b, first) == nil {
		t.Fatal("not answered")
	}
	before := snapshot(b)
	// Its repetition is answered as before, and nothing else comes of it.
	if got := syncReply(t, n, a, b, first); got == nil || got.NextReceived != 10 || snapshot(b) != before {
		t.Errorf("%+v", got)
	}
	second := syncRequest(t, a, 2, 20, 5)
	if syncReply(t, n, a, b, second) == nil {
		t.Fatal("not answered")
	}
	before = snapshot(b)
	short := craftMessage(t, a, a.header(wire.Informational, 0, false), &wire.Notify{Kind: wire.NotifyMessageIDSync, Data: make([]byte, 11)})
	forged := bytes.Clone(syncRequest(t, a, 3, 30, 30))
	forged[len(forged)-1] ^= 1
	for name, data := range map[string][]byte{
		"the first again": first, "M1 as before": syncRequest(t, a, 3, 20, 99), "M1 below": syncRequest(t, a, 3, 19, 99), "M1 0": syncRequest(t, a, 3, 0, 99),
		"M1 the last": syncRequest(t, a, 3, math.MaxUint32, 5), "P1 the last": syncRequest(t, a, 3, 30, math.MaxUint32), "short": short, "forged": forged,
		"another message ID": craftMessage(t, a, a.header(wire.Informational, 5, false), &wire.Notify{Kind: wire.NotifyMessageIDSync, Data: make([]byte, 12)}),
		"nothing in it":      craftMessage(t, a, a.header(wire.Informational, 0, false)),
		"reflected":          bytes.Clone(n.sent[len(n.sent)-1].data),
	} {
		if ps := n.ask(a, b, data); ps != nil || snapshot(b) != before {
			t.Errorf("%s counts: %+v", name, ps)
		}
	}
	// Not announced.
	n, a, b = up(t)
	b.ext.sync = false
	before = snapshot(b)
	if ps := n.ask(a, b, syncRequest(t, a, 1, 10, 5)); ps != nil || snapshot(b) != before {
		t.Error("counts although it was not agreed on")
	}
}

// The peer's first request has the message ID 0, too, when it has begun the IKE SA the
// other way round.
func TestMessageIDZero(t *testing.T) {
	n, _, b := up(t)
	n.b.step(b, ike.Terminate{Child: "lan"})
	n.run()
	n.established(0)
}
