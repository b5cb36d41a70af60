package v2

import (
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// Either side replaces child and IKE SA when it is told to, once, however often.
func TestRekeyCommand(t *testing.T) {
	for _, mine := range []bool{true, false} {
		n, a, b := up(t)
		h, sa := n.a, a
		if !mine {
			h, sa = n.b, b
		}
		was := sa.children[0].SPIIn
		for range 2 {
			h.step(sa, ike.Rekey{ChildID: sa.children[0].ID})
		}
		h.step(sa, ike.Rekey{ChildID: 4711}) // gone
		n.run()
		if len(h.of(ike.ChildRekeyed)) != 1 || sa.children[0].SPIIn == was {
			t.Fatal(n.story())
		}
		for range 2 {
			h.step(sa, ike.Rekey{})
		}
		n.run()
		n.pass(2 * lateTime)
		n.settled(1, 1)
		if len(n.a.of(ike.IKERekeyed)) != 1 || len(n.b.of(ike.IKERekeyed)) != 1 {
			t.Error(n.story())
		}
	}
}

// With reauthentication it is set up anew: ended for that, or beside the old one.
func TestReauthCommand(t *testing.T) {
	n, a, _ := up(t)
	n.a.step(a, ike.Rekey{Reauth: true})
	n.run()
	down := n.a.of(ike.IKEDown)
	if len(down) != 1 || down[0].Why == nil || down[0].Why.Cause != ike.Expired {
		t.Error(n.story())
	}
	n, a, _ = up(t)
	c := *a.Config
	c.MakeBeforeBreak = true
	a.Config = &c
	n.a.step(a, ike.Rekey{Reauth: true})
	n.run()
	if len(n.a.of(ike.ReauthDue)) != 1 || len(n.a.of(ike.IKEDown)) != 0 {
		t.Error(n.story())
	}
	n, _, b := up(t, func(_, b *conf.Connection) { b.Behavior = conf.ResponderOnly })
	n.b.step(b, ike.Rekey{Reauth: true})
	n.run()
	w := n.b.of(ike.Warning)
	if len(w) != 1 || !strings.Contains(w[0].Text, "the peer has to") || len(n.b.of(ike.IKEDown)) != 0 {
		t.Error(n.story())
	}
}

// What is about to end is not replaced.
func TestRekeyCommandTooLate(t *testing.T) {
	n, a, _ := up(t)
	n.a.step(a, ike.Terminate{})
	for _, ev := range []ike.Rekey{{}, {Reauth: true}, {ChildID: a.children[0].ID}} {
		n.a.step(a, ev)
	}
	n.run()
	n.settled(0, 0)
	if len(n.a.of(ike.IKERekeyed))+len(n.a.of(ike.ChildRekeyed)) > 0 {
		t.Error(n.story())
	}
}

// Both sides count the messages of an IKE SA alike, each by its direction, and a
// retransmission does not count.
func TestCounts(t *testing.T) {
	n, a, _ := up(t)
	n.a.step(a, ike.Rekey{ChildID: a.children[0].ID}) // and a deletion
	n.run()
	n.a.step(a, ike.Terminate{})
	n.run()
	want := map[ike.Counter]uint64{
		ike.InitRequestsOut: 1, ike.InitResponsesIn: 1, ike.AuthRequestsOut: 1, ike.AuthResponsesIn: 1,
		ike.CreateRequestsOut: 1, ike.CreateResponsesIn: 1, ike.InfoRequestsOut: 2, ike.InfoResponsesIn: 2,
	}
	turned := map[ike.Counter]ike.Counter{
		ike.InitRequestsOut: ike.InitRequestsIn, ike.InitResponsesIn: ike.InitResponsesOut,
		ike.AuthRequestsOut: ike.AuthRequestsIn, ike.AuthResponsesIn: ike.AuthResponsesOut,
		ike.CreateRequestsOut: ike.CreateRequestsIn, ike.CreateResponsesIn: ike.CreateResponsesOut,
		ike.InfoRequestsOut: ike.InfoRequestsIn, ike.InfoResponsesIn: ike.InfoResponsesOut,
	}
	var atA, atB ike.Counts
	for c, times := range want {
		atA[c], atB[turned[c]] = times, times
	}
	if n.a.counts != atA {
		t.Errorf("a: %v, want %v", n.a.counts, atA)
	}
	if n.b.counts != atB {
		t.Errorf("b: %v, want %v", n.b.counts, atB)
	}
}

// A first message that cannot be parsed is counted as invalid only.
func TestCountsInvalid(t *testing.T) {
	n := newNetwork(t)
	n.intercept = func(p packet) []packet {
		p.data = append([]byte(nil), p.data...)
		p.data[16] = 200   // a payload that nobody knows
		p.data[29] |= 0x80 // and that is critical
		n.intercept = nil
		return []packet{p}
	}
	n.a.dial()
	n.run()
	if n.b.counts[ike.Invalid] != 1 || n.b.counts[ike.InitRequestsIn] != 0 || n.b.counts[ike.InitResponsesOut] != 1 {
		t.Errorf("%v\n%s", n.b.counts, n.story())
	}
}
