package swan

import (
	"math"
	"time"

	"github.com/goike/goike/conf"
)

// The time after which strongSwan replaces a child SA by default.
const defaultChildRekey = time.Hour

// leastCount is the least that an SA may carry in its life.
const leastCount = 1000

// lives puts together when the SAs of a child are replaced, and when they end.
func (c *child) lives() {
	var r conf.Renewal
	life, margin, jitter := together(c, c.time, "rekey_time", "life_time", uint64(defaultChildRekey), func(d time.Duration) uint64 {
		return uint64(d) //nolint:gosec // bounded by maxTime, not negative
	})
	c.child.Lifetime = time.Duration(life)                            //nolint:gosec // bounded
	r.Margin, r.Jitter = time.Duration(margin), time.Duration(jitter) //nolint:gosec // bounded
	number := func(n uint64) uint64 { return n }
	c.child.LifetimeBytes, r.BytesMargin, r.BytesJitter = together(c, c.bytes, "rekey_bytes", "life_bytes", 0, number)
	c.child.LifetimePackets, r.PacketsMargin, r.PacketsJitter = together(c, c.packets, "rekey_packets", "life_packets", 0, number)
	for _, n := range []struct {
		name string
		is   uint64
	}{{"life_bytes", c.child.LifetimeBytes}, {"life_packets", c.child.LifetimePackets}} {
		if n.is > 0 && n.is < leastCount {
			c.scope.error(c.scope.place(n.name), n.name, "%s of %s is %d; allowed: at least %d", n.name, c.scope.what, n.is, leastCount)
		}
	}
	c.child.Renewal = &r
}

// together puts one kind of limits together, with strongSwan's defaults: a tenth more
// than the soft limit is the hard one, and the difference is what the soft one varies by.
// Without a soft limit the SA ends without being replaced.
func together[T any](c *child, l limits[T], rekey, life string, fallback uint64, number func(T) uint64) (hard, margin, jitter uint64) {
	of := func(m maybe[T], other uint64) uint64 {
		if m.set {
			return number(m.is)
		}
		return other
	}
	soft := of(l.rekey, fallback)
	hard = of(l.life, min(soft, math.MaxInt64/2)+soft/10)
	if soft == 0 {
		return hard, 0, 0
	}
	if hard == 0 {
		c.scope.warn(c.scope.place(life), "%s of %s is 0; goike gives each SA that is replaced a limit: a tenth more than %s", life, c.scope.what, rekey)
		hard = soft + soft/10
	}
	if hard <= soft {
		c.scope.error(c.scope.place(life), life, "%s of %s is not more than its %s: its SAs would end before they are replaced; allowed: more", life, c.scope.what, rekey)
		return 0, 0, 0
	}
	return hard, hard - soft, min(of(l.rand, hard-soft), soft)
}
