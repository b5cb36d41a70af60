package lint

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

func (l *linter) child(at conf.Place, c *conf.Child) {
	l.lifetime(at, c.Lifetime, "tunnel")
	if c.DefaultProposals || len(c.Proposals) == 0 {
		return
	}
	for _, p := range c.Proposals {
		if len(p.Of(crypto.KE)) > 0 {
			return
		}
	}
	l.warn(at, "proposals", "phase2 %s has no key exchange group: replaced SAs get keys from the IKE SA's, without perfect forward secrecy; add one, such as curve25519, if the peer has it, too", quoted(c.Name))
}

// overlaps finds tunnels whose networks overlap so that it is not clear which of them
// takes a packet. Networks within others are clear: the more specific tunnel takes it.
func (l *linter) overlaps() {
	var all []tunnel
	left := mostComparisons
	for i, conn := range l.conf.Connections {
		for j, c := range conn.Children {
			if t := (tunnel{conf.Place{Conn: i, Child: j}, conn, c, pairs(c)}); t.routed() {
				for _, other := range all {
					if left <= 0 {
						l.warn(conf.Place{Conn: -1, Child: -1}, "", "there are too many networks to compare each with each other: not all that overlap were found")
						return
					}
					if what := t.clash(other, &left); what != "" {
						l.warn(t.at, "remote_network", "the networks of %s %s those of %s: which of the two tunnels takes a packet depends on what is up; make them different, or set priority", quoted(t.name()), what, quoted(other.name()))
						break
					}
				}
				all = append(all, t)
			}
		}
	}
}

type tunnel struct {
	at    conf.Place
	conn  *conf.Connection
	child *conf.Child
	pairs []pair
}

func (t tunnel) name() string { return t.conn.Name + "/" + t.child.Name }

// routed tells whether the networks of a tunnel decide what it carries, and are known.
func (t tunnel) routed() bool {
	return t.child.Mode == conf.Tunnel && !conf.Dynamic(t.child.Local) && !conf.Dynamic(t.child.Remote) && len(t.child.Local) > 0 && len(t.child.Remote) > 0
}

// mostComparisons bounds how long it takes to compare networks.
const mostComparisons = 20_000_000

// clash says how the networks of two tunnels get in each other's way, "" if they do not.
// It takes its comparisons off left.
func (t tunnel) clash(o tunnel, left *int) string {
	a, b := t.child.Kernel, o.child.Kernel
	if a.IfIDOut != b.IfIDOut || a.MarkOut != b.MarkOut || a.Priority != b.Priority || t.conn.Name != o.conn.Name && hides(o.conn, t.conn) {
		return ""
	}
	for _, x := range t.pairs {
		for _, y := range o.pairs {
			*left--
			switch {
			case x == y:
				return "are"
			case x.meets(y) && !x.within(y) && !y.within(x):
				return "overlap"
			}
		}
	}
	return ""
}

// pair is what one policy is for.
type pair struct{ local, remote conf.Selector }

// mostPairs bounds the comparison of long lists.
const mostPairs = 1024

func pairs(c *conf.Child) []pair {
	var out []pair
	for _, l := range c.Local {
		for _, r := range c.Remote {
			if l.First.Is4() == r.First.Is4() && len(out) < mostPairs {
				out = append(out, pair{l, r})
			}
		}
	}
	return out
}

func (p pair) meets(o pair) bool { return meets(p.local, o.local) && meets(p.remote, o.remote) }

func (p pair) within(o pair) bool { return within(p.local, o.local) && within(p.remote, o.remote) }

// meets tells whether packets fit both selectors.
func meets(a, b conf.Selector) bool {
	return a.First.Is4() == b.First.Is4() && a.First.Compare(b.Last) <= 0 && b.First.Compare(a.Last) <= 0 &&
		(a.Proto == b.Proto || a.Proto == 0 || b.Proto == 0) && a.PortFirst <= b.PortLast && b.PortFirst <= a.PortLast
}

// within tells whether all that fits a fits b.
func within(a, b conf.Selector) bool {
	return a.First.Is4() == b.First.Is4() && b.First.Compare(a.First) <= 0 && a.Last.Compare(b.Last) <= 0 &&
		(a.Proto == b.Proto || b.Proto == 0) && b.PortFirst <= a.PortFirst && a.PortLast <= b.PortLast
}
