package v2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

func inactive(a, _ *conf.Connection) {
	for _, c := range a.Children {
		c.Inactivity = 10 * time.Minute
	}
}

// A tunnel without traffic is closed, and the IKE SA with its last one.
func TestInactivity(t *testing.T) {
	n, a, _ := up(t, inactive)
	id := a.children[0].InboundID()
	n.a.idle = ike.Idle(4 * time.Minute)
	n.pass(10 * time.Minute)
	if a.closed || a.children[0].IdleAt != n.now.Add(6*time.Minute) {
		t.Fatalf("closed %v though it is in use", a.closed)
	}
	if q := n.a.asked[0].SAs; len(q) != 2 || q[0] != id || q[1] != a.children[0].OutboundID() {
		t.Errorf("asked for %v", q)
	}
	n.a.idle = ike.Idle(10 * time.Minute)
	n.pass(6 * time.Minute)
	for _, h := range []*host{n.a, n.b} {
		if len(h.sas) != 0 {
			t.Errorf("%s still has an IKE SA\n%s", h.name, n.story())
		}
		h.empty()
	}
	d := n.a.of(ike.IKEDown)
	c := n.a.of(ike.ChildDown)
	if len(d) != 1 || d[0].Why.Cause != ike.Unused || len(c) != 1 || c[0].Why == nil || c[0].Why.Cause != ike.Unused || !strings.Contains(d[0].Text, "no traffic for 10m0s") {
		t.Errorf("down %+v, child %+v", d, c)
	}
}

// Of several tunnels only the one goes that is not in use, and what the data plane does
// not know is no reason.
func TestInactivityOfOne(t *testing.T) {
	n := newNetwork(t, second(t, "aes256gcm16", "aes256gcm16"), func(a, _ *conf.Connection) { a.Children[1].Inactivity = 10 * time.Minute })
	a := n.a.dial("lan", "second")
	n.run()
	n.established(2)
	n.a.idle = -1
	n.pass(10 * time.Minute)
	n.established(1)
	if a.children[0].Name != "lan" {
		t.Errorf("%s is left", a.children[0].Name)
	}
	if d := n.a.of(ike.ChildDown); len(d) != 1 || d[0].Child != "second" || d[0].Why == nil || d[0].Why.Cause != ike.Unused {
		t.Errorf("%+v", d)
	}
	c := a.children[0]
	c.Conf.Inactivity, c.IdleAt = time.Minute, n.now
	(&usage{c}).resume(a, n.now, ike.Done{Err: errors.New("no such SA")}, &ike.Effects{})
	if a.retiring(c) || c.IdleAt != n.now.Add(time.Minute) {
		t.Error("closed without knowing")
	}
}

// A child that is replaced goes on with its silence, whoever replaces it.
func TestInactivityIsInherited(t *testing.T) {
	for _, byPeer := range []bool{false, true} {
		n, a, b := up(t, inactive)
		n.pass(4 * time.Minute)
		n.a.idle = ike.Idle(3 * time.Minute)
		used := n.now - ike.Instant(3*time.Minute)
		sa, h := a, n.a
		if byPeer {
			sa, h = b, n.b
		}
		h.step(sa, ike.Notice{Notice: esp.Expire{ID: sa.children[0].OutboundID()}})
		sa.conn.Rekey = true
		h.step(sa, ike.Notice{Notice: esp.Expire{ID: sa.children[0].OutboundID()}})
		n.run()
		if c := a.children[0]; len(n.a.of(ike.ChildRekeyed)) != 1 || c.UsedAt != used || c.IdleAt != used.Add(10*time.Minute) {
			t.Errorf("by peer %v: used %v ago, asked about in %v, want %v ago\n%s", byPeer, n.now.Sub(c.UsedAt), c.IdleAt.Sub(n.now), n.now.Sub(used), n.story())
		}
	}
}
