package conf

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goike/goike/crypto"
)

func (v *validator) child(at Place, conn *Connection, c *Child, routeBased bool) {
	v.name(at, "phase2 of "+quoted(conn.Name), c.Name)
	v.networks(at, c)
	v.kernel(at, c, routeBased)
	if c.Mode.Shunt() {
		return
	}
	switch c.Protocol {
	case crypto.ESP, crypto.AH:
		v.proposals(at, c.Protocol, c.Proposals)
	default:
		v.error(at.key("protocol"), nil, "protocol is %s; allowed: ESP or AH", c.Protocol)
	}
	v.protocol(at, conn, c)
	v.secrecy(at, c)
	v.groups(at, conn, c)
	v.renewal(at, conn, c)
	if c.Window != 0 && (c.Window < 32 || c.Window > 4096) {
		v.error(at.key("replay_window"), nil, "replay_window is %d; allowed: "+AllowedWindow, c.Window)
	}
}

// renewal checks that the SAs of a child live longer than the margin before their end.
func (v *validator) renewal(at Place, conn *Connection, c *Child) {
	if c.Renewal == nil {
		v.lifetime(at, "child SA", c.Lifetime, conn)
		return
	}
	r := c.Renewal
	if conn.Rekey && c.Lifetime != Forever && c.Lifetime <= r.Margin {
		v.error(at.key("lifetime"), nil, "lifetime of the child SA, %s, is not longer than the %s before its end at which it is replaced; allowed: a longer one",
			FormatDuration(c.Lifetime), FormatDuration(r.Margin))
	}
	if r.BytesMargin > c.LifetimeBytes || r.PacketsMargin > c.LifetimePackets {
		v.error(at.key("lifetime_bytes"), nil, "the child SA is replaced before it has carried anything; allowed: fewer bytes or packets from its replacement to its end than it may carry in all")
	}
}

// secrecy warns when a rekeyed SA has perfect forward secrecy with some proposals
// and not with others.
func (v *validator) secrecy(at Place, c *Child) {
	with := 0
	for _, p := range c.Proposals {
		if len(p.Of(crypto.KE)) > 0 {
			with++
		}
	}
	if with != 0 && with != len(c.Proposals) {
		v.warn(at.key("proposals"), nil, "only some proposals have a group: whether rekeying has perfect forward secrecy depends on what the peer chooses")
	}
}

// groups warns when the child's key exchange is none that the two sides agree on when
// they set the tunnel up: the first child SA comes without one, so that a peer that has
// none of these groups shows it only when the child is replaced.
func (v *validator) groups(at Place, conn *Connection, c *Child) {
	var names []string
	for _, p := range c.Proposals {
		for _, g := range p.Of(crypto.KE) {
			if slices.ContainsFunc(conn.Proposals, func(p crypto.Proposal) bool { return p.Has(g) }) {
				return
			}
			if name := g.String(); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 {
		v.warn(at.key("proposals"), []Place{at.of("proposals")},
			"phase2 %s is replaced with key exchange %s, which the proposals of its phase1 lack: a peer without it takes the tunnel, and ends it when it is first replaced",
			quoted(c.Name), strings.Join(names, " or "))
	}
}

func (v *validator) networks(at Place, c *Child) {
	local, remote := at.key("local_network"), at.key("remote_network")
	if !v.few(local, c.Local) || !v.few(remote, c.Remote) {
		return
	}
	switch c.Mode {
	case Transport:
		v.hosts(local, c.Local)
		v.hosts(remote, c.Remote)
	case BEET:
		v.inner(local, c, c.Local)
		v.inner(remote, c, c.Remote)
	default:
		v.required(local, c, c.Local)
		v.required(remote, c, c.Remote)
	}
	if len(c.Local) == 0 || len(c.Remote) == 0 || paired(c.Local, c.Remote) == nil && paired(c.Remote, c.Local) == nil {
		return
	}
	for _, side := range []struct {
		at          Place
		own, others []Selector
		other       Place
	}{{local, c.Local, c.Remote, remote}, {remote, c.Remote, c.Local, local}} {
		lone := paired(side.own, side.others)
		if len(lone) == len(side.own) {
			v.error(remote, []Place{local}, "no network of local_network has one of the same address family and protocol in remote_network; allowed: both IPv4, both IPv6, or both of both")
			return
		}
		for _, i := range lone {
			side.at.Index = i
			v.warn(side.at, []Place{side.other}, "%s %s is of no use: %s has none of its address family and protocol", side.at.Key, side.own[i], side.other.Key)
		}
	}
}

func (v *validator) required(at Place, c *Child, list []Selector) {
	if len(list) == 0 {
		v.error(at, []Place{at.key("mode")}, "phase2 %s has no %s, which mode %s needs; allowed: %s", quoted(c.Name), at.Key, c.Mode, AllowedNetwork)
	}
}

// inner checks the inner address of BEET mode, which the SA knows instead of every
// packet carrying it.
func (v *validator) inner(at Place, c *Child, list []Selector) {
	const allowed = "allowed: one address"
	switch {
	case len(list) == 0:
		v.error(at, []Place{at.key("mode")}, "phase2 %s has no %s, which mode beet needs; "+allowed, quoted(c.Name), at.Key)
	case len(list) > 1:
		v.error(at, []Place{at.key("mode")}, "%s has %d networks, but mode is beet; "+allowed, at.Key, len(list))
	case list[0].Dynamic():
		v.error(at, []Place{at.key("mode")}, "%s is dynamic, but mode is beet, which has a fixed address; "+allowed, at.Key)
	case !list[0].Single():
		v.error(at, []Place{at.key("mode")}, "%s %s is no single host, but mode is beet; "+allowed, at.Key, list[0])
	}
}

func (v *validator) few(at Place, list []Selector) bool {
	if len(list) > MaxNetworks {
		v.error(at, nil, "%s has %d networks; allowed: %d at most", at.Key, len(list), MaxNetworks)
	}
	return len(list) <= MaxNetworks
}

func (v *validator) hosts(at Place, list []Selector) {
	for i, s := range list {
		if !s.Single() {
			at.Index = i
			v.error(at, []Place{at.key("mode")}, "%s %s is no single host, but mode is transport; allowed: one address, or no %s for the addresses in use", at.Key, s, at.Key)
		}
	}
}

// paired returns the indexes of those that none of others goes together with.
func paired(list, others []Selector) []int {
	var lone []int
	for i, s := range list {
		found := false
		for _, o := range others {
			found = found || (s.Dynamic() || o.Dynamic() || s.First.Is4() == o.First.Is4()) && (s.Proto == o.Proto || s.Proto == 0 || o.Proto == 0)
		}
		if !found {
			lone = append(lone, i)
		}
	}
	return lone
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// quoted writes a word for people: quoted, on one line and of bounded length. What
// has several lines is not shown at all: it is no name, and may be anything.
func quoted(s string) string {
	const most = 64
	for _, r := range s {
		if r == '\n' || r == '\r' {
			return "(several lines of text)"
		}
	}
	runes := []rune(s)
	if len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "..."
	}
	return strconv.Quote(s)
}
