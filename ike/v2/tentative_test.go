package v2

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// again sets up another IKE SA beside the one that is there, and returns b's end. The
// answers to its IKE_AUTH are lost while lose holds.
func again(t *testing.T, n *network, contact bool, lose func() bool) *SA {
	t.Helper()
	n.b.plane.beside = true
	n.intercept = func(p packet) []packet {
		h := header(t, p.data)
		if h.Exchange == wire.IKEAuth && h.Flags&wire.FlagResponse != 0 && lose() {
			return nil
		}
		return []packet{p}
	}
	p := n.a.params()
	p.InitialContact = contact
	a := dial(p, n.a.conn(), n.a.list()[0].path)
	n.a.add(p.SPI, a)
	n.a.step(a, ike.Initiate{Child: "lan"})
	n.run()
	return n.b.list()[1]
}

// yielding tells whether b sends by the child of the older IKE SA.
func yielding(t *testing.T, n *network, b *SA) bool {
	t.Helper()
	priority := func(owner uint64) uint32 {
		for _, p := range n.b.plane.policies {
			if p.Owner == owner && p.Dir == esp.Out {
				return p.Priority
			}
		}
		t.Fatalf("no outbound policy of #%d", owner)
		return 0
	}
	return priority(b.children[0].ID) > priority(n.b.list()[0].children[0].ID)
}

func never() bool  { return false }
func always() bool { return true }

// A child beside one of an older IKE SA sends when there is a sign that the peer knows
// it: it carries packets, another request has come, or there was time enough for the
// request to be repeated.
func TestTentative(t *testing.T) {
	for name, c := range map[string]struct {
		sign func(n *network, b *SA)
		wait time.Duration
	}{
		"a packet":        {func(n *network, _ *SA) { n.b.idle = 0 }, 2 * firstLook},
		"another request": {func(n *network, _ *SA) { n.a.last.push(&liveness{}); n.a.step(n.a.last, ike.Timeout{}) }, firstLook / 2},
		"time":            {func(*network, *SA) {}, tentativeTime},
	} {
		n, _, _ := up(t)
		b := again(t, n, false, never)
		n.pass(firstLook / 5)
		if !yielding(t, n, b) {
			t.Fatalf("%s: it sends at once", name)
		}
		c.sign(n, b)
		n.pass(c.wait - firstLook/5 - 1)
		if name == "time" && !yielding(t, n, b) {
			t.Errorf("%s: it sends too early", name)
		}
		n.pass(firstLook)
		if yielding(t, n, b) || b.tentative != nil || b.tentativeAt() != ike.Never {
			t.Errorf("%s: it does not send: %+v", name, b.tentative)
		}
		n.b.step(n.b.list()[0], ike.Terminate{Why: "test"})
		n.a.step(n.a.last, ike.Terminate{Why: "test"})
		n.run()
		n.b.empty()
	}
}

// A peer that asks again has not got the answer: it is given more time, not for ever.
func TestTentativeLost(t *testing.T) {
	n, _, _ := up(t)
	b := again(t, n, false, always)
	for passed := time.Duration(0); passed < tentativeMost-time.Second; passed += time.Second {
		if !yielding(t, n, b) {
			t.Fatalf("it sends after %s", passed)
		}
		n.pass(time.Second)
	}
	n.pass(2 * time.Second)
	if yielding(t, n, b) {
		t.Error("it never sends")
	}
	n, _, _ = up(t)
	lost := 0
	b = again(t, n, false, func() bool { lost++; return lost == 1 })
	n.pass(5 * time.Second) // the request was repeated after 4 s
	n.b.idle = 0
	n.pass(5 * time.Second)
	if yielding(t, n, b) {
		t.Error("it does not send though it receives")
	}
}

// A peer that has forgotten all, and says so, takes no packets by the old child.
func TestNotTentative(t *testing.T) {
	n, _, _ := up(t)
	if b := again(t, n, true, never); yielding(t, n, b) || b.tentative != nil {
		t.Error("it yields to a child that the peer has forgotten")
	}
	_, _, b := up(t)
	if b.tentative != nil || b.children[0].Yields {
		t.Error("it yields to nobody")
	}
	// One whose IKE SA is replaced meanwhile is looked after by the new one.
	n, _, _ = up(t, func(a, b *conf.Connection) { a.Rekey, b.Rekey = true, true })
	b = again(t, n, false, never)
	id := b.children[0].ID
	b.rekeyAt = n.now
	n.b.step(b, ike.Timeout{})
	n.run()
	heir := n.b.last
	if len(heir.children) != 1 || heir.children[0].ID != id {
		t.Fatal(n.story())
	}
	n.pass(tentativeTime + time.Second)
	if heir.children[0].Yields || heir.tentative != nil {
		t.Error("forgotten")
	}
}

// An IKE SA whose place another has taken sends by no child of its own any more where
// that one could, not even by one that is just being made.
func TestYieldAll(t *testing.T) {
	n, a, _ := up(t, func(a, b *conf.Connection) { a.Rekey, b.Rekey = true, true })
	priorities := func() (list []uint32) {
		for _, p := range n.a.plane.policies {
			if p.Dir == esp.Out {
				list = append(list, p.Priority)
			}
		}
		return list
	}
	was := priorities()[0]
	n.a.hold = true
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: a.children[0].InboundID()}})
	n.a.step(a, ike.Terminate{Yield: true, Why: "replaced"})
	if got := priorities(); len(got) != 1 || got[0] != was+1 {
		t.Errorf("priorities %v, was %d", got, was)
	}
	n.a.hold = false
	n.a.release()
	made := 0
	n.a.plane.watch = func() {
		for _, p := range priorities() {
			made++
			if p == was {
				t.Error("a new child sends")
			}
		}
	}
	n.run()
	if made == 0 || !a.closed {
		t.Errorf("no child was made, closed %v\n%s", a.closed, n.story())
	}
	n.a.empty()
}
