package v2

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// adapt has an established IKE SA keep to what its connection says now: times are those
// of the new configuration, and children are rekeyed where that brings what changed.
// What needs more is the steward's.
func (sa *SA) adapt(now ike.Instant, old *conf.Connection) {
	if old == sa.conn || sa.state != ike.Up {
		return
	}
	if v := conf.Compare(old, sa.conn).Verdict; v != conf.InPlace && v != conf.RekeyChild {
		return
	}
	if timed(old) != timed(sa.conn) {
		sa.retime(now, old)
	}
	for _, c := range sa.children {
		sa.adaptChild(now, c, timing(old) != timing(sa.conn), old.Rekey)
	}
}

// times is what decides when an SA is replaced.
type times struct {
	margin int64
	fuzz   int
	rekey  bool
}

func timing(c *conf.Connection) times { return times{int64(c.Margin), c.RekeyFuzz, c.Rekey} }

type ikeTimes struct {
	times
	lifetime int64
	reauth   bool
}

func timed(c *conf.Connection) ikeTimes {
	return ikeTimes{timing(c), int64(c.Lifetime), c.Reauthenticate}
}

// retime computes the times of the IKE SA again. One that would be over already is
// replaced at once, and has the margin for that. A replacement under way goes on.
func (sa *SA) retime(now ike.Instant, old *conf.Connection) {
	underWay := sa.rekeyAt == ike.Never && old.Rekey && old.Lifetime != conf.Forever
	expireAt, rekeyAt := expiry(sa.established, sa.conn.Lifetime), sa.renewal(sa.established)
	if least := now.Add(sa.conn.Margin); expireAt < least && rekeyAt != ike.Never {
		expireAt = least
	}
	sa.expireAt = expireAt
	if !underWay {
		sa.rekeyAt = max(rekeyAt, now)
	}
}

// adaptChild gives a child what its phase 2 says now. retime: the connection's times for
// replacing children have changed; rekeyed: they were replaced before.
func (sa *SA) adaptChild(now ike.Instant, c *child.SA, retime, rekeyed bool) {
	is, ok := sa.conn.Child(c.Name)
	if !ok || c.Conf == nil || c.State != ike.ChildInstalled {
		return
	}
	verdict := conf.CompareChild(c.Conf, is)
	if verdict == conf.Reauthenticate {
		return
	}
	c.Conf = is
	switch {
	case verdict == conf.RekeyChild:
		sa.replace(c)
	case retime && (c.RekeyAt != ike.Never || !rekeyed):
		c.RekeyAt = max(sa.childRenewal(c.Installed, is), now)
	}
}
