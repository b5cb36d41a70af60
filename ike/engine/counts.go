package engine

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/control"
)

// forgetOthers drops what was counted for connections that are not configured, so that
// the names in counts are bounded by the configuration.
func forgetOthers(counts control.Counts, c *conf.Config) {
	known := map[string]bool{"": true}
	for _, conn := range c.Connections {
		known[conn.Name] = true
	}
	maps.DeleteFunc(counts, func(k control.CountKey, _ uint64) bool { return !known[k.Conn] })
}

// bounds are those of histograms: symmetric work takes microseconds, a large MODP group
// a tenth of a second.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 5 * time.Second,
}

// histogram counts durations without a lock.
type histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) add(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

func (h *histogram) read() control.Histogram {
	out := control.Histogram{Bounds: bounds[:], Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}
