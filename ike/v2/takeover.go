package v2

import (
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

const whyLost = "its keys were lost when goiked was restarted"

// lostExchange is a CREATE_CHILD_SA whose request another process has sent: the secrets
// that the child would be made of are lost. It goes on until the peer has answered, since
// only then the next message ID may be used (RFC 7296, 2.3); the child is then deleted
// at the peer, and asked for again.
type lostExchange struct {
	childName string
	old       *child.SA // that it was to replace, nil: none
	proto     crypto.Proto
	spi       uint32 // ours
}

func (x *lostExchange) name() string {
	if x.old != nil {
		return "CHILD_REKEY"
	}
	return "CHILD_CREATE"
}

func (*lostExchange) start(*SA, ike.Instant, *ike.Effects) {}

func (*lostExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange.
func (x *lostExchange) reply(sa *SA, _ ike.Instant, m *message, _ *ike.Effects) {
	sa.end()
	if x.old == nil || sa.indexOf(x.old) >= 0 && x.old.State == ike.ChildRekeying {
		if x.old != nil {
			x.old.State = ike.ChildInstalled
		}
		sa.pushFirst(&childExchange{childName: x.childName, old: x.old})
	}
	if errorNotify(m.payloads) == nil && wire.FindNotify(m.payloads, wire.NotifyInvalidKEPayload) == nil {
		sa.pushFirst(&deleteExchange{proto: x.proto, spi: x.spi, why: whyLost})
	}
}

// fail implements exchange.
func (x *lostExchange) fail(sa *SA, _ ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if x.old == nil {
		sa.failed(fx, x.childName, why)
	}
}

// adoption is a child whose SAs the data plane is asked to take over.
type adoption struct{ child *child.SA }

// resume implements resumer. A child that the data plane has lost is set up anew.
func (a *adoption) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	c := a.child
	if d.Err == nil || sa.indexOf(c) < 0 {
		return
	}
	wanted := c.State == ike.ChildInstalled || c.State == ike.ChildRekeying
	sa.say(fx, ike.Warning, "%s could not be taken over, it is set up anew: %v", c.Name, d.Err)
	sa.pushFirst(&childExchange{childName: c.Name})
	if !wanted || sa.state != ike.Up || sa.otherOf(c) {
		sa.queue = sa.queue[1:]
	}
	if !sa.retiring(c) {
		sa.pushFirst(&deleteExchange{proto: c.Suite.Proto, spi: c.SPIIn, why: "it could not be taken over"})
	}
	sa.keep(c, "")
	c.Outlived = false
	sa.dropChild(now, c, "it could not be taken over", fx)
}

// otherOf tells whether another child of the same name is there.
func (sa *SA) otherOf(c *child.SA) bool {
	for _, o := range sa.children {
		if o != c && o.Name == c.Name && (o.State == ike.ChildInstalled || o.State == ike.ChildRekeying) {
			return true
		}
	}
	return false
}

// reportTakenOver tells of the IKE SA and the children that are there, as if they had
// come up now.
func (sa *SA) reportTakenOver(fx *ike.Effects) {
	if sa.state != ike.Up || sa.redundant {
		return
	}
	s := sa.Status()
	sa.report(fx, ike.Report{Kind: ike.IKEUp, SA: &s, Text: "phase 1 with " + sa.path.Remote.String() + " taken over"})
	for _, c := range sa.children {
		if !c.Outlived && !c.Behind && c.State != ike.ChildDeleting && c.State != ike.ChildRekeyedState {
			sa.reportChild(fx, ike.ChildUp, c, "taken over")
		}
	}
}

// takeOver goes on with what another process has begun.
func (sa *SA) takeOver(now ike.Instant, ev ike.TakeOver, fx *ike.Effects) {
	if ev.End != "" {
		sa.children, sa.leftovers = nil, nil // they go with those that take their place
		sa.queue = nil
		if sa.state == ike.Up {
			sa.finish(now, ev.End, fx)
		}
		return
	}
	sa.reportTakenOver(fx)
	for _, c := range sa.children {
		fx.Do(ike.Install{Ticket: sa.newTicket(&adoption{c}), Ops: c.Adopt()})
	}
	if len(sa.Own) > 0 && !slices.Contains(sa.Own, sa.path.Local.Addr()) {
		sa.mobile.lost, sa.mobile.roamed = true, sa.mobile.on || sa.mayReauthenticate()
	}
	if sa.mobile.was != (ike.Path{}) && sa.state == ike.Up {
		sa.tellPath()
	}
	for _, l := range sa.leftovers {
		fx.Do(ike.Install{Ops: child.AdoptLate(l.ops, l.reqID)})
	}
	if sa.state == ike.Up && sa.conn.Reauthenticate && sa.rekeyAt == ike.Never && sa.mayReauthenticate() && sa.conn.Lifetime != conf.Forever {
		sa.rekeyAt = now // whether the new one has been begun is not known
	}
}
