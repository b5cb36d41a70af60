package v2

import (
	"slices"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// closingTime bounds how long the end of an IKE SA waits for the peer.
const closingTime = 30 * time.Second

// deleteExchange tells the peer that an SA is no more (RFC 7296, 1.4.1): a child,
// which may be named only and is then looked for at the start; an SPI of ours, for
// a child that only the peer has; otherwise the IKE SA.
type deleteExchange struct {
	child *child.SA
	named string
	proto crypto.Proto
	spi   uint32
	why   string
}

func (x *deleteExchange) name() string {
	if x.child != nil || x.named != "" || x.spi != 0 {
		return "CHILD_DELETE"
	}
	return "IKE_DELETE"
}

func (x *deleteExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if x.named != "" {
		x.child = sa.childByName(x.named)
	}
	switch {
	case (x.child != nil || x.named != "") && sa.indexOf(x.child) < 0:
		sa.end()
	case x.child != nil:
		x.child.State = ike.ChildDeleting
		sa.say(fx, ike.Step, "deleting %s: %s", x.child.Name, x.why)
		sa.request(now, wire.Informational, fx, deleteOf(x.child.Suite.Proto, x.child.SPIIn))
	case x.spi != 0:
		sa.request(now, wire.Informational, fx, deleteOf(x.proto, x.spi))
	default:
		sa.say(fx, ike.Step, "deleting phase 1: %s", x.why)
		sa.request(now, wire.Informational, fx, &wire.Delete{Protocol: wire.ProtocolIKE})
	}
}

func deleteOf(proto crypto.Proto, spis ...uint32) *wire.Delete {
	d := &wire.Delete{Protocol: wire.Protocol(proto)}
	for _, spi := range spis {
		d.SPIs = append(d.SPIs, spi32(spi))
	}
	return d
}

func (x *deleteExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange: whatever the peer says, the SA is gone.
func (x *deleteExchange) reply(sa *SA, now ike.Instant, _ *message, fx *ike.Effects) {
	sa.end()
	switch {
	case x.child != nil:
		sa.dropChild(now, x.child, x.why, fx)
	case x.spi == 0:
		sa.close(now, x.why, sa.leaving, fx)
	}
}

func (x *deleteExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// retire deletes a child, after what waits before it.
func (sa *SA) retire(c *child.SA, why string) {
	c.ExpireAt = ike.Never
	if !sa.retiring(c) {
		sa.push(&deleteExchange{child: c, why: why})
	}
}

// retiring tells whether a child is being deleted by us, or about to be.
func (sa *SA) retiring(c *child.SA) bool {
	is := func(x exchange) bool {
		d, ok := x.(*deleteExchange)
		return ok && d.child == c
	}
	return is(sa.active) || slices.ContainsFunc(sa.queue, is)
}

func expiryText(c *child.SA) string {
	if c.State == ike.ChildRekeyedState {
		return "the peer replaced it and did not delete it"
	}
	return "its lifetime is over"
}

// dropChild takes a child down. What has waited for its end to send begins to.
func (sa *SA) dropChild(now ike.Instant, c *child.SA, why string, fx *ike.Effects) {
	if sa.indexOf(c) < 0 {
		return
	}
	sa.forgetChild(c)
	for _, heir := range sa.children {
		if heir.Replaces == c.ID {
			fx.Do(ike.Install{Ops: heir.SwitchOver()})
			if heir.Quiet {
				heir.Quiet, heir.Outlived = false, false
				sa.reportRekeyed(fx, c, heir)
			}
		}
	}
	if c.Replaces != 0 {
		sa.revive(now, c.Replaces)
	}
	if c.Outlived {
		ops, later := c.Replaced()
		fx.Do(ike.Install{Ops: ops})
		sa.leftovers = append(sa.leftovers, leftover{now.Add(lateTime), later, c.ReqID})
	} else {
		fx.Do(ike.Install{Ops: c.Remove()})
	}
	if c.State != ike.ChildCreated && !c.Quiet {
		sa.reportChild(fx, ike.ChildDown, c, "down: "+why)
	}
}

func (sa *SA) childByName(name string) *child.SA {
	for _, c := range sa.children {
		if c.Name == name && (c.State == ike.ChildInstalled || c.State == ike.ChildRekeying) {
			return c
		}
	}
	return nil
}

func (sa *SA) indexOf(c *child.SA) int { return slices.Index(sa.children, c) }

// forgetChild drops a child, and what waits to be done about it.
func (sa *SA) forgetChild(c *child.SA) {
	if i := sa.indexOf(c); i >= 0 {
		sa.children = slices.Delete(sa.children, i, i+1)
	}
	sa.queue = slices.DeleteFunc(sa.queue, func(x exchange) bool {
		r, ok := x.(*childExchange)
		return ok && r.old == c
	})
}

// finish ends an established IKE SA, telling the peer and waiting for it for a
// bounded time.
func (sa *SA) finish(now ike.Instant, why string, fx *ike.Effects) {
	if sa.state == ike.Deleting || sa.doomed != nil {
		return
	}
	sa.expireAt = now.Add(closingTime)
	waiting := sa.queue
	sa.queue = nil
	for _, x := range waiting {
		x.fail(sa, now, &ike.Refusal{Cause: ike.Terminated, Err: why}, fx)
	}
	if sa.beingReplaced() {
		sa.doomed = &deleteExchange{why: why}
		return
	}
	sa.state = ike.Deleting
	sa.push(&deleteExchange{why: why})
}

// abandon ends an established IKE SA at once; the peer is told, but not waited for.
func (sa *SA) abandon(now ike.Instant, why string, fx *ike.Effects) {
	h := sa.header(wire.Informational, sa.win.nextSend, false)
	if packets, err := sa.protect(h, &wire.Delete{Protocol: wire.ProtocolIKE}); err == nil {
		sa.send(packets, fx)
	}
	sa.close(now, why, sa.leaving, fx)
}
