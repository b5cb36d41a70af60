package engine

import "github.com/goike/goike/ike"

// Unreached brings what somebody says about a message that did not arrive.
type Unreached struct{ ike.Unreachable }

// Unreachable tells that somebody says that a message did not arrive. It changes nothing
// but what is known about the connection.
func (e *Engine) Unreachable(u ike.Unreachable) { e.steward.in.put(Unreached{u}) }

// unreachable notes what is said for the connections that speak with that address.
func (s *Steward) unreachable(u ike.Unreachable) {
	seen := make(map[*link]bool)
	for _, sa := range s.sas {
		if l := sa.link; l != nil && !seen[l] && (sa.towards == u.Peer.Addr() || sa.peer.Addr() == u.Peer.Addr()) {
			seen[l] = true
			l.hear(u)
		}
	}
}

// hear notes what is said; the same again is counted.
func (l *link) hear(u ike.Unreachable) {
	u.Times = 1
	if was := l.said; was != nil && was.By == u.By && was.Peer == u.Peer && was.What == u.What {
		u.Times += was.Times
	}
	l.said = &u
}
