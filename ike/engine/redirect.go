package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// maxRedirects is how often a connection is sent elsewhere within redirectPeriod before
// that counts as a loop (RFC 5685, 7).
const (
	maxRedirects   = 5
	redirectPeriod = 300 * time.Second
)

// redirection is where a connection is sent by its gateway, for the try under way.
type redirection struct {
	to   conf.Gateway
	from netip.Addr
}

// follow takes a redirection over; it tells whether it is followed.
func (s *Steward) follow(now ike.Instant, l *link, sa *phase1, why *ike.Refusal) bool {
	if why == nil || why.Cause != ike.Redirected || s.stopping || l.gone {
		return false
	}
	to, err := conf.ParseGateway(why.Gateway)
	if err != nil || !to.Dialable() {
		s.say(ike.Warning, l, "", fmt.Sprintf("redirected to %q, which is no gateway: not followed", why.Gateway))
		return false
	}
	l.redirects = slices.DeleteFunc(l.redirects, func(at ike.Instant) bool { return now.Sub(at) >= redirectPeriod })
	if len(l.redirects) >= maxRedirects {
		s.say(ike.Warning, l, "", fmt.Sprintf("redirected to %s: not followed, after %d redirects within %s", to, maxRedirects, redirectPeriod))
		return false
	}
	l.redirects = append(l.redirects, now)
	l.redirect = &redirection{to: to, from: sa.peer.Addr().Unmap()}
	s.say(ike.Step, l, "", fmt.Sprintf("redirected to the gateway %s", to))
	return true
}

// redirected goes on with a try at another gateway, as the one asked has said. It is
// still the same try.
func (s *Steward) redirected(now ike.Instant, l *link, sa *phase1, why *ike.Refusal) bool {
	if !s.follow(now, l, sa, why) {
		return false
	}
	l.try, l.notBefore, l.paths = max(l.try-1, 0), now, nil
	s.reconcile(now, l)
	return true
}

// gateway is the connection as it is looked for: at the gateway to which it was sent.
func (l *link) gateway() *conf.Connection {
	if l.redirect == nil || l.stage != locating {
		return l.conn
	}
	c := *l.conn
	c.Gateways = conf.Gateways{l.redirect.to}
	return &c
}
