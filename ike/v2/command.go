package v2

import (
	"cmp"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// initiate begins the IKE SA, if that has not begun, and asks for a child. A child
// that is there or under way already is not asked for twice.
func (sa *SA) initiate(now ike.Instant, ev ike.Initiate, fx *ike.Effects) {
	switch sa.state {
	case ike.Created, ike.Connecting, ike.Up, ike.Rekeying:
	default:
		if ev.Child != "" {
			sa.failed(fx, ev.Child, &ike.Refusal{Cause: ike.Terminated, Err: "the IKE SA is about to end"})
		}
		return
	}
	sa.queue = slices.DeleteFunc(sa.queue, func(x exchange) bool {
		d, ok := x.(*deleteExchange)
		return ok && d.named == ev.Child && ev.Child != "" // it is wanted again
	})
	if ev.Child != "" && !sa.asked(ev.Child) {
		sa.push(&childExchange{childName: ev.Child, packet: ev.Packet})
	}
	if sa.initiator && sa.state == ike.Created {
		sa.state = ike.Connecting
		sa.pushFirst(sa.firstExchange(now))
	}
}

// asked tells whether an exchange for a child is under way or waits.
func (sa *SA) asked(name string) bool {
	return sa.settingUp(name) || slices.ContainsFunc(sa.queue, func(x exchange) bool { return isFor(x, name) })
}

// settingUp tells whether the exchange under way sets up a child of that name.
func (sa *SA) settingUp(name string) bool { return isFor(sa.active, name) }

func isFor(x exchange, child string) bool {
	switch x := x.(type) {
	case *childExchange:
		return x.childName == child && x.old == nil
	case *authExchange:
		return x.childName == child
	case *lostExchange:
		return x.childName == child && x.old == nil
	}
	return false
}

// terminate closes children, or the IKE SA.
func (sa *SA) terminate(now ike.Instant, ev ike.Terminate, fx *ike.Effects) {
	switch {
	case ev.ChildID != 0 || ev.Child != "":
		sa.terminateChildren(now, ev, fx)
	case sa.established == ike.Never && ev.Silent:
		sa.close(now, "", &ike.Refusal{Cause: ike.Terminated, Err: ev.Why}, fx)
	case sa.established == ike.Never && ev.Force:
		sa.bow(now, &ike.Refusal{Cause: ike.Terminated, Err: ev.Why}, fx)
	case sa.established == ike.Never:
		sa.giveUp(now, &ike.Refusal{Cause: ike.Terminated, Err: ev.Why}, fx)
	case ev.Silent:
		sa.close(now, ev.Why, nil, fx)
	case ev.Force:
		sa.abandon(now, ev.Why, fx)
	default:
		if ev.Yield {
			sa.yieldAll(fx)
		}
		sa.finish(now, ev.Why, fx)
	}
}

// terminateChildren deletes the children that an event names, and gives up those
// that wait to be set up.
func (sa *SA) terminateChildren(now ike.Instant, ev ike.Terminate, fx *ike.Effects) {
	for _, c := range slices.Clone(sa.children) {
		if c.ID != ev.ChildID && (ev.ChildID != 0 || c.Name != ev.Child) {
			continue
		}
		sa.keep(c, ev.Why)
		switch {
		case ev.Silent:
			sa.dropChild(now, c, ev.Why, fx)
		case ev.Force:
			sa.push(&deleteExchange{proto: c.Suite.Proto, spi: c.SPIIn, why: ev.Why})
			sa.dropChild(now, c, ev.Why, fx)
		default:
			sa.retire(c, ev.Why)
		}
	}
	if ev.Child == "" {
		return
	}
	if sa.settingUp(ev.Child) {
		sa.push(&deleteExchange{named: ev.Child, why: ev.Why})
	}
	var kept []exchange
	for _, x := range sa.queue {
		if c, ok := x.(*childExchange); ok && c.childName == ev.Child {
			sa.failed(fx, c.childName, &ike.Refusal{Cause: ike.Terminated, Err: ev.Why})
			continue
		}
		kept = append(kept, x)
	}
	sa.queue = kept
}

// keep keeps a child from being replaced by us; what is about to replace it goes, too.
func (sa *SA) keep(c *child.SA, why string) {
	c.RekeyAt = ike.Never
	sa.queue = slices.DeleteFunc(sa.queue, func(x exchange) bool {
		r, ok := x.(*childExchange)
		return ok && r.old == c
	})
	if x := sa.replacing(c); x != nil {
		x.doomed = cmp.Or(why, "terminated")
	}
}

// notice takes news of the data plane. A soft limit asks for a replacement.
func (sa *SA) notice(now ike.Instant, ev ike.Notice, fx *ike.Effects) {
	switch n := ev.Notice.(type) {
	case esp.Expire:
		c := sa.childByID(n.ID)
		switch {
		case c == nil:
		case n.Hard:
			c.Expired = true
			sa.retire(c, "it has reached its limit")
		case sa.conn.Rekey:
			sa.replace(c)
		}
	case esp.Mapping:
		c, to := sa.childByID(n.ID), ike.Path{Local: sa.path.Local, Remote: n.New}
		switch {
		case c == nil || !c.Encap:
		case sa.mobile.on && sa.nat.remote && !sa.nat.local:
			sa.moveChildren(to, fx) // of ESP alone, RFC 4555, 3.9
		default:
			sa.moved(now, to, fx)
		}
	}
}

// childByID finds the child that one of the data plane's SAs belongs to.
func (sa *SA) childByID(said esp.SAID) *child.SA {
	for _, c := range sa.children {
		if c.InboundID() == said || c.OutboundID() == said {
			return c
		}
	}
	return nil
}
