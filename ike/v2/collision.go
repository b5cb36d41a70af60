package v2

import (
	"bytes"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// Both sides may replace the same SA at the same time (RFC 7296, 2.8.1, 2.8.2), or set
// up the same child, which is treated alike: each
// serves the other's exchange while its own is under way. Which of the two replacements
// stays can be told when both are there, at the end of the own exchange: until then it
// is under way, and the peer's replacement is its rival.

// nonces are those of one exchange, the initiator's and the responder's.
type nonces struct{ ni, nr []byte }

// loses tells whether the replacement by one exchange yields to that by another: it
// does if it has the lowest of the four nonces. Its initiator is to delete it, while
// that of the other deletes what both have replaced.
func (n nonces) loses(to nonces) bool {
	return bytes.Compare(n.lowest(), to.lowest()) < 0
}

func (n nonces) lowest() []byte {
	if bytes.Compare(n.ni, n.nr) < 0 {
		return n.ni
	}
	return n.nr
}

// rival is what the peer has made of the child that we are replacing or setting up.
type rival struct {
	nonces
	child *child.SA
}

// outdone tells whether the peer's replacement is the one that stays. That it sends
// already means that the peer has decided so.
func (x *childExchange) outdone(sa *SA) bool {
	r := x.rival
	if r == nil || sa.indexOf(r.child) < 0 {
		return false
	}
	return x.old != nil && !r.child.Quiet || nonces{x.nonce, x.nr}.loses(r.nonces)
}

// conclude ends the exchange when the new child is there, and the peer's, too, if there
// is one.
func (x *childExchange) conclude(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.end()
	own := x.answer.child
	stays := own
	if x.outdone(sa) {
		stays = x.rival.child
		sa.leaveBehind(own, fx)
		sa.pushFirst(&deleteExchange{child: own, why: "the peer has set up the same at the same time"})
	} else if x.rival != nil && sa.indexOf(x.rival.child) >= 0 {
		sa.leaveBehind(x.rival.child, fx)
		outlived(x.rival.child, now)
	}
	sa.succeed(now, x.old, stays, fx)
	if stays == own && x.old != nil && sa.indexOf(x.old) >= 0 && !sa.retiring(x.old) {
		sa.pushFirst(&deleteExchange{child: x.old, why: "replaced"})
	}
	if x.doomed != "" {
		sa.retire(stays, x.doomed)
	}
}

// leaveBehind lets a child that has lost only receive, until its initiator deletes it.
func (sa *SA) leaveBehind(c *child.SA, fx *ike.Effects) {
	if ops := c.StayBehind(); ops != nil {
		fx.Do(ike.Install{Ops: ops})
	}
	c.Outlived, c.RekeyAt = true, ike.Never
}

// succeed reports a child that is to stay, unless that was done. What it replaces may be
// gone, or none.
func (sa *SA) succeed(now ike.Instant, old, heir *child.SA, fx *ike.Effects) {
	if !heir.Quiet {
		return
	}
	heir.Quiet, heir.Outlived = false, false
	if e := sa.lastError; e != nil && busyPeer(e) {
		sa.lastError = nil // it has passed
	}
	if sa.indexOf(old) < 0 {
		sa.reportChild(fx, ike.ChildUp, heir, upText(heir))
		return
	}
	outlived(old, now)
	sa.reportRekeyed(fx, old, heir)
}

// outlived marks a child that another replaces.
func outlived(c *child.SA, now ike.Instant) {
	c.State, c.Outlived, c.RekeyAt = ike.ChildRekeyedState, true, ike.Never
	c.ExpireAt = min(c.ExpireAt, now.Add(replacedTime))
}

// revive makes a child that was replaced serve again: the peer has deleted its
// replacement instead.
func (sa *SA) revive(now ike.Instant, id uint64) {
	for _, c := range sa.children {
		if c.ID != id || c.State != ike.ChildRekeyedState {
			continue
		}
		c.State, c.Outlived = ike.ChildInstalled, false
		c.ExpireAt = expiry(c.Installed, c.Conf.Lifetime)
		if x := sa.replacing(c); x != nil {
			c.State = ike.ChildRekeying
		} else if sa.conn.Rekey {
			c.RekeyAt = sa.retryAt(now, c.ExpireAt, nil)
		}
	}
}

// replacing is the exchange under way by which we replace a child, nil for none.
func (sa *SA) replacing(c *child.SA) *childExchange {
	if x, ok := sa.active.(*childExchange); ok && x.old == c && c != nil {
		return x
	}
	return nil
}

// rivalOf is the exchange under way by which we make the same as a child of the peer's.
func (sa *SA) rivalOf(t *childTask) *childExchange {
	x, ok := sa.active.(*childExchange)
	if !ok || !x.sent || x.old != t.old || x.childName != t.child.Name {
		return nil
	}
	return x
}

// replacedByPeer tells whether the peer's replacement of a child is being served.
func (sa *SA) replacedByPeer(c *child.SA) bool {
	if sa.serving == nil {
		return false
	}
	t, ok := sa.serving.task.(*childTask)
	return ok && t.old == c
}

// settle goes on with what has waited for the peer's request to be served.
func (sa *SA) settle(now ike.Instant, fx *ike.Effects) {
	if sa.closed || sa.serving != nil {
		return
	}
	switch x := sa.active.(type) {
	case *childExchange:
		if x.waits {
			x.conclude(sa, now, fx)
		}
	case *rekeyExchange:
		if x.heir != nil {
			x.conclude(sa, now, fx)
		}
	}
	if d := sa.doomed; d != nil && !sa.beingReplaced() && sa.state != ike.Rekeyed {
		sa.doomed = nil
		sa.finish(now, d.why, fx)
	}
}
