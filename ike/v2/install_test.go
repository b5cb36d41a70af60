package v2

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// The data plane fails with the first child: the IKE SA stays, at either end, and
// the peer does not keep a child that is not here.
func TestFirstChildFails(t *testing.T) {
	broken := errors.New("the plane is broken")
	for name, breaks := range map[string]func(n *network) *host{
		"no SPI at a": func(n *network) *host { n.a.plane.askErr = broken; return n.a },
		"no SAs at a": func(n *network) *host { n.a.plane.err = broken; return n.a },
		"no SPI at b": func(n *network) *host { n.b.plane.askErr = broken; return n.b },
		"no SAs at b": func(n *network) *host { n.b.plane.err = broken; return n.b },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			h := breaks(n)
			n.a.dial()
			n.run()
			n.established(0)
			if f := h.failure(); f.Child != "lan" || f.Why.Cause != ike.Internal || !strings.Contains(f.Text, "broken") {
				t.Error(f.Text)
			}
			if f := n.a.failure(); f.Child != "lan" {
				t.Error(f.Text)
			}
			n.a.empty()
			n.b.empty()
		})
	}
}

// installing is a pair of which a has given its child to the data plane, which has
// not answered yet.
func installing(t *testing.T) (n *network, a, b *SA) {
	n = newNetwork(t)
	answer := cut(n, n.b, wire.IKEAuth, true)
	a = n.a.dial()
	n.run()
	n.intercept = nil
	n.a.hold = true
	n.a.step(a, ike.Datagram{Path: a.path, Data: *answer})
	if b = n.b.list()[0]; len(n.a.held) != 1 || a.children[0].State != ike.ChildCreated {
		t.Fatal(n.story())
	}
	n.a.hold = false
	return n, a, b
}

// The peer deletes a child, or the IKE SA ends, while the data plane takes it.
func TestChildGoesWhileInstalling(t *testing.T) {
	n, a, b := installing(t)
	n.b.step(b, ike.Terminate{Child: "lan"})
	n.run()
	if len(a.children) != 0 {
		t.Error("the child is still there")
	}
	n.a.release()
	n.run()
	n.established(0)
	if f := n.a.failure(); f.Child != "lan" || !strings.Contains(f.Text, "deleted") || n.a.kinds() != "IKEUp Failed" {
		t.Error(n.story())
	}
	n.a.empty()
	n.b.empty()

	for _, ev := range []ike.Event{ike.Terminate{Force: true, Why: "test"}, ike.Terminate{Silent: true, Why: "test"}} {
		n, a, _ := installing(t)
		n.a.step(a, ev)
		n.a.release()
		if f := n.a.failure(); f.Child != "lan" || n.a.kinds() != "IKEUp Failed IKEDown" {
			t.Error(n.story())
		}
		n.a.empty()
	}

	n, _, b = installing(t)
	n.b.step(b, ike.Terminate{Why: "test"})
	n.run()
	n.a.release()
	if len(n.a.sas) != 0 || n.a.kinds() != "IKEUp Failed IKEDown" {
		t.Error(n.story())
	}
	n.a.empty()
}

// The peer's NAT mapping changes while its child is being installed.
func TestPathChangesWhileInstalling(t *testing.T) {
	n, a, b := up(t)
	n.b.hold = true
	n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
	for range 2 {
		f := n.b.held[0]
		n.b.held = n.b.held[1:]
		f()
	}
	b.path = pathOf("198.51.100.2:4500", "203.0.113.5:99")
	n.b.release()
	if c := b.children[1]; c.Path != b.path || n.b.plane.sas[c.InboundID()].Src != b.path.Remote.Addr() {
		t.Errorf("%+v", b.children[1].Path)
	}
}

// The child that is to be replaced goes while the new one is being installed.
func TestOldChildGoesWhileReplaced(t *testing.T) {
	n, a, b := up(t)
	n.b.hold = true
	n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil)
	n.b.step(b, ike.Terminate{Child: "lan", Force: true})
	n.b.hold = false
	n.b.release()
	if len(b.children) != 1 || n.b.kinds() != "IKEUp ChildUp ChildDown ChildUp" || b.children[0].Waiting != nil {
		t.Error(n.story())
	}
	if _, ok := n.b.plane.sas[b.children[0].OutboundID()]; !ok {
		t.Error("the new child does not send")
	}
}

// Nothing that passes between machine and engine prints a secret.
func TestNoSecretIsPrinted(t *testing.T) {
	secret := bytes.Repeat([]byte{0xab}, 32)
	m, _ := ke.Get(crypto.KECurve25519)
	offer, err := m.Offer(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	n, a, _ := up(t)
	_ = n
	for _, x := range []any{
		answered{secret: secret}, agreed{secret: secret}, offered{offer: offer}, agreeJob{offer, nil},
		ike.Done{Result: answered{secret: secret}}, ike.Done{Result: agreed{secret: secret}}, ike.Done{Result: offered{offer: offer}},
		ike.Compute{Job: agreeJob{offer, nil}}, ike.Spawn{Machine: a}, a, a.Status(), a.children,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
			got := fmt.Sprintf(verb, x)
			for _, k := range [][]byte{secret, a.keys.d, a.keys.ei, a.keys.er, a.keys.pi, a.keys.pr} {
				if strings.Contains(got, fmt.Sprintf("%x", k[:8])) || strings.Contains(got, fmt.Sprintf("%d", k[:8])[1:20]) || bytes.Contains([]byte(got), k[:8]) {
					t.Errorf("%T with %s prints a secret: %s", x, verb, got)
				}
			}
		}
	}
}
