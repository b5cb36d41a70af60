package v2

import (
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// lostPeer brings a tunnel up and lets b forget all. What b answers then, intercept may
// change.
func lostPeer(t *testing.T, forget bool) (*network, *SA) {
	t.Helper()
	n, a, b := up(t, func(a, _ *conf.Connection) { a.DPDDelay = 10 * time.Second })
	n.intercept = func(p packet) []packet {
		if p.from != n.a {
			return []packet{p}
		}
		h := header(t, p.data)
		if h.Flags&wire.FlagResponse != 0 {
			return []packet{p}
		}
		if forget {
			n.b.forget(b)
		}
		n.refuse(h)
		return []packet{p}
	}
	return n, a
}

// refuse gives a the answer of a host that does not know its IKE SA, as an engine does.
func (n *network) refuse(h wire.Header) {
	n.t.Helper()
	b := Machines{}.InvalidSPI(h)
	if !(Machines{}).SaysInvalidSPI(header(n.t, b), b) {
		n.t.Error("INVALID_IKE_SPI is not recognised")
	}
	for _, sa := range n.a.list() {
		n.a.step(sa, ike.Suspected{Path: sa.path, SPIi: h.SPIi, SPIr: h.SPIr})
	}
}

// A peer that has lost everything is found out in seconds (RFC 7296, 2.21.4).
func TestLostPeerIsFoundOut(t *testing.T) {
	n, a := lostPeer(t, true)
	n.pass(10 * time.Second)
	if a.closed {
		t.Fatal("given up for a message that anybody may send")
	}
	begun := n.now
	n.pass(10 * time.Second)
	d := n.a.of(ike.IKEDown)
	if !a.closed || len(d) != 1 || d[0].Why.Cause != ike.NoAnswer || !strings.Contains(d[0].Text, "as by a restart") {
		t.Fatalf("closed %v, %+v\n%s", a.closed, d, n.story())
	}
	asked := 0
	for _, p := range n.sent {
		if p.from == n.a && header(t, p.data).Exchange == wire.Informational {
			asked++
		}
	}
	if asked != 1+doubtTries {
		t.Errorf("asked %d times since %v", asked, begun)
	}
}

// The same message changes nothing while the peer lives.
func TestForgedInvalidSPI(t *testing.T) {
	n, a := lostPeer(t, false)
	n.pass(30 * time.Minute)
	n.established(1)
	if a.closed || len(n.a.of(ike.IKEDown)) > 0 {
		t.Error(n.story())
	}
	// By another path, or for another IKE SA, it says nothing about this one.
	before := a.Deadline()
	n.a.step(a, ike.Suspected{Path: pathOf("192.0.2.1:500", "203.0.113.7:500"), SPIi: a.spiI, SPIr: a.spiR})
	n.a.step(a, ike.Suspected{Path: a.path, SPIi: a.spiI, SPIr: a.spiR + 1})
	if a.win.out != nil || a.Deadline() != before {
		t.Error("somebody else is believed")
	}
}

// Only an unprotected answer that says no more than INVALID_IKE_SPI is taken for one.
func TestSaysInvalidSPI(t *testing.T) {
	n, a, _ := up(t)
	for _, p := range n.sent {
		if (Machines{}).SaysInvalidSPI(header(t, p.data), p.data) {
			t.Errorf("%x", p.data)
		}
	}
	h := a.header(wire.Informational, 7, false)
	if b := (Machines{}).RefuseVersion(h); (Machines{}).SaysInvalidSPI(header(t, b), b) {
		t.Error("another notify")
	}
	b := Machines{}.InvalidSPI(h)
	if (Machines{}).SaysInvalidSPI(header(t, b), b[:len(b)-1]) {
		t.Error("cut off")
	}
}
