package v2

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// A peer that does not answer is asked 6 times: after 4 s, 7.2 s, ... and given up
// after 165 s in all. The octets are the same each time (RFC 7296, 2.1).
func TestRetransmission(t *testing.T) {
	n := newNetwork(t)
	n.intercept = func(packet) []packet { return nil }
	begin := n.now
	sa := n.a.dial()
	at := []float64{0, 4, 11.2, 24.16, 47.488, 89.4784}
	for i, want := range at {
		if len(n.sent) != i+1 {
			t.Fatalf("%d messages after %v", len(n.sent), n.now.Sub(begin))
		}
		if got := n.now.Sub(begin).Seconds(); math.Abs(got-want) > 0.001 {
			t.Errorf("message %d after %v s, want %v", i, got, want)
		}
		if !bytes.Equal(n.sent[i].data, n.sent[0].data) {
			t.Errorf("message %d differs", i)
		}
		n.now = sa.Deadline()
		n.a.step(sa, ike.Timeout{})
	}
	if got := n.now.Sub(begin).Seconds(); math.Abs(got-165.06) > 0.01 {
		t.Errorf("given up after %v s", got)
	}
	if f := n.a.failure(); f.Why.Cause != ike.NoAnswer || len(n.a.sas) != 0 || sa.Deadline() != ike.Never {
		t.Error(f.Text)
	}
}

// Each message of each exchange is lost once.
func TestEveryMessageLostOnce(t *testing.T) {
	for lost := range 8 {
		n := newNetwork(t, func(a, b *conf.Connection) {
			addChild(t, a, "second", "172.16.0.0/24", "172.17.0.0/24", "aes128gcm16-curve25519")
			addChild(t, b, "second", "172.17.0.0/24", "172.16.0.0/24", "aes128gcm16-curve25519")
		})
		n.intercept = func(p packet) []packet { return lose(p, len(n.sent) == lost+1) }
		a := n.a.dial("lan", "second")
		n.pass(time.Minute)
		n.established(2)
		n.a.step(a, ike.Terminate{Why: "test"})
		n.pass(time.Minute)
		if len(n.a.sas)+len(n.b.sas) != 0 {
			t.Errorf("message %d lost: %s", lost, n.story())
		}
		n.a.empty()
		n.b.empty()
	}
}

// Every message comes twice, and late again: nothing happens twice.
func TestEverythingTwice(t *testing.T) {
	n := newNetwork(t)
	var all []packet
	n.intercept = func(p packet) []packet {
		all = append(all, p)
		return []packet{p, p}
	}
	a := n.a.dial()
	n.run()
	_, b := n.established(1)
	if n.a.kinds() != "IKEUp ChildUp" || n.b.kinds() != "IKEUp ChildUp" {
		t.Error(n.story())
	}
	n.intercept = nil
	sa, sb := snapshot(a), snapshot(b)
	for _, p := range all {
		n.deliver(p)
	}
	n.run()
	if snapshot(a) != sa || snapshot(b) != sb || len(n.a.sas)+len(n.b.sas) != 2 {
		t.Error("old messages changed something")
	}
}

// A repeated request is answered from the cache, octet by octet, and costs nothing
// else; the one before it is not answered any more.
func TestDuplicateRequests(t *testing.T) {
	n, a, b := up(t)
	first, second := craft(t, a, wire.Informational), []byte(nil)
	reply := func(data []byte) []byte {
		before := len(n.sent)
		n.b.step(b, ike.Datagram{Path: b.path, Data: bytes.Clone(data)})
		if len(n.sent) == before {
			return nil
		}
		return n.sent[len(n.sent)-1].data
	}
	answer := reply(first)
	state := snapshot(b)
	for range 3 {
		if again := reply(first); !bytes.Equal(again, answer) || snapshot(b) != state {
			t.Error("the repetition is not answered in the same way")
		}
	}
	// The same message ID with other octets is no repetition.
	if again := reply(craft(t, a, wire.Informational)); again != nil || snapshot(b) != state {
		t.Error("another request with the same message ID was answered")
	}
	a.win.nextSend++
	second = craft(t, a, wire.Informational)
	if reply(second) == nil {
		t.Error("the next request was not answered")
	}
	state = snapshot(b)
	if reply(first) != nil || snapshot(b) != state {
		t.Error("an old request was answered")
	}
}

// The window has the size one: only the next message ID is taken (RFC 7296, 2.3).
func TestMessageIDs(t *testing.T) {
	n, a, b := up(t)
	before := snapshot(b)
	for _, id := range []uint32{0, b.win.nextRecv + 1, b.win.nextRecv + 2, math.MaxUint32, math.MaxUint32 - 1} {
		if ps := n.ask(a, b, craftMessage(t, a, a.header(wire.Informational, id, false))); ps != nil || snapshot(b) != before {
			t.Errorf("message ID %d was taken", id)
		}
	}
	if ps := n.exchange(a, b, wire.Informational); ps == nil && b.win.nextRecv != 3 {
		t.Error("the next request was not taken")
	}
	// Responses to what was not asked.
	before = snapshot(b)
	for _, id := range []uint32{0, 1, b.win.nextSend} {
		n.ask(a, b, craftMessage(t, a, a.header(wire.Informational, id, true)))
		if snapshot(b) != before {
			t.Errorf("a response %d that nobody asked for changed something", id)
		}
	}
	// Message IDs do not wrap.
	b.win.nextRecv, a.win.nextSend = math.MaxUint32, math.MaxUint32
	before = snapshot(b)
	if n.ask(a, b, craft(t, a, wire.Informational)); snapshot(b) != before {
		t.Error("the last message ID was taken")
	}
	n.a.step(a, ike.Terminate{Why: "test"})
	n.run()
	if len(n.a.sas) != 0 || len(n.a.of(ike.IKEDown)) != 1 {
		t.Error("the IKE SA outlives its message IDs", n.story())
	}
}

// A response of another exchange than the request is none.
func TestResponseOfAnotherExchange(t *testing.T) {
	n, a, b := up(t)
	n.intercept = func(packet) []packet { return nil }
	n.b.step(b, ike.Terminate{Child: "lan"})
	before := snapshot(b)
	n.b.step(b, ike.Datagram{Path: b.path, Data: craftMessage(t, a, a.header(wire.CreateChildSA, b.win.out.id, true), &wire.Notify{Kind: wire.NotifyTemporaryFailure})})
	if snapshot(b) != before {
		t.Error("it was taken")
	}
}

// While a request waits for the data plane its repetitions are not answered, and
// no other request is taken.
func TestRequestsWhileServing(t *testing.T) {
	n := newNetwork(t)
	n.b.hold = true
	n.a.dial()
	n.run()
	for range 3 {
		n.deliver(n.sent[0])
	}
	if len(n.sent) != 1 || len(n.b.sas) != 1 || len(n.b.held) != 1 {
		t.Errorf("%d messages, %d IKE SAs, %d jobs", len(n.sent), len(n.b.sas), len(n.b.held))
	}
	n.b.release()
	n.run()
	if len(n.sent) != 3 || len(n.b.held) != 1 {
		t.Errorf("%d messages, %d jobs", len(n.sent), len(n.b.held))
	}
	b := n.b.list()[0]
	before := snapshot(b)
	n.deliver(n.sent[2])
	if len(n.sent) != 3 || snapshot(b) != before {
		t.Error("a repetition was answered, or changed something")
	}
	n.b.hold = false
	n.b.release()
	n.run()
	n.established(1)
}
