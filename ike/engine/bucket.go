package engine

import (
	"time"

	"github.com/goike/goike/ike"
)

// bucket is a token bucket under the caller's time: burst at once, then one
// every interval.
type bucket struct {
	interval time.Duration
	burst    int
	full     ike.Instant // when it will be full again
}

// take tells whether one more is allowed now.
func (b *bucket) take(now ike.Instant) bool {
	full := max(b.full, now).Add(b.interval)
	if full.Sub(now) > time.Duration(b.burst)*b.interval {
		return false
	}
	b.full = full
	return true
}
