package engine

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

// phase1 is an IKE SA that the steward knows: one that it began, or an
// established one.
type phase1 struct {
	timer       // when it is ended, replaced by another one of the same peer
	id          uint64
	link        *link
	up          bool
	initiator   bool
	contact     bool          // its initiator has said INITIAL_CONTACT
	ending      bool          // by our own command
	how         ike.Terminate // that command
	leaving     bool          // it goes when another has taken its place
	spiI        uint64
	peer        netip.AddrPort
	towards     netip.Addr // where it was begun
	begun       ike.Instant
	established ike.Instant
	key         identities
	children    []phase2
	session     *ike.Session // that resumes it, nil: none
	fallen      []string     // children that went down at fellAt
	fellAt      ike.Instant
}

type phase2 struct {
	id     uint64
	name   string
	since  ike.Instant
	ending bool          // by our own command
	how    ike.Terminate // that command
}

// identities is what is unique when unique_ids says so.
type identities struct {
	conn          string
	local, remote id.ID
}

// counts tells whether the link has the IKE SA: it is up and is to stay.
func (sa *phase1) counts() bool { return sa.up && !sa.ending && !sa.leaving }

// fell notes a child that went down.
func (sa *phase1) fell(now ike.Instant, name string) {
	if now.Sub(sa.fellAt) > soon {
		sa.fallen = nil
	}
	sa.fallen, sa.fellAt = append(sa.fallen, name), now
}

// fallenAt is what an IKE SA that goes down has had until then. Its children have gone
// down just before.
func (sa *phase1) fallenAt(now ike.Instant) []string {
	if len(sa.fallen) > 0 && now.Sub(sa.fellAt) <= soon {
		return sa.fallen
	}
	return []string{""}
}

// drop forgets an IKE SA.
func (s *Steward) drop(sa *phase1) {
	l := sa.link
	delete(s.sas, sa.id)
	s.partings.set(sa, ike.Never)
	s.noteGone(sa.id, sa.children...)
	sa.uncount()
	if sa.leaving {
		l.leaving--
	}
	if sa.up {
		s.release(sa)
	}
	sa.session.Zero()
	sa.session, sa.children = nil, nil
	if l.attempt == sa.id {
		l.attempt, l.stage = 0, idle
	}
	for name, ikeID := range l.asked {
		if ikeID == sa.id {
			delete(l.asked, name)
		}
	}
}

// uncount takes an IKE SA and its children off what the link has.
func (sa *phase1) uncount() {
	if sa.counts() {
		sa.link.ikes--
	}
	for _, c := range sa.children {
		sa.lose(c)
	}
}

// gain adds a child to an IKE SA.
func (sa *phase1) gain(c phase2) {
	sa.children = append(sa.children, c)
	if !sa.ending && !sa.leaving && !c.ending {
		sa.link.up[c.name]++
	}
}

// lose takes a child off what the link has.
func (sa *phase1) lose(c phase2) {
	if sa.ending || sa.leaving || c.ending {
		return
	}
	l := sa.link
	if l.up[c.name]--; l.up[c.name] <= 0 {
		delete(l.up, c.name)
	}
}

// end takes an IKE SA down.
func (s *Steward) end(sa *phase1, how ike.Terminate) {
	if sa.ending && !how.Force {
		return
	}
	sa.uncount()
	if sa.leaving {
		sa.leaving = false
		sa.link.leaving--
	}
	sa.ending, sa.how = true, how
	s.partings.set(sa, ike.Never)
	s.out.Order(Order{IKE: sa.id, Event: how})
}

// endChild takes a child down.
func (s *Steward) endChild(sa *phase1, c *phase2, how ike.Terminate) {
	sa.lose(*c)
	c.ending, c.how = true, how
	s.out.Order(Order{IKE: sa.id, Event: how})
}

// release forgets the identities of an IKE SA.
func (s *Steward) release(sa *phase1) {
	rest := slices.DeleteFunc(s.unique[sa.key], func(x *phase1) bool { return x == sa })
	if len(rest) == 0 {
		delete(s.unique, sa.key)
		return
	}
	s.unique[sa.key] = rest
}
