package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// Both daemons are killed again and again, at any moment, in a network that loses and
// doubles, while everything is replaced every minute: the next process carries on what
// can be, sets up the rest, and both sides agree afterwards. Never is a message ID used
// twice with another content, which the worlds watch.
func TestTakenOver(t *testing.T) {
	restarts, carried, again := 0, 0, 0
	for seed := range uint64(30) {
		f := Faults{Delay: 10 * time.Millisecond, Jitter: 50 * time.Millisecond}
		if seed%3 == 2 {
			f.Loss, f.Duplicate = 0.1, 0.1
		}
		var configs [2]*conf.Config
		w, a, b := shortLived(t, seed, f, func(c *conf.Config) {
			c.Connections[0].DPDDelay = 10 * time.Second
			if configs[0] == nil {
				configs[0] = c
			} else {
				configs[1] = c
			}
		})
		if !w.Run(5*time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
			t.Fatalf("seed %d: %v\n%s", seed, Settled(a, b, 1, flow), tail(w.Trace))
		}
		a.Reports, b.Reports = nil, nil
		for i := range 20 {
			// Any moment, and every third time that of a replacement.
			w.Rest(time.Duration(seed*977%1000+uint64(i)*61) * time.Millisecond * 20)
			if i%3 == 0 {
				w.Run(2*time.Minute, func() bool { return busy(a) || busy(b) })
			}
			h, c := a, configs[0]
			if i%2 == 1 {
				h, c = b, configs[1]
			}
			carried += h.Restart(c)
			restarts++
			if !w.Run(5*time.Minute, func() bool { return Settled(a, b, 1, flow) == nil }) {
				t.Fatalf("seed %d, restart %d of %s: %v\n%s", seed, i, h.Name, Settled(a, b, 1, flow), tail(w.Trace))
			}
		}
		for _, h := range []*Host{a, b} {
			for _, r := range h.Reports {
				if r.Kind == ike.IKEUp && strings.Contains(r.Text, "established") {
					again++
				}
			}
		}
	}
	t.Logf("%d restarts, %d IKE SAs carried on, %d times set up on a side", restarts, carried, again)
	if carried < restarts*8/10 || again > restarts/2 {
		t.Errorf("%d restarts, %d IKE SAs carried on, %d times set up on a side", restarts, carried, again)
	}
}

// busy tells whether a host is in the middle of an exchange.
func busy(h *Host) bool {
	for _, st := range h.Shard.Statuses() {
		if len(st.Active) > 0 {
			return true
		}
	}
	return false
}
