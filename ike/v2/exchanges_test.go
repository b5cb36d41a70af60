package v2

import (
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
)

// otherGroups lets each side prefer another group for the child, so that each asks for
// the other's (INVALID_KE_PAYLOAD).
func otherGroups(t *testing.T) func(a, b *conf.Connection) {
	return func(a, b *conf.Connection) {
		for i := range a.Children {
			a.Children[i].Proposals = proposals(t, crypto.ESP, "aes256gcm16-curve25519-ecp256")
			b.Children[i].Proposals = proposals(t, crypto.ESP, "aes256gcm16-ecp256-curve25519")
		}
	}
}

// otherIKEGroups does the same for the IKE SA: neither side takes the group any more that
// the other has used, and offers first.
func otherIKEGroups(t *testing.T) func(a, b *SA) {
	return func(a, b *SA) {
		a.conn.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519-ecp256")
		b.conn.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-ecp256-curve25519")
		a.suite.KE.ID, b.suite.KE.ID = crypto.KEECP384, crypto.KEECP521
	}
}

// stubborn lets each side take no group of the other's.
func stubborn(t *testing.T) func(a, b *conf.Connection) {
	return func(a, b *conf.Connection) {
		a.Children[0].Proposals = proposals(t, crypto.ESP, "aes256gcm16-curve25519")
		b.Children[0].Proposals = proposals(t, crypto.ESP, "aes256gcm16-ecp256")
	}
}

// The peer sets up the same child while what our request needs is gathered: it is not
// sent.
func TestOvertakenByPeer(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"), func(a, b *conf.Connection) {
		b.Children[1].Proposals = a.Children[1].Proposals
	})
	n.a.hold = true
	n.a.step(a, ike.Initiate{Child: "second"})
	mine := n.a.held
	n.a.held = nil
	n.b.step(b, ike.Initiate{Child: "second"})
	n.run()
	n.a.release() // for the peer
	n.run()
	if len(a.children) != 2 {
		t.Fatal(n.story())
	}
	n.a.hold, n.a.held = false, mine
	n.a.release()
	n.run()
	n.settled(1, 2)
	if len(n.a.of(ike.ChildUp)) != 2 || len(n.a.of(ike.Failed)) != 0 {
		t.Error(n.story())
	}
}

// Both sides replace the IKE SA. The peer, whose replacement counts, deletes the old one
// while we still compute the keys of ours: ours is deleted at the peer all the same, and
// at once.
func TestDeletedWhileComputing(t *testing.T) {
	for _, c := range []struct{ name, nonces string }{{"ours is the redundant one", "a1 b2"}, {"theirs is", "a2 b1"}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, scripted{nonces: c.nonces})
			for _, step := range []string{"a rekeys the IKE SA", "b rekeys the IKE SA", "a>", "b>"} {
				s.act(step)
			}
			s.a.hold = true
			for _, step := range []string{"b>", "a>", "b>"} { // the answers, and what follows
				s.act(step)
			}
			s.a.hold = false
			s.a.release()
			for s.goesOn() {
			}
			if a, b := len(s.a.list()), len(s.b.list()); a != 1 || b != 1 {
				t.Errorf("%d and %d IKE SAs after %q", a, b, s.said)
			}
			s.finish()
			s.settled(1, 1)
		})
	}
}

// A child is gone here while the peer replaces it, and is wanted again before that is done:
// what the peer makes is it, and no second one is set up.
func TestGoneWhileReplaced(t *testing.T) {
	for _, asked := range []string{"before it is served", "meanwhile"} {
		t.Run(asked, func(t *testing.T) {
			s := newStage(t, scripted{})
			name := s.a.conn().Children[0].Name
			s.act("a rekeys the child")
			s.b.hold = true
			s.act("a>")
			waiting := s.b.held // what b needs to serve it
			s.b.hold, s.b.held = false, nil
			s.act("b deletes the child")
			s.act("b>")
			s.act("a>")
			if asked == "meanwhile" {
				s.b.hold = true
			}
			s.b.step(s.sas["b"], ike.Initiate{Child: name})
			own := s.b.held
			s.b.hold, s.b.held = false, nil
			for _, f := range append(waiting, own...) {
				f()
			}
			s.finish()
			s.settled(1, 1)
			if n := len(s.b.of(ike.ChildUp)); n != 2 {
				t.Errorf("up %d times: %q", n, s.said)
			}
		})
	}
}

// goesOn delivers what is on its way, and lets every IKE SA do what it is time for; it
// tells whether there was anything.
func (s *stage) goesOn() (acted bool) {
	for len(s.flight) > 0 {
		s.act(s.flight[0].from.name + ">")
		acted = true
	}
	for _, h := range []*host{s.a, s.b} {
		for _, sa := range h.list() {
			if sa.Deadline() <= s.now {
				h.step(sa, ike.Timeout{})
				acted = true
			}
		}
	}
	return acted
}
