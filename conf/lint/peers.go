package lint

import (
	"net/netip"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
)

// identities finds those that can hardly be right.
func (l *linter) identities(at conf.Place, c *conf.Connection) {
	if c.Local.ID.Kind != id.Any && c.Local.ID == c.Remote.ID {
		l.warn(at, "peer_identifier", "identifier and peer_identifier of %s are both %s: each side has to have its own", quoted(c.Name), c.Local.ID)
	}
	if a, ok := address(c.Remote.ID); ok && !c.Gateways.Covers(a) && !hasName(c.Gateways) {
		l.warn(at, "peer_identifier", "peer_identifier of %s is the address %s, which remote_gateway %s does not have: a peer calls itself by the address that it has, so that this fits only behind a NAT", quoted(c.Name), a, c.Gateways)
	}
}

// address is that of an identity that is one.
func address(i id.ID) (netip.Addr, bool) {
	if i.Kind != id.IPv4 && i.Kind != id.IPv6 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice([]byte(i.Data))
}

func hasName(gs conf.Gateways) bool {
	for _, g := range gs {
		if g.Host != "" {
			return true
		}
	}
	return false
}

// liveness finds tunnels that do not come back.
func (l *linter) liveness(at conf.Place, c *conf.Connection) {
	if c.Boldest() == conf.ResponderOnly {
		return
	}
	if c.DPDAction == conf.DPDNone || c.DPDDelay <= 0 {
		l.warn(at, "dpd_action", "%s does not ask whether its peer lives: a peer that was restarted, or is gone, goes unnoticed until the IKE SA is replaced; set dpd_action and dpd_delay", quoted(c.Name))
	}
	if !c.Rekey && c.Lifetime != conf.Forever {
		l.warn(at, "rekey", "rekey of %s is false: when the peer does not replace its SAs either, the tunnel is down for a moment at the end of each; leave it out", quoted(c.Name))
	}
}

const longest = 24 * time.Hour

// lifetime finds keys that are used for very long.
func (l *linter) lifetime(at conf.Place, d time.Duration, what string) {
	switch {
	case d == conf.Forever:
		l.warn(at, "lifetime", "the %s is never replaced: whoever gets its keys once can read all that follows; set a lifetime, such as 8h", what)
	case d > longest:
		l.warn(at, "lifetime", "the %s lives for %s: whoever gets its keys can read all of that; 24h is long enough", what, conf.FormatDuration(d))
	}
}

// shadows finds connections that a peer never gets, since another one fits it as well and
// comes first.
func (l *linter) shadows() {
	for i, c := range l.conf.Connections {
		for _, first := range l.conf.Connections[:i] {
			if hides(first, c) {
				l.warn(conf.Place{Conn: i, Child: -1}, "remote_gateway", "a peer that begins %s cannot be told from one that begins %s: gateways and identities are the same, so that %s is always taken; give them identities of their own", quoted(c.Name), quoted(first.Name), quoted(first.Name))
				break
			}
		}
	}
}

// hides tells whether a peer that is for b is taken for one of a.
func hides(a, b *conf.Connection) bool {
	version := a.Version == b.Version || a.Version == conf.VersionAuto || b.Version == conf.VersionAuto
	return version && a.LocalAddr == b.LocalAddr && a.LocalInterface == b.LocalInterface && a.Gateways.String() == b.Gateways.String() &&
		a.Remote.ID == b.Remote.ID && a.Local.ID == b.Local.ID
}
