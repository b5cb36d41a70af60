package child

import (
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
)

// RekeyAfter is how long after its beginning an SA is to be replaced: margin and up to
// jitter before lifetime is over. spread, evenly distributed, says where in
// between. A margin that leaves less than a quarter of the lifetime is cut down, so
// that an SA is not replaced as soon as it is there. ok is false for an SA that lives
// for ever.
func RekeyAfter(lifetime, margin, jitter time.Duration, spread uint64) (after time.Duration, ok bool) {
	if lifetime == conf.Forever {
		return 0, false
	}
	floor := lifetime / 4
	latest := lifetime - margin
	if latest < floor {
		latest = 2 * floor
	}
	earliest := floor
	if jitter < latest-floor {
		earliest = latest - jitter
	}
	return latest - Share(latest-earliest, spread), true
}

// Limits are those of the SAs of a child: in time, octets and packets. When it is to be
// replaced by this side there is a soft limit before each of the latter, at random
// earlier by up to the jitter.
func Limits(conn *conf.Connection, c *conf.Child, spread uint64) esp.Limits {
	l := esp.Limits{HardTime: c.Lifetime, HardBytes: c.LifetimeBytes, HardPackets: c.LifetimePackets}
	if conn.Rekey {
		r := conn.RenewalOf(c)
		l.SoftBytes = soft(c.LifetimeBytes, r.BytesMargin, r.BytesJitter, spread)
		l.SoftPackets = soft(c.LifetimePackets, r.PacketsMargin, r.PacketsJitter, spread)
	}
	return l
}

func soft(hard, margin, jitter, spread uint64) uint64 {
	latest := hard - min(margin, hard)
	return latest - uint64(min(float64(jitter)*fraction(spread), 0.75*float64(latest)))
}

// ReplaceAfter is how long after its beginning an SA of a child is to be replaced. What
// it says itself of that is kept to, but for a jitter that leaves less than a quarter.
func ReplaceAfter(conn *conf.Connection, c *conf.Child, spread uint64) (after time.Duration, ok bool) {
	r := c.Renewal
	if r == nil || c.Lifetime == conf.Forever {
		return RekeyAfter(c.Lifetime, conn.Margin, conn.Jitter(), spread)
	}
	latest := max(c.Lifetime-r.Margin, 0)
	return latest - Share(min(r.Jitter, latest/4*3), spread), true
}

// Share is a part of d, from nothing to all of it, as spread says.
func Share(d time.Duration, spread uint64) time.Duration {
	return time.Duration(float64(d) * fraction(spread))
}

// fraction is a number from 0 up to 1.
func fraction(spread uint64) float64 {
	const bits = 53
	return float64(spread>>(64-bits)) / (1 << bits)
}
