package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// bringUp begins what an Up asks for.
func (s *Steward) bringUp(now ike.Instant, in Up) {
	l, names, err := s.named(in.Conn, in.Child)
	if err == nil && (in.Local.IsValid() || in.Remote.IsValid()) && !s.stopping {
		l, err = s.guestOf(l, in.Local, in.Remote)
	}
	if err == nil && !l.conn.Gateways.Dialable() && s.usable(l) == nil {
		err = fmt.Errorf("connection %q has no single remote_gateway to connect to", l.conn.Name)
	}
	if s.stopping {
		err = errStopping
	}
	if err != nil {
		s.out.Outcome(in.Waiter, Outcome{Err: err})
		return
	}
	w := upWaiter{id: in.Waiter, left: make(map[string]bool), all: len(names)}
	l.release()
	l.restart()
	for _, name := range names {
		delete(l.down, name)
		up := l.isUp(name)
		if !up {
			w.left[name] = true
		}
		if !up || l.persists(name) {
			l.demand(name)
		}
	}
	if len(w.left) == 0 {
		s.out.Outcome(in.Waiter, Outcome{Matched: len(names)})
		s.farewell(l)
		return
	}
	l.waiters = append(l.waiters, w)
	l.notBefore = now
	s.reconcile(now, l)
}

// release lets a link be set up again. What was taken down with it stays down, until
// it is asked for, too.
func (l *link) release() {
	if l.held {
		for _, name := range l.names() {
			l.down[name] = true
		}
	}
	l.held, l.failure, l.flaps, l.falls = false, false, 0, 0
}

func (l *link) isUp(name string) bool {
	if name == "" {
		return l.ikes > 0
	}
	return l.up[name] > 0
}

var errStopping = errors.New("goiked is ending")

// named finds a connection and the names of its children that are meant.
func (s *Steward) named(conn, child string) (*link, []string, error) {
	if conn == "" {
		for _, l := range s.links {
			if _, ok := l.conn.Child(child); ok && child != "" {
				return l, []string{child}, canBeUp(l.conn, child)
			}
		}
		return nil, nil, noConfig("CHILD_SA", child)
	}
	l := s.byName[conn]
	if l == nil {
		return nil, nil, noConfig("IKE_SA", conn)
	}
	if child == "" {
		if names := l.names(); len(names) > 0 {
			return l, names, nil
		}
		return nil, nil, fmt.Errorf("connection %q only passes or drops packets: nothing is to be set up", conn)
	}
	return l, []string{child}, canBeUp(l.conn, child)
}

// canBeUp tells whether a connection has a child of a name, and one with SAs.
func canBeUp(c *conf.Connection, name string) error {
	k, ok := c.Child(name)
	switch {
	case !ok:
		return noConfig("CHILD_SA", name)
	case k.Mode.Shunt():
		return fmt.Errorf("child %q of connection %q only passes or drops packets: nothing is to be set up", name, c.Name)
	}
	return nil
}

// gratify tells who waits that a child is up.
func (s *Steward) gratify(l *link, child string) {
	l.waiters = slices.DeleteFunc(l.waiters, func(w upWaiter) bool {
		delete(w.left, child)
		if len(w.left) > 0 {
			return false
		}
		s.out.Outcome(w.id, Outcome{Matched: w.all})
		return true
	})
}

// disappoint tells who waits that it failed.
func (s *Steward) disappoint(l *link, text string) {
	for _, w := range l.waiters {
		s.out.Outcome(w.id, Outcome{Err: errors.New(text)})
	}
	l.waiters = nil
}

// What strongSwan says, too, for scripts that look for it.
var errNoneToTerminate = errors.New("no matching SAs to terminate found")

func noConfig(kind, name string) error { return fmt.Errorf("%s config '%s' not found", kind, name) }

// downWaiter waits for SAs to be gone.
type downWaiter struct {
	id       uint64
	ikes     map[uint64]bool
	children map[uint64]bool
	matched  int
}

func newDownWaiter(id uint64) *downWaiter {
	return &downWaiter{id: id, ikes: make(map[uint64]bool), children: make(map[uint64]bool)}
}

// takeDown takes down what matches.
func (s *Steward) takeDown(now ike.Instant, in Down) {
	w := newDownWaiter(in.Waiter)
	m := in.Match
	var found bool
	switch {
	case m.ChildID != 0:
		found = s.downChildren(w, m.Force, func(_ *phase1, c phase2) bool { return c.id == m.ChildID })
	case m.ConnID != 0:
		found = s.downPhase1s(w, m.Force, func(sa *phase1) bool { return sa.id == m.ConnID })
	case m.Child != "":
		found = s.hold(m.Conn, m.Child)
		found = s.downChildren(w, m.Force, func(sa *phase1, c phase2) bool {
			return c.name == m.Child && (m.Conn == "" || sa.link.conn.Name == m.Conn)
		}) || found
	case m.Conn != "":
		found = s.holdAll(m.Conn)
		found = s.downPhase1s(w, m.Force, func(sa *phase1) bool { return sa.link.conn.Name == m.Conn }) || found
	}
	if !found {
		s.out.Outcome(in.Waiter, Outcome{Err: errNoneToTerminate})
		return
	}
	w.matched = len(w.ikes) + len(w.children)
	s.downs = append(s.downs, w)
	s.tellDown()
	for _, l := range s.everyLink() {
		s.reconcile(now, l)
	}
}

// hold stops what is planned for a child; it tells whether anything was.
func (s *Steward) hold(conn, child string) (found bool) {
	for _, l := range s.everyLink() {
		if conn != "" && l.conn.Name != conn {
			continue
		}
		if _, ok := l.conn.Child(child); !ok {
			continue
		}
		ikeID, under := l.asked[child]
		found = found || l.want[child] || under
		l.down[child] = l.behaviorOf(child) == conf.Start
		delete(l.want, child)
		delete(l.given, child)
		if under {
			delete(l.asked, child)
			s.out.Order(Order{IKE: ikeID, Event: ike.Terminate{Child: child, Why: whyCommand}})
		}
	}
	return found
}

// holdAll stops what is planned for a connection; it tells whether anything was.
func (s *Steward) holdAll(conn string) (found bool) {
	for _, l := range s.everyLink() {
		if l.conn.Name != conn {
			continue
		}
		found = found || l.nextTry != ike.Never || l.stage == locating
		l.held = l.conn.Boldest() == conf.Start
		l.forgetWishes()
		if l.stage == locating {
			l.stage = idle // what is found serves the policies
		}
		s.disappoint(l, whyCommand)
	}
	return found
}

const whyCommand = "taken down by command"

// forgetWishes ends what was to be done for a link.
func (l *link) forgetWishes() {
	clear(l.want)
	clear(l.given)
	clear(l.packets)
	l.over, l.failure = false, false
	l.keep(nil)
}

func (s *Steward) downPhase1s(w *downWaiter, force bool, match func(*phase1) bool) bool {
	for _, sa := range s.sorted(match) {
		w.ikes[sa.id] = true
		if l := sa.link; l.ikes <= 1 && !l.held {
			l.held = l.conn.Boldest() == conf.Start
			l.forgetWishes()
		}
		s.end(sa, ike.Terminate{Force: force, Why: whyCommand})
	}
	return len(w.ikes) > 0
}

func (s *Steward) downChildren(w *downWaiter, force bool, match func(*phase1, phase2) bool) bool {
	for _, sa := range s.sorted(func(*phase1) bool { return true }) {
		for i := range sa.children {
			c := &sa.children[i]
			if !match(sa, *c) {
				continue
			}
			w.children[c.id] = true
			if l := sa.link; l.up[c.name] <= 1 && l.behaviorOf(c.name) == conf.Start {
				l.down[c.name] = true
				delete(l.want, c.name)
			}
			s.endChild(sa, c, ike.Terminate{ChildID: c.id, Force: force, Why: whyCommand})
		}
	}
	return len(w.children) > 0
}

// sorted lists the IKE SAs that match by their unique IDs.
func (s *Steward) sorted(match func(*phase1) bool) []*phase1 {
	var out []*phase1
	for _, sa := range s.sas {
		if match(sa) {
			out = append(out, sa)
		}
	}
	slices.SortFunc(out, func(a, b *phase1) int { return int(int64(a.id - b.id)) })
	return out
}

func (s *Steward) ofLink(l *link) []*phase1 {
	return s.sorted(func(sa *phase1) bool { return sa.link == l })
}

// noteGone crosses SAs out that are gone.
func (s *Steward) noteGone(ikeID uint64, children ...phase2) {
	for _, w := range s.downs {
		delete(w.ikes, ikeID)
		for _, c := range children {
			delete(w.children, c.id)
		}
	}
}

// tellDown tells those whose SAs are all gone.
func (s *Steward) tellDown() {
	s.downs = slices.DeleteFunc(s.downs, func(w *downWaiter) bool {
		if len(w.ikes)+len(w.children) > 0 {
			return false
		}
		s.out.Outcome(w.id, Outcome{Matched: w.matched})
		return true
	})
}

// leave forgets who no longer waits.
func (s *Steward) leave(waiter uint64) {
	left := func(id uint64, matched int) bool {
		if id == waiter {
			s.out.Outcome(waiter, Outcome{Matched: matched, Err: errLeft})
		}
		return id == waiter
	}
	s.downs = slices.DeleteFunc(s.downs, func(w *downWaiter) bool { return left(w.id, w.matched) })
	for _, l := range s.everyLink() {
		l.waiters = slices.DeleteFunc(l.waiters, func(w upWaiter) bool { return left(w.id, w.all) })
	}
}

// stop takes everything down, and begins nothing any more.
func (s *Steward) stop(in Stop) {
	s.stopping = true
	w := newDownWaiter(in.Waiter)
	for _, l := range s.everyLink() {
		s.schedule.set(l, ike.Never)
		s.disappoint(l, errStopping.Error())
	}
	for _, sa := range s.sorted(func(*phase1) bool { return true }) {
		w.ikes[sa.id] = true
		s.end(sa, ike.Terminate{Force: in.Force, Why: "goiked ends"})
	}
	w.matched = len(w.ikes)
	s.downs = append(s.downs, w)
	s.tellDown()
}

// Release removes the policies of the configuration, the last thing before the
// end.
func (s *Steward) Release() {
	for _, l := range s.links {
		s.untrap(l)
	}
	s.networks = nil
	s.exclude()
}
