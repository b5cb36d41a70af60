package engine

import (
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// stage is how far an attempt at an IKE SA is.
type stage uint8

const (
	idle stage = iota
	locating
	connecting
)

// link is a configured connection and what is done for it.
type link struct {
	timer // of nextTry and nextTrap
	conn  *conf.Connection
	guest guestKey
	base  *conf.Connection // of a guest: the connection that it is one of
	gone  bool             // no longer configured as it was

	want    map[string]bool         // children that are to be up; "" is the IKE SA alone
	given   map[string]bool         // children that were given up: traffic or a command asks for them
	packets map[string]esp.Selector // that asked for children
	asked   map[string]uint64       // children under way, with the IKE SA that is to have them
	up      map[string]int          // child SAs by name, without those that are to go
	ikes    int                     // established IKE SAs, without those that are to go
	leaving int                     // those that go as soon as another has taken their place

	stage     stage
	ticket    uint64     // of Locate
	attempt   uint64     // the IKE SA that we began and that is not established yet
	paths     []ike.Path // of the try under way, those that were not tried yet
	try       int        // since the last success or command
	over      bool       // the tries have been used up
	failure   bool       // something of the try under way has failed
	begun     ike.Instant
	notBefore ike.Instant
	nextTry   ike.Instant            // Never: none is planned
	nextTrap  ike.Instant            // when addresses for the policies are looked for again
	flaps     int                    // how often in a row an IKE SA did not last
	falls     int                    // how often in a row a child did not last
	session   *ike.Session           // by which the next try resumes what was lost, nil: none
	redirect  *redirection           // that the try under way follows, nil: none
	redirects []ike.Instant          // when it was sent elsewhere
	held      bool                   // taken down by command
	trapped   map[string]bool        // children that traffic brings up, whatever their behavior
	command   map[string]trapCommand // about the policies of children
	down      map[string]bool
	lastError *ike.Refusal
	lastAt    ike.Instant
	traffic   ike.Traffic // of the IKE SA that failed last
	lastChild string      // that failed last; empty: the IKE SA
	unreached bool        // the last failure was that the peer could not be reached
	// said is what others say about the messages of the try under way, or the last one;
	// nil: nothing.
	said *ike.Unreachable

	traps   []esp.Policy
	trapsAt ike.Path // the addresses that those have that depend on them
	reqIDs  map[string]uint32
	waiters []upWaiter
}

// upWaiter waits for children of a link.
type upWaiter struct {
	id   uint64
	left map[string]bool
	all  int
}

func newLink(c *conf.Connection, id uint64) *link {
	return &link{
		timer: newTimer(id), conn: c, want: make(map[string]bool), given: make(map[string]bool),
		packets: make(map[string]esp.Selector), asked: make(map[string]uint64), up: make(map[string]int),
		down: make(map[string]bool), trapped: make(map[string]bool), reqIDs: make(map[string]uint32), command: make(map[string]trapCommand),
		nextTry: ike.Never, nextTrap: ike.Never, lastAt: ike.Never,
	}
}

// The times between attempts. A peer that refuses is asked again after firstRetry,
// then twice as long each time up to lastRetry; the time that the attempt itself
// took counts, so that a silent peer, who has been waited for already, is tried
// again at once.
const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
	soon       = time.Second
	stable     = time.Minute // an SA that lasts less is a flap
	settleTime = 2 * time.Second
)

func backoff(n int) time.Duration {
	d := firstRetry
	for ; n > 1 && d < lastRetry; n-- {
		d *= 2
	}
	return min(d, lastRetry)
}

// missing lists the wanted children that are neither up nor under way, in the
// order of the configuration.
func (l *link) missing() []string {
	var out []string
	lacks := func(name string) bool {
		_, under := l.asked[name]
		return l.want[name] && !under && l.up[name] == 0
	}
	if lacks("") && l.ikes == 0 {
		out = append(out, "")
	}
	for _, c := range l.children() {
		if lacks(c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

// persistent tells whether there are children that are always wanted.
func (l *link) persistent() bool {
	return l.conn.Boldest() == conf.Start && !l.held && !l.gone
}

// persists tells whether a child is always wanted.
func (l *link) persists(name string) bool { return l.persistent() && l.behaviorOf(name) == conf.Start }

// behaviorOf is how a child comes up, or the IKE SA when the name is empty.
func (l *link) behaviorOf(name string) conf.Behavior {
	if c, ok := l.conn.Child(name); ok {
		return l.conn.BehaviorOf(c)
	}
	return l.conn.Boldest()
}

// demand makes a child wanted.
func (l *link) demand(name string) {
	l.want[name] = true
	delete(l.given, name)
}

// wantAll makes all children wanted that always are.
func (l *link) wantAll() {
	for _, name := range l.names() {
		if !l.down[name] && l.behaviorOf(name) == conf.Start {
			l.demand(name)
		}
	}
}

// leave gives children up: traffic or a command asks for them again.
func (l *link) leave(names []string) {
	for _, name := range names {
		delete(l.want, name)
		delete(l.packets, name)
		l.given[name] = true
	}
}

// restart begins to count tries anew; the one under way is the first.
func (l *link) restart() {
	l.try, l.over = 0, false
	if l.stage != idle || len(l.asked) > 0 {
		l.try = 1
	}
}

// names are those of the children, or "" for a connection without any.
func (l *link) names() []string {
	if len(l.conn.Children) == 0 {
		return []string{""}
	}
	var out []string
	for _, c := range l.children() {
		out = append(out, c.Name)
	}
	return out
}

// has tells whether there is a child of that name that can be up.
func (l *link) has(name string) bool { return slices.Contains(l.names(), name) }

// children are those that have SAs when they are up.
func (l *link) children() []*conf.Child {
	var out []*conf.Child
	for _, c := range l.conn.Children {
		if !c.Mode.Shunt() {
			out = append(out, c)
		}
	}
	return out
}

// reconcile does the next thing that brings up what is wanted and missing, and sets
// the time of the one behind it.
func (s *Steward) reconcile(now ike.Instant, l *link) {
	if now >= l.nextTrap || s.stopping || l.gone {
		s.seek(l)
	}
	l.nextTry = ike.Never
	s.advance(now, l)
	s.relieve(l)
	s.schedule.set(l, min(l.nextTry, l.nextTrap))
	s.farewell(l)
}

func (s *Steward) advance(now ike.Instant, l *link) {
	if l.failure && len(l.asked) == 0 && l.stage == idle {
		s.conclude(now, l)
	}
	missing := l.missing()
	if len(missing) == 0 && len(l.asked) == 0 {
		s.disappoint(l, "taken down meanwhile") // nobody works for who still waits
	}
	switch {
	case s.stopping || l.gone || len(missing) == 0 || l.stage == locating:
	case l.stage == connecting:
		if !s.sas[l.attempt].ending { // else its end is waited for
			s.ask(l, l.attempt, missing)
		}
	case l.failure: // the rest of the try is waited for
	case now < l.notBefore:
		l.nextTry = l.notBefore
	default:
		s.startTry(now, l, missing)
	}
}

// startTry begins a try, or adds to the one under way.
func (s *Steward) startTry(now ike.Instant, l *link, missing []string) {
	if len(l.asked) == 0 {
		if l.over {
			l.over, l.try = false, 0
		}
		l.try++
		l.begun, l.said = now, nil
	}
	if sa := s.usable(l); sa != nil {
		s.ask(l, sa.id, missing)
		return
	}
	l.stage = locating
	s.locate(l)
}

func (s *Steward) locate(l *link) {
	l.ticket = s.newTicket()
	s.tickets[l.ticket] = l
	s.out.Locate(l.ticket, l.gateway())
}

// usable is an established IKE SA of the link that more children can be asked of.
func (s *Steward) usable(l *link) *phase1 {
	if l.ikes == 0 {
		return nil
	}
	var best *phase1
	for _, sa := range s.sas {
		if sa.link == l && sa.counts() && (best == nil || sa.id > best.id) {
			best = sa
		}
	}
	return best
}

// ask asks an IKE SA for children.
func (s *Steward) ask(l *link, ikeID uint64, names []string) {
	for _, name := range names {
		l.asked[name] = ikeID
		s.out.Order(Order{IKE: ikeID, Event: l.initiate(name)})
	}
}

func (l *link) initiate(name string) ike.Initiate {
	ev := ike.Initiate{Child: name}
	if p, ok := l.packets[name]; ok {
		ev.Packet = &p
		delete(l.packets, name)
	}
	return ev
}

// status tells what the connection is about to do.
func (l *link) status() control.ConnState {
	return control.ConnState{
		Conn: l.conn.Name, State: l.word(), Try: l.try, NextTry: l.nextTry, GivenUp: l.over && len(l.given) > 0,
		LastError: l.lastError, LastAt: l.lastAt, LastChild: l.lastChild, Traffic: l.traffic, Unreachable: l.said,
	}
}

func (l *link) word() string {
	switch {
	case l.stage != idle || len(l.asked) > 0:
		return "connecting"
	case l.nextTry != ike.Never:
		return "waiting"
	case l.ikes+l.leaving > 0:
		return "up"
	case l.held:
		return "stopped"
	case l.conn.Boldest() == conf.OnDemand || len(l.trapped) > 0:
		return "on-demand"
	case l.conn.Boldest() == conf.ResponderOnly:
		return "listening"
	}
	return "stopped"
}
