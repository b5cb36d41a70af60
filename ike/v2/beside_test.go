package v2

import (
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// When a peer is silent an IKE SA beside is asked for once, where dpd_action says so, and
// taken back when the peer answers after all.
func TestTryBeside(t *testing.T) {
	for _, c := range []struct {
		action conf.DPDAction
		want   int
	}{{conf.DPDRestart, 1}, {conf.DPDClear, 0}, {conf.DPDHold, 0}} {
		n, a, _ := up(t, watchful, func(a, _ *conf.Connection) { a.DPDAction = c.action })
		silent := true
		n.intercept = func(p packet) []packet {
			if silent && p.from == n.b {
				return nil
			}
			return []packet{p}
		}
		n.pass(40 * time.Second) // a question after 30 s, its second repetition 11 s later
		if got := len(n.a.of(ike.ReauthDue)); got != 0 {
			t.Errorf("asked for too early")
		}
		n.pass(2 * time.Second)
		if got := n.a.of(ike.ReauthDue); len(got) != c.want {
			t.Errorf("%v: asked for %d times", c.action, len(got))
		}
		silent = false
		n.pass(30 * time.Second)
		if got := len(n.a.of(ike.PeerLives)); got != c.want || a.closed {
			t.Errorf("%v: said that the peer lives %d times, closed %v", c.action, got, a.closed)
		}
	}
}

// Who hears the peer does not: it is the network that loses.
func TestNotBesideWhoIsHeard(t *testing.T) {
	n, a, b := up(t, watchful)
	n.intercept = func(p packet) []packet {
		if p.from == n.b && header(t, p.data).Flags&wire.FlagResponse != 0 { // its answers are lost
			return nil
		}
		return []packet{p}
	}
	n.pass(35 * time.Second)
	b.push(&liveness{})
	n.b.step(b, ike.Timeout{})
	n.run()
	n.pass(20 * time.Second)
	if len(n.a.of(ike.ReauthDue)) != 0 || a.closed {
		t.Error(n.story())
	}
}
