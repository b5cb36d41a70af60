package v2

import (
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Every pair of values of childless (RFC 6023): how the IKE SA is begun, or why it is not.
func TestChildlessValues(t *testing.T) {
	const first, with = "first", "with the IKE SA"
	values := []conf.Childless{conf.ChildlessAllow, conf.ChildlessPrefer, conf.ChildlessForce, conf.ChildlessNever}
	want := [4][4]string{ // by the initiator's value, then by the responder's
		{with, with, "INVALID_SYNTAX", with},
		{first, first, first, with},
		{first, first, first, "RFC 6023"},
		{with, with, "INVALID_SYNTAX", with},
	}
	for i, mine := range values {
		for j, theirs := range values {
			t.Run(mine.String()+" "+theirs.String(), func(t *testing.T) {
				n := newNetwork(t, func(a, b *conf.Connection) { a.Childless, b.Childless = mine, theirs })
				n.a.dial()
				n.pass(2 * time.Second)
				switch want[i][j] {
				case first, with:
					n.established(1)
					created := header(t, n.sent[len(n.sent)-1].data).Exchange == wire.CreateChildSA
					if created != (want[i][j] == first) {
						t.Error(n.story())
					}
				default:
					if f := n.a.failure(); !strings.Contains(f.Text, want[i][j]) || len(n.a.sas) != 0 {
						t.Error(n.story())
					}
					n.a.empty()
					n.b.empty()
				}
			})
		}
	}
}

// Children that follow have a key exchange of their own where their proposals say so.
func TestChildlessKeyExchange(t *testing.T) {
	n := newNetwork(t, func(a, b *conf.Connection) {
		a.Childless = conf.ChildlessPrefer
		for _, c := range []*conf.Connection{a, b} {
			c.Children[0].Proposals = proposals(t, c.Children[0].Protocol, "aes256gcm16-curve25519")
		}
	})
	n.a.dial()
	n.run()
	a, _ := n.established(1)
	if a.children[0].Suite.KE.ID != 31 {
		t.Errorf("%s", a.children[0].Suite)
	}
}

// An IKE SA without any child configured is not begun where childless is "never".
func TestNeverChildless(t *testing.T) {
	n := newNetwork(t, func(a, _ *conf.Connection) { a.Children, a.Childless = nil, conf.ChildlessNever })
	n.a.dial("")
	n.run()
	if f := n.a.failure(); !strings.Contains(f.Text, `childless is "never"`) {
		t.Error(f.Text)
	}
	// Nor taken.
	n = newNetwork(t, func(_, b *conf.Connection) { b.Childless = conf.ChildlessNever })
	n.intercept = func(p packet) []packet {
		if h := header(t, p.data); h.Exchange == wire.IKEAuth && p.from == n.a {
			a := n.a.list()[0]
			ps := n.open(n.b.list()[0], p.data)
			var kept []wire.Payload
			for _, x := range ps {
				switch x.Type() {
				case wire.PayloadSA, wire.PayloadTSi, wire.PayloadTSr:
				default:
					kept = append(kept, x)
				}
			}
			p.data = craftMessage(t, a, h, kept...)
		}
		return []packet{p}
	}
	n.a.dial()
	n.run()
	if f := n.b.failure(); !strings.Contains(f.Text, `an IKE SA without a child, but childless is "never"`) || f.Why.Cause != ike.BadMessage {
		t.Error(n.story())
	}
}
