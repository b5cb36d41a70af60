package v2

import (
	"slices"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// A peer that authenticates anew before it ends what was there sets its children up by a
// new IKE SA beside those of the old one. Until it has our answer, which may be lost and
// repeated, it takes packets by the old ones only: a new child yields to them until there
// is a sign that the peer knows it, or the time for repetitions of the request is over.
// The old ones may also be those of a peer that has forgotten them, so that this must not
// take long.
const (
	tentativeTime = 5 * time.Second  // since the answer was sent last
	tentativeMost = 30 * time.Second // in all
	firstLook     = 50 * time.Millisecond
)

// tentative is a child that yields.
type tentative struct {
	child *child.SA
	begun ike.Instant
	until ike.Instant
	look  ike.Instant // when the data plane is asked whether it has carried anything
	pause time.Duration
}

// yields tells whether a child that the peer sets up is to yield.
func (t *childTask) yields(sa *SA) bool {
	return t.spi.Beside && t.old == nil && (sa.boot == nil || !sa.boot.contact)
}

// await begins to look for a sign that the peer knows a child that yields.
func (sa *SA) await(now ike.Instant, c *child.SA) {
	if c.Yields && !sa.yields {
		sa.tentative = append(sa.tentative, &tentative{
			child: c, begun: now, until: now.Add(tentativeTime), look: now.Add(firstLook), pause: firstLook,
		})
	}
}

// answeredAgain is told that the peer has asked again: it did not get the answer.
func (sa *SA) answeredAgain(now ike.Instant) {
	for _, t := range sa.tentative {
		wait := max(tentativeTime, 2*now.Sub(t.begun))
		t.until = min(now.Add(wait), t.begun.Add(tentativeMost))
	}
}

// tentativeAt is when there is something to be done about children that yield.
func (sa *SA) tentativeAt() ike.Instant {
	at := ike.Never
	for _, t := range sa.tentative {
		at = min(at, t.look, t.until)
	}
	return at
}

// lookAtTentative asks for signs, and waits for none any more whose time is over.
func (sa *SA) lookAtTentative(now ike.Instant, fx *ike.Effects) {
	for _, t := range slices.Clone(sa.tentative) {
		switch {
		case now >= t.until || sa.indexOf(t.child) < 0:
			sa.known(t, fx)
		case now >= t.look:
			t.look = ike.Never
			fx.Do(ike.Ask{Ticket: sa.newTicket(t), Query: ike.Activity{SAs: []esp.SAID{t.child.InboundID()}}})
		}
	}
}

// resume implements resumer.
func (t *tentative) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !slices.Contains(sa.tentative, t) {
		return
	}
	if idle, ok := d.Result.(ike.Idle); ok && d.Err == nil && idle >= 0 {
		sa.known(t, fx)
		return
	}
	t.look = now.Add(t.pause)
	t.pause *= 2
}

// known lets a child send whose peer knows it.
func (sa *SA) known(t *tentative, fx *ike.Effects) {
	if sa.tentative = slices.DeleteFunc(sa.tentative, func(x *tentative) bool { return x == t }); len(sa.tentative) == 0 {
		sa.tentative = nil
	}
	if sa.indexOf(t.child) < 0 {
		return
	}
	if ops := t.child.Prevail(); ops != nil {
		fx.Do(ike.Install{Ops: ops})
	}
}

// yieldAll lets children, those that are still to come included, send only where no
// other does.
func (sa *SA) yieldAll(fx *ike.Effects) {
	sa.tentative, sa.yields = nil, true
	for _, c := range sa.children {
		if ops := c.Yield(); ops != nil {
			fx.Do(ike.Install{Ops: ops})
		}
	}
}

// knownAll is told of another request of the peer: it has got the answers to those
// before (RFC 7296, 2.3).
func (sa *SA) knownAll(fx *ike.Effects) {
	for len(sa.tentative) > 0 {
		sa.known(sa.tentative[0], fx)
	}
}
