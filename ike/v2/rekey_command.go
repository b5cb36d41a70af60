package v2

import (
	"slices"

	"github.com/goike/goike/ike"
)

// rekey replaces what an administrator wants replaced now. What is under way already, or
// about to end, is left to itself.
func (sa *SA) rekey(now ike.Instant, ev ike.Rekey, fx *ike.Effects) {
	switch {
	case ev.ChildID != 0:
		for _, c := range sa.children {
			if c.ID == ev.ChildID {
				sa.replace(c)
			}
		}
	case sa.state != ike.Up || sa.established == ike.Never || sa.doomed != nil:
	case ev.Reauth && !sa.mayReauthenticate():
		sa.say(fx, ike.Warning, "cannot be set up again from this side, the peer has to do that: it has no single address to connect to, or connection_behavior is responder-only")
	case ev.Reauth:
		sa.rekeyAt = ike.Never
		sa.reauthenticate(now, fx)
	case !slices.ContainsFunc(sa.queue, isRekey):
		sa.rekeyAt = ike.Never
		sa.push(&rekeyExchange{})
	}
}

func isRekey(x exchange) bool {
	_, ok := x.(*rekeyExchange)
	return ok
}
