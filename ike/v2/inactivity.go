package v2

import (
	"fmt"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// usage asks the data plane when a child has carried traffic last.
type usage struct{ child *child.SA }

// askUse finds out whether a child is still in use.
func (sa *SA) askUse(c *child.SA, fx *ike.Effects) {
	c.IdleAt = ike.Never
	q := &usage{c}
	fx.Do(ike.Ask{Ticket: sa.newTicket(q), Query: ike.Activity{SAs: []esp.SAID{c.InboundID(), c.OutboundID()}}})
}

// askBefore finds out when a child was used before it is replaced: its successor begins
// to count anew.
func (sa *SA) askBefore(c *child.SA, fx *ike.Effects) {
	if c.IdleAt != ike.Never {
		sa.askUse(c, fx)
	}
}

// inheritUse lets a child go on where the one that it replaces was; old may be nil.
func inheritUse(now ike.Instant, c, old *child.SA) {
	if old == nil || c.IdleAt == ike.Never {
		return
	}
	c.UsedAt = old.UsedAt
	c.IdleAt = max(c.UsedAt.Add(c.Conf.Inactivity), now.Add(retryLeast))
}

// resume implements resumer: a child that has carried nothing for as long as its
// configuration says is closed, and the IKE SA with its last one.
func (q *usage) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	c := q.child
	if sa.indexOf(c) < 0 {
		return
	}
	switch idle, ok := d.Result.(ike.Idle); {
	case d.Err != nil || !ok:
		c.UsedAt = now // it is not known, and asked again later
	case idle >= 0:
		c.UsedAt = max(c.UsedAt, now-ike.Instant(idle))
	}
	if at := c.UsedAt.Add(c.Conf.Inactivity); now < at || c.State != ike.ChildInstalled || sa.retiring(c) {
		c.IdleAt = max(at, now.Add(retryLeast))
		return
	}
	why := fmt.Sprintf("no traffic for %s (inactivity)", c.Conf.Inactivity)
	c.Unused = true
	if len(sa.children) > 1 || len(sa.queue) > 0 || sa.active != nil {
		sa.retire(c, why)
		return
	}
	sa.leaving = &ike.Refusal{Cause: ike.Unused, Err: why}
	sa.finish(now, why, fx)
}
