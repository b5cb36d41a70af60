package v2

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

func watchful(a, _ *conf.Connection) { a.DPDDelay = 30 * time.Second }

// A peer that says nothing for dpd_delay is asked; its answer is a sign of life, and
// does not wake anybody before the next time.
func TestLiveness(t *testing.T) {
	n, a, b := up(t, watchful)
	before := len(n.sent)
	if at := a.Deadline(); at != n.now.Add(30*time.Second) {
		t.Errorf("deadline in %v", at.Sub(n.now))
	}
	n.pass(29 * time.Second)
	if len(n.sent) != before {
		t.Error("asked too early")
	}
	n.pass(time.Second)
	if len(n.sent) != before+2 || len(n.open(b, n.sent[before].data)) != 0 || header(t, n.sent[before].data).Exchange != wire.Informational {
		t.Errorf("%d messages", len(n.sent)-before)
	}
	if at := a.Deadline(); at != n.now.Add(30*time.Second) || len(n.a.asked) != 1 || n.a.asked[0].SAs[0] != a.children[0].InboundID() {
		t.Errorf("deadline in %v, asked %v", at.Sub(n.now), n.a.asked)
	}
	// Every authentic message of the peer's is a sign of life.
	n.pass(20 * time.Second)
	b.push(&liveness{})
	n.b.step(b, ike.Timeout{})
	n.run()
	if at := a.Deadline(); at != n.now.Add(30*time.Second) {
		t.Errorf("deadline in %v", at.Sub(n.now))
	}
	// What is not authentic is none.
	n.pass(10 * time.Second)
	at := a.Deadline()
	n.a.step(a, ike.Datagram{Path: a.path, Data: unprotected(wire.Header{SPIi: a.spiI, SPIr: a.spiR, Exchange: wire.Informational, Flags: wire.FlagInitiator}, wire.NotifyInvalidIKESPI)})
	if a.Deadline() != at {
		t.Error("a message that is not authentic counts")
	}
}

// marks are how often each mark was reported.
func marks(reports []ike.Report) map[ike.Mark]int {
	n := make(map[ike.Mark]int)
	for _, r := range reports {
		if r.Mark != ike.Unmarked {
			n[r.Mark]++
		}
	}
	return n
}

// Questions, answers, repetitions and deaths are marked, each once, and only on Steps.
func TestLivenessIsMarked(t *testing.T) {
	n, a, _ := up(t, watchful)
	n.pass(30 * time.Second)
	if got := marks(n.a.reports); len(got) != 2 || got[ike.LivenessAsked] != 1 || got[ike.LivenessProven] != 1 {
		t.Errorf("%v", got)
	}
	n.intercept = func(packet) []packet { return nil }
	n.pass(10 * time.Minute)
	want := a.Config.Retransmit.Tries
	if got := marks(n.a.reports); got[ike.LivenessAsked] != 2 || got[ike.LivenessProven] != 1 || got[ike.LivenessLost] != 1 || got[ike.RequestRepeated] != want {
		t.Errorf("%v, want %d repetitions", got, want)
	}
	for _, r := range n.a.reports {
		if r.Mark != ike.Unmarked && (r.Kind != ike.Step || r.Conn == "") {
			t.Errorf("%+v", r)
		}
	}
}

// ESP of the peer's is a sign of life.
func TestLivenessByESP(t *testing.T) {
	n, a, _ := up(t, watchful)
	before := len(n.sent)
	n.a.idle = ike.Idle(10 * time.Second)
	n.pass(30 * time.Second)
	if at := a.Deadline(); at != n.now.Add(20*time.Second) || len(n.sent) != before {
		t.Errorf("deadline in %v, %d messages", at.Sub(n.now), len(n.sent)-before)
	}
	n.a.idle = ike.Idle(40 * time.Second)
	n.pass(20 * time.Second)
	if len(n.sent) != before+2 || len(n.a.asked) != 2 {
		t.Errorf("%d messages, asked %d times", len(n.sent)-before, len(n.a.asked))
	}
	// Without children the data plane has nothing to say.
	n.a.idle = 0
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.run()
	n.pass(30 * time.Second)
	if len(n.a.asked) != 2 || len(n.sent) != before+6 {
		t.Errorf("%d messages, asked %d times", len(n.sent)-before, len(n.a.asked))
	}
	// A data plane that does not answer does not keep the peer from being asked once.
	n, a, _ = up(t, watchful)
	n.a.hold = true
	n.pass(5 * time.Minute)
	if len(n.a.held) != 1 || a.Deadline() < n.now {
		t.Errorf("asked %d times", len(n.a.held))
	}
}

// A dead peer is given up when it has been asked as often as any request is repeated.
func TestDeadPeer(t *testing.T) {
	n, _, _ := up(t, watchful)
	n.intercept = func(packet) []packet { return nil }
	before := len(n.sent)
	n.pass(10 * time.Minute)
	d := n.a.of(ike.IKEDown)
	if len(d) != 1 || d[0].Why.Cause != ike.NoAnswer || len(n.sent)-before != 1+n.a.conf.Retransmit.Tries {
		t.Errorf("%d messages\n%s", len(n.sent)-before, n.story())
	}
	n.a.empty()
	// dpd_action none: nobody asks.
	n, a, _ := up(t, watchful, func(a, _ *conf.Connection) { a.DPDAction = conf.DPDNone })
	before = len(n.sent)
	n.pass(30 * time.Minute)
	if len(n.sent) != before || a.closed {
		t.Error("asked")
	}
}

// A peer whose own requests come lives, though it does not hear ours: those are repeated
// some time more.
func TestDeafPeer(t *testing.T) {
	n, a, _ := up(t, watchful, func(_, b *conf.Connection) { b.DPDDelay = 10 * time.Second })
	n.intercept = func(p packet) []packet {
		return lose(p, p.from == n.a && header(t, p.data).Flags&wire.FlagResponse == 0)
	}
	a.push(&liveness{})
	n.a.step(a, ike.Timeout{})
	n.pass(200 * time.Second)
	n.established(1)
	n.intercept = nil
	n.pass(time.Minute)
	if n.established(1); a.win.out != nil {
		t.Error("still asking")
	}
	n.intercept = func(p packet) []packet {
		return lose(p, p.from == n.a && header(t, p.data).Flags&wire.FlagResponse == 0)
	}
	a.push(&liveness{})
	n.a.step(a, ike.Timeout{})
	n.pass(20 * time.Minute)
	if d := n.a.of(ike.IKEDown); len(d) != 1 {
		t.Error("asks for ever")
	}
}
