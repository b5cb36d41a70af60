package v2

import (
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// loseFirst loses the first n messages of a kind.
func loseFirst(n *network, from *host, x wire.ExchangeType, response bool, count int) {
	n.intercept = func(p packet) []packet {
		h := header(n.t, p.data)
		if p.from == from && h.Exchange == x && (h.Flags&wire.FlagResponse != 0) == response && count > 0 {
			count--
			return nil
		}
		return []packet{p}
	}
}

// bothGone fails the test unless nothing is left at either end, and each has said once
// that it failed or ended.
func (n *network) bothGone(a, b string) {
	n.t.Helper()
	if len(n.a.sas)+len(n.b.sas) > 0 || n.a.kinds() != a || n.b.kinds() != b {
		n.t.Errorf("%d %d IKE SAs, %s, %s\n%s", len(n.a.sas), len(n.b.sas), n.a.kinds(), n.b.kinds(), n.story())
	}
	n.a.empty()
	n.b.empty()
}

// A responder that did not prove itself learns that in an exchange (RFC 7296, 2.21.2),
// also when messages are lost.
func TestRefusedResponderIsTold(t *testing.T) {
	for _, response := range []bool{false, true} {
		n := newNetwork(t)
		n.b.conf.Connections[0].PSK = crypto.Secret("a secret that both sides know")
		spoil(n)
		keep := n.intercept
		lost := 2
		n.intercept = func(p packet) []packet {
			h := header(t, p.data)
			if h.Exchange == wire.Informational && (h.Flags&wire.FlagResponse != 0) == response && lost > 0 {
				lost--
				return nil
			}
			return keep(p)
		}
		n.a.dial()
		n.run()
		if f := n.a.failure(); f.Why.Cause != ike.WrongKey {
			t.Error("not told at once", n.story())
		}
		n.pass(15 * time.Second)
		if len(n.b.sas) > 0 {
			t.Error("b was not told", n.story())
		}
		n.pass(closingTime)
		n.bothGone("Failed", "IKEUp ChildUp ChildDown IKEDown")
	}
}

// spoil makes the responder's AUTH a wrong one.
func spoil(n *network) {
	n.intercept = func(p packet) []packet {
		if h := header(n.t, p.data); p.from == n.b && h.Exchange == wire.IKEAuth {
			ps := n.open(n.a.list()[0], p.data)
			auth, _ := wire.Find[*wire.Auth](ps)
			auth.Data[0]++
			p.data = craftMessage(n.t, n.b.list()[0], h, ps...)
		}
		return []packet{p}
	}
}

// What is taken down while IKE_AUTH is under way is deleted at the peer, whichever
// message is lost.
func TestTerminateInAuth(t *testing.T) {
	for _, response := range []bool{false, true} {
		n := newNetwork(t)
		loseFirst(n, map[bool]*host{false: n.a, true: n.b}[response], wire.IKEAuth, response, 1)
		a := n.a.dial()
		n.run()
		n.a.step(a, ike.Terminate{Why: "test"})
		if n.a.kinds() != "" {
			t.Error("reported before it is over", n.story())
		}
		n.pass(5 * time.Second)
		n.bothGone("Failed", "IKEUp ChildUp ChildDown IKEDown")
		if f := n.a.failure(); f.Why.Cause != ike.Terminated || f.Why.Err != "test" {
			t.Error(f.Text)
		}
	}
	// The peer does not answer: bounded.
	n := newNetwork(t)
	loseFirst(n, n.b, wire.IKEAuth, true, 100)
	a := n.a.dial()
	n.run()
	n.a.step(a, ike.Terminate{Why: "test"})
	n.a.step(a, ike.Terminate{Why: "again"})
	n.pass(closingTime)
	if !a.closed || n.a.kinds() != "Failed" {
		t.Error(n.story())
	}
	n.a.empty()
}

// Before IKE_AUTH is sent, one that cannot succeed ends the half-open IKE SA of the peer.
func TestTerminateBeforeAuth(t *testing.T) {
	for _, computing := range []bool{false, true} {
		for _, force := range []bool{false, true} {
			if computing && force {
				continue // no keys to tell it with, and nothing is waited for
			}
			n := newNetwork(t)
			a := n.a.dial("lan")
			n.a.hold = true
			n.run()
			if !computing {
				f := n.a.held[0]
				n.a.held = n.a.held[1:]
				f()
			}
			if len(n.a.held) != 1 || a.keys.ready() == computing {
				t.Fatal(n.story())
			}
			n.a.step(a, ike.Terminate{Force: force, Why: "test"})
			n.a.hold = false
			n.a.release()
			n.run()
			n.bothGone("Failed", "Failed")
			if f := n.b.failure(); f.Why.Cause != ike.PeerRefused || !strings.Contains(f.Text, "gave up") {
				t.Error(f.Text)
			}
		}
	}
}

// No key for the connection: the peer is not left waiting.
func TestGiveUpWithoutKey(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) { a.PSK = nil })
	n.a.dial()
	n.run()
	n.bothGone("Failed", "Failed")
}

// The connection is gone while a peer waits for the answer to its IKE_AUTH: it gets one.
func TestResponderGivesUpInAuth(t *testing.T) {
	n := newNetwork(t)
	n.b.hold = true
	n.a.dial()
	n.run()
	n.b.release() // the key exchange
	n.b.hold = true
	n.run()
	b := n.b.list()[0]
	if b.serving == nil || b.conn == nil {
		t.Fatal(n.story())
	}
	n.b.step(b, ike.Configured{Config: &conf.Config{Retransmit: testRetransmit}})
	n.run()
	n.b.hold = false
	n.b.release()
	n.bothGone("Failed", "Failed")
	if f := n.a.failure(); f.Why.Cause != ike.WrongKey || !f.Why.ByPeer {
		t.Error(f.Text)
	}
}

// A responder that is to end before IKE_AUTH has come refuses it, and waits no longer
// than it would have.
func TestResponderGivesUpBeforeAuth(t *testing.T) {
	n := newNetwork(t)
	loseFirst(n, n.a, wire.IKEAuth, false, 1)
	n.a.dial()
	n.run()
	n.b.step(n.b.list()[0], ike.Terminate{Why: "test"})
	n.pass(5 * time.Second)
	n.bothGone("Failed", "Failed")

	n = newNetwork(t)
	loseFirst(n, n.a, wire.IKEAuth, false, 100)
	n.a.dial()
	n.run()
	n.b.step(n.b.list()[0], ike.Terminate{Why: "test"})
	n.pass(halfOpenTime)
	if len(n.b.sas) > 0 || n.b.failure().Why.Err != "test" {
		t.Error(n.story())
	}
}
