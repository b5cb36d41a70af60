package child

import (
	"time"

	"github.com/goike/goike/conf"
)

// RekeyAfter is how long after its beginning an SA is to be replaced: margin and up to
// fuzz percent of it before lifetime is over. spread, evenly distributed, says where in
// between. A margin that leaves less than a quarter of the lifetime is cut down, so
// that an SA is not replaced as soon as it is there. ok is false for an SA that lives
// for ever.
func RekeyAfter(lifetime, margin time.Duration, fuzz int, spread uint64) (after time.Duration, ok bool) {
	if lifetime == conf.Forever {
		return 0, false
	}
	floor := lifetime / 4
	latest := lifetime - margin
	if latest < floor {
		latest = 2 * floor
	}
	// In floating point, since the product may be too large for a Duration.
	earliest := floor
	if early := float64(margin) * float64(fuzz) / 100; early < float64(latest-floor) {
		earliest = latest - time.Duration(early)
	}
	return latest - Share(latest-earliest, spread), true
}

// Share is a part of d, from nothing to all of it, as spread says.
func Share(d time.Duration, spread uint64) time.Duration {
	const bits = 53
	return time.Duration(float64(d) * (float64(spread>>(64-bits)) / (1 << bits)))
}
