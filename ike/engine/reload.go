package engine

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// whyReload is why children of a changed configuration go.
const whyReload = "the configuration of the phase 2 was changed"

// adapt takes over what changed of a connection whose IKE SAs stay. Children that have to
// be set up anew are taken down; machines rekey the others themselves.
func (s *Steward) adapt(l *link, conn *conf.Connection) {
	old := l.conn
	var gone []string
	for _, c := range old.Children {
		now, ok := conn.Child(c.Name)
		if !ok || conf.CompareChild(c, now) == conf.Reauthenticate {
			gone = append(gone, c.Name)
		}
	}
	for _, name := range gone {
		s.withdraw(l, name)
	}
	if len(old.Children) == 0 && len(conn.Children) > 0 {
		delete(l.want, "") // the children bring the IKE SA with them
	}
	l.conn = conn
	for name := range l.want {
		if !l.persists(name) && l.isUp(name) {
			delete(l.want, name)
		}
	}
}

// withdraw takes a child down with its policies and whatever is planned for it.
func (s *Steward) withdraw(l *link, name string) {
	s.untrapChild(l, name)
	delete(l.want, name)
	delete(l.given, name)
	delete(l.packets, name)
	delete(l.command, name)
	delete(l.trapped, name)
	if ikeID, under := l.asked[name]; under {
		delete(l.asked, name)
		s.out.Order(Order{IKE: ikeID, Event: ike.Terminate{Child: name, Why: whyReload}})
	}
	for _, sa := range s.ofLink(l) {
		for i := range sa.children {
			if c := &sa.children[i]; c.name == name && !c.ending {
				s.endChild(sa, c, ike.Terminate{ChildID: c.id, Why: whyReload})
			}
		}
	}
}

// resumeAdapted installs the policies that an adapted link lacks and begins what it wants
// now: a new number of tries, or children that it did not have.
func (s *Steward) resumeAdapted(now ike.Instant, l *link) {
	s.shunt(l)
	s.trap(l)
	l.restart()
	if l.persistent() {
		l.wantAll()
	}
	s.reconcile(now, l)
}
