package engine

import (
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// roamed learns that this host's addresses or routes have changed: peers that could not
// be reached are tried again, and policies for this host's own address follow it. What
// is up follows by itself.
func (s *Steward) roamed(now ike.Instant) {
	if s.stopping {
		return
	}
	for _, l := range s.everyLink() {
		if l.trapsMove() && l.stage != locating {
			s.locate(l)
		}
		if l.nextTry != ike.Never && l.unreached {
			l.restart() // the tries so far were in another network
			l.notBefore = min(l.notBefore, now.Add(s.upTo(time.Second)))
			s.reconcile(now, l)
		}
	}
}

// trapsMove tells whether policies of the link are for the addresses of the hosts
// themselves.
func (l *link) trapsMove() bool {
	return slices.ContainsFunc(l.children(), func(c *conf.Child) bool { return dynamic(c) && l.reqIDs[c.Name] != 0 })
}

// retrap moves such policies to the addresses in use now, the new ones first.
func (s *Steward) retrap(l *link, paths []ike.Path) {
	if len(paths) == 0 || !l.trapsMove() {
		return
	}
	was, to := l.trapsAt, paths[0]
	for _, p := range paths { // a name may give its addresses in any order
		if p.Remote.Addr() == was.Remote.Addr() {
			to = p
			break
		}
	}
	if l.trapsAt = to; was.Local.Addr() == to.Local.Addr() && was.Remote.Addr() == to.Remote.Addr() {
		return
	}
	for _, c := range l.children() {
		if dynamic(c) && l.reqIDs[c.Name] != 0 {
			s.retrapChild(l, c, to)
		}
	}
	s.exclude()
}

func (s *Steward) retrapChild(l *link, c *conf.Child, to ike.Path) {
	name := l.conn.Name + "/" + c.Name
	policies, err := child.Trap(c, name, l.reqIDs[c.Name], to.Local.Addr(), to.Remote.Addr())
	if err != nil {
		s.say(ike.Warning, l, c.Name, "its networks cannot be protected while it is down: "+err.Error())
		return
	}
	var ops []esp.Op
	for _, p := range policies {
		ops = append(ops, esp.AddPolicy{Policy: p})
	}
	old := func(p esp.Policy) bool { return p.Name == name }
	for _, p := range l.traps {
		if old(p) && !slices.ContainsFunc(policies, func(q esp.Policy) bool { return samePlace(p, q) }) {
			ops = append(ops, esp.DelPolicy{Policy: p})
		}
	}
	l.traps = append(slices.DeleteFunc(l.traps, old), policies...)
	s.changeTraps(ops)
}
