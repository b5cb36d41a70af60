package v2

import (
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// What a peer has refused is tried again after refusedTime, what it was too busy for
// after busyTime, sooner when the end is near, and never sooner than retryLeast. To this
// comes as much again at random, so that two sides that have hindered each other do not
// do so again.
const (
	refusedTime = time.Minute
	busyTime    = 10 * time.Second
	retryLeast  = 500 * time.Millisecond
)

// lateTime is how long inbound SAs stay after their replacement, for packets that were
// on their way.
const lateTime = 5 * time.Second

// spread returns numbers that differ from call to call and from IKE SA to IKE SA, evenly
// distributed. They are no secret, and spread load only.
func (sa *SA) spread() uint64 {
	sa.draws++
	z := (sa.Seed ^ sa.SPI) + sa.draws*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// setLifetime begins the life of an IKE SA.
func (sa *SA) setLifetime(now ike.Instant) {
	sa.expireAt, sa.rekeyAt = expiry(now, sa.conn.Lifetime), sa.renewal(now)
	sa.heard = now
}

// renewal is when this side replaces an IKE SA that has begun then, or sets it up anew.
func (sa *SA) renewal(begun ike.Instant) ike.Instant {
	after, ok := child.RekeyAfter(sa.conn.Lifetime, sa.conn.Margin, sa.conn.Jitter(), sa.spread())
	if !ok || !sa.conn.Rekey || sa.conn.Reauthenticate && !sa.mayReauthenticate() {
		return ike.Never
	}
	return begun.Add(after)
}

// childRenewal is when this side replaces a child SA that has begun then.
func (sa *SA) childRenewal(begun ike.Instant, c *conf.Child) ike.Instant {
	after, ok := child.ReplaceAfter(sa.conn, c, sa.spread())
	if !ok || !sa.conn.Rekey {
		return ike.Never
	}
	return begun.Add(after)
}

// expiry is when an SA that begins now ends.
func expiry(now ike.Instant, d time.Duration) ike.Instant {
	if d == conf.Forever {
		return ike.Never
	}
	return now.Add(d)
}

// setTimes sets when a child SA that begins now ends, and when this side replaces it.
func (sa *SA) setTimes(now ike.Instant, n *child.SA) {
	n.ExpireAt, n.RekeyAt = expiry(now, n.Conf.Lifetime), sa.childRenewal(now, n.Conf)
	n.Limits = child.Limits(sa.conn, n.Conf, sa.spread())
}

// retryAt is when a replacement is tried again of what ends at expireAt; why is nil when
// nobody has refused it.
func (sa *SA) retryAt(now, expireAt ike.Instant, why *ike.Refusal) ike.Instant {
	d := busyTime
	if why != nil && !busyPeer(why) {
		d = refusedTime
	}
	d = max(min(d, expireAt.Sub(now)/4), retryLeast)
	return now.Add(d + child.Share(d, sa.spread()))
}

// busyPeer tells whether what has failed will pass (RFC 7296, 2.25).
func busyPeer(why *ike.Refusal) bool { return why.Notify == wire.NotifyTemporaryFailure.String() }

// mayReauthenticate tells whether this side can set the IKE SA up again. Otherwise that
// is for the peer to do.
func (sa *SA) mayReauthenticate() bool {
	return sa.initiator || sa.conn.Boldest() != conf.ResponderOnly && sa.conn.Gateways.Dialable()
}

// due begins the replacement of what it is time for.
func (sa *SA) due(now ike.Instant, fx *ike.Effects) {
	for _, c := range sa.children {
		if now >= c.ExpireAt {
			c.Expired = c.State != ike.ChildRekeyedState
			sa.retire(c, expiryText(c))
		} else if now >= c.RekeyAt {
			sa.replace(c)
		}
		if now >= c.IdleAt {
			sa.askUse(c, fx)
		}
	}
	if now < sa.rekeyAt || sa.state != ike.Up {
		return
	}
	sa.rekeyAt = ike.Never
	if sa.conn.Reauthenticate {
		sa.reauthenticate(now, fx)
		return
	}
	sa.push(&rekeyExchange{})
}

// reauthenticate has the IKE SA set up anew, before or after its end.
func (sa *SA) reauthenticate(now ike.Instant, fx *ike.Effects) {
	switch {
	case sa.Config.MakeBeforeBreak:
		s := sa.Status()
		sa.report(fx, ike.Report{Kind: ike.ReauthDue, SA: &s, Text: "phase 1 is to be set up again beside this one, to authenticate anew"})
	default:
		sa.expired(now, "to be set up again, so that both sides authenticate anew", fx)
	}
}

// expired ends an IKE SA that is to be set up again at once.
func (sa *SA) expired(now ike.Instant, how string, fx *ike.Effects) {
	sa.leaving = &ike.Refusal{Cause: ike.Expired, Err: how}
	sa.finish(now, how, fx)
}

// replace queues the replacement of a child, once.
func (sa *SA) replace(c *child.SA) {
	c.RekeyAt = ike.Never
	is := func(x exchange) bool {
		r, ok := x.(*childExchange)
		return ok && r.old == c
	}
	if c.State != ike.ChildInstalled || sa.retiring(c) || is(sa.active) || slices.ContainsFunc(sa.queue, is) {
		return
	}
	sa.push(&childExchange{childName: c.Name, old: c})
}

// leftover is what is removed from the data plane some time after its replacement.
type leftover struct {
	at    ike.Instant
	ops   []esp.Op
	reqID uint32 // of the child that they belonged to
}

// sweep removes leftovers whose time has come; with all set, every one.
func (sa *SA) sweep(now ike.Instant, all bool, fx *ike.Effects) {
	for len(sa.leftovers) > 0 && (all || now >= sa.leftovers[0].at) {
		fx.Do(ike.Install{Ops: sa.leftovers[0].ops})
		sa.leftovers = sa.leftovers[1:]
	}
	if len(sa.leftovers) == 0 {
		sa.leftovers = nil
	}
}
