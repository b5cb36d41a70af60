package engine

import (
	"context"
	"net/netip"
	"slices"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// mostRefused is how many refusals are remembered. Whoever floods this host with first
// messages pushes others out, and no more.
const mostRefused = 64

// refusals are what peers have begun in vain, the latest last.
type refusals []control.Refused

// remember takes a report into account if it is about such an attempt.
func (rs *refusals) remember(now ike.Instant, r ike.Report) {
	if r.Kind != ike.Failed || r.Why == nil || r.SA != nil && r.SA.Initiator || r.Why.ByPeer || !r.Path.Remote.IsValid() && r.SA == nil {
		return
	}
	is := control.Refused{Conn: r.Conn, Child: r.Child, Path: r.Path, Why: r.Why, At: now, Times: 1, Traffic: r.Traffic}
	if r.SA != nil {
		is.Path = r.SA.Path
	}
	like := func(x control.Refused) bool {
		return x.Conn == is.Conn && x.Child == is.Child && peerOf(x) == peerOf(is) && x.Why.Cause == is.Why.Cause && x.Why.Subject == is.Why.Subject
	}
	switch i := slices.IndexFunc(*rs, like); {
	case i >= 0:
		is.Times += (*rs)[i].Times
		*rs = slices.Delete(*rs, i, i+1)
	case len(*rs) >= mostRefused:
		*rs = slices.Delete(*rs, 0, 1)
	}
	*rs = append(*rs, is)
}

func peerOf(r control.Refused) netip.Addr { return r.Path.Remote.Addr() }

// Refused implements control.Backend.
func (e *Engine) Refused(ctx context.Context) []control.Refused {
	list, _ := atSteward(ctx, e, func(s *Steward) []control.Refused { return slices.Clone(s.refused) })
	slices.Reverse(list)
	return list
}
