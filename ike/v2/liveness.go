package v2

import (
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// liveness asks whether the peer lives by an empty INFORMATIONAL (RFC 7296, 2.4). A
// peer that does not answer is given up as it is for every other request.
type liveness struct {
	doubted bool // the peer is said to have lost the IKE SA
}

func (*liveness) name() string { return "IKE_DPD" }

func (x *liveness) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.mark(fx, ike.LivenessAsked, "nothing heard from the peer for %s, asking whether it lives", now.Sub(sa.heard).Round(time.Second))
	var ps []wire.Payload
	if sa.mobile.on && sa.mobile.decides && sa.nat.local { // RFC 4555, 3.9
		ps = natNotifies(sa.spiI, sa.spiR, sa.path, sa.nat.forced)
	}
	sa.request(now, wire.Informational, fx, ps...)
	if x.doubted {
		sa.hurry(now, fx)
	}
}

func (*liveness) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange. A peer that sees another address than before has to be
// told that it is ours: a NAT on the way has forgotten us.
func (*liveness) reply(sa *SA, _ ike.Instant, m *message, fx *ike.Effects) {
	sa.end()
	sa.count(fx, ike.LivenessProven)
	seen := seenAs(m.payloads)
	if seen == nil || !sa.mobile.on || !sa.mobile.decides {
		return
	}
	if sa.mobile.mapping != nil && string(seen) != string(sa.mobile.mapping) {
		sa.pushUpdate()
	}
	sa.mobile.mapping = seen
}

func (*liveness) fail(sa *SA, _ ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if why.Cause == ike.NoAnswer {
		sa.count(fx, ike.LivenessLost)
	}
}

// silence asks the data plane whether the peer sends ESP, before the peer is asked.
type silence struct{}

// resume implements resumer. A data plane that does not know says nothing about the
// peer, which is then asked.
func (q *silence) resume(sa *SA, now ike.Instant, d ike.Done, _ *ike.Effects) {
	sa.asking = nil
	if idle, ok := d.Result.(ike.Idle); ok && d.Err == nil && idle >= 0 {
		sa.heard = max(sa.heard, now-ike.Instant(idle))
	}
	if now >= sa.silentAt() && len(sa.queue) == 0 {
		sa.push(&liveness{})
	}
}

// silentAt is when the peer is to be asked whether it lives, unless it is heard of
// before. A request under way asks already.
func (sa *SA) silentAt() ike.Instant {
	if sa.state != ike.Up || sa.active != nil || sa.asking != nil || sa.conn.DPDAction == conf.DPDNone || sa.conn.DPDDelay <= 0 {
		return ike.Never
	}
	return sa.heard.Add(sa.conn.DPDDelay)
}

// checkLiveness begins to find out whether a silent peer lives.
func (sa *SA) checkLiveness(now ike.Instant, fx *ike.Effects) {
	if now < sa.silentAt() || len(sa.queue) > 0 {
		return
	}
	if len(sa.children) == 0 {
		sa.push(&liveness{})
		return
	}
	ids := make([]esp.SAID, len(sa.children))
	for i, c := range sa.children {
		ids[i] = c.InboundID()
	}
	sa.asking = &silence{}
	fx.Do(ike.Ask{Ticket: sa.newTicket(sa.asking), Query: ike.Activity{SAs: ids}})
}
