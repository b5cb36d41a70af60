//go:build linux

package planes

import (
	"fmt"
	"testing"
	"time"

	"github.com/goike/goike/esp"
)

// expiry fits the notice of a limit of an SA.
func expiry(x *tunnel, id esp.SAID, hard bool) func(esp.Notice) bool {
	return func(n esp.Notice) bool { return n == esp.Expire{ID: id, ReqID: x.reqID, Hard: hard} }
}

// testLimits wears out SAs of either direction, by what they carry and by time.
func testLimits(t *testing.T, p *pair) {
	for _, c := range []struct {
		name   string
		limits esp.Limits
		most   int // messages that may pass
	}{
		{"packets", esp.Limits{SoftPackets: 3, HardPackets: 6}, 6},
		{"bytes", esp.Limits{SoftBytes: 3000, HardBytes: 6000}, 6},
	} {
		for _, out := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, outbound %t", c.name, out), func(t *testing.T) {
				x, end := p.limited(c.limits, out)
				x.up(t)
				wearOut(t, x, end, c.most)
				x.down(t)
			})
		}
	}
	t.Run("time", func(t *testing.T) { testTime(t, p) })
}

// limited is a tunnel whose SA from A to B has limits at one end.
func (p *pair) limited(l esp.Limits, out bool) (x *tunnel, end *side) {
	x = p.newTunnel(func(x *tunnel) {
		x.change = func(sa *esp.SA, atA bool) {
			if out && atA && sa.Dir == esp.Out || !out && !atA && sa.Dir == esp.In {
				sa.Limits = l
			}
		}
	})
	if out {
		return x, p.a
	}
	return x, p.b
}

// wearOut sends until the hard limit is told, and shows that then nothing passes.
func wearOut(t *testing.T, x *tunnel, end *side, most int) {
	p, id := x.p, x.idToB()
	end.notices.clear()
	c := dial(t, p.a.inner[0], 0)
	sent := make([]string, 0, 3*most)
	for len(end.notices.find(expiry(x, id, true))) == 0 && len(sent) < cap(sent) {
		sent = append(sent, c.send(t, p.b.inner[0], echoPort, 1000))
		p.pass(t)
	}
	end.notices.wait(t, "the hard limit", expiry(x, id, true))
	if soft := end.notices.find(expiry(x, id, false)); len(soft) != 1 {
		t.Errorf("%s: the soft limit was told %d times", end.rig, len(soft))
	}
	if hard := end.notices.find(expiry(x, id, true)); len(hard) != 1 {
		t.Errorf("%s: the hard limit was told %d times", end.rig, len(hard))
	}
	echoes.sync(t, p.b.inner[0], echoPort)
	passed := 0
	for _, m := range sent {
		passed += echoes.got(m)
	}
	if passed > most || passed < most/2 {
		t.Errorf("%s: %d messages of %d passed, %d may", end.rig, passed, len(sent), most)
	}
	for range 3 {
		p.blocked(t, p.a.inner[0], p.b.inner[0], echoPort)
	}
}

// testTime has limits in time of both directions at once.
func testTime(t *testing.T, p *pair) {
	x := p.newTunnel(func(x *tunnel) {
		x.change = func(sa *esp.SA, _ bool) {
			sa.Limits = esp.Limits{SoftTime: time.Second, HardTime: 2 * time.Second}
		}
	})
	x.up(t)
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0)
	for _, hard := range []bool{false, true} {
		for _, s := range []*side{p.a, p.b} {
			for _, id := range []esp.SAID{x.idToA(), x.idToB()} {
				s.notices.wait(t, fmt.Sprintf("the limit in time, hard %t, of %08x", hard, id.SPI), expiry(x, id, hard))
			}
		}
	}
	p.blocked(t, p.a.inner[0], p.b.inner[0], echoPort)
	x.down(t)
}
