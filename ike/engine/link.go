package engine

import (
	"errors"
	"fmt"
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
	timer // of the next attempt
	conn  *conf.Connection
	gone  bool // no longer configured as it was

	want    map[string]bool         // children that are to be up; "" is the IKE SA alone
	packets map[string]esp.Selector // that asked for them
	asked   map[string]uint64       // children under way, with the IKE SA that is to have them
	up      map[string]int          // child SAs by name, without those that we end
	ikes    int                     // established IKE SAs, without those that we end

	stage     stage
	ticket    uint64 // of Locate
	attempt   uint64 // the IKE SA that we began and that is not established yet
	begun     ike.Instant
	try       int // attempts since the last success or command
	flaps     int // how often in a row an IKE SA did not last
	notBefore ike.Instant
	held      bool // taken down by command
	down      map[string]bool
	lastError *ike.Refusal
	lastAt    ike.Instant

	traps   []esp.Policy
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
		timer: newTimer(id), conn: c, want: make(map[string]bool), packets: make(map[string]esp.Selector), asked: make(map[string]uint64),
		up: make(map[string]int), down: make(map[string]bool), reqIDs: make(map[string]uint32),
		lastAt: ike.Never,
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
	stable     = time.Minute // an IKE SA that lasts less is a flap
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

// persistent tells whether the children are always wanted.
func (l *link) persistent() bool {
	return l.conn.Behavior == conf.Start && !l.held && !l.gone
}

// wantAll makes all children wanted.
func (l *link) wantAll() {
	for _, name := range l.names() {
		if !l.down[name] {
			l.want[name] = true
		}
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

// reconcile does the next thing that brings up what is wanted and missing.
func (s *Steward) reconcile(now ike.Instant, l *link) {
	s.schedule.set(l, ike.Never)
	missing := l.missing()
	if len(missing) == 0 && len(l.asked) == 0 {
		s.disappoint(l, "taken down meanwhile") // nobody works for who still waits
	}
	if s.stopping || l.gone || len(missing) == 0 {
		return
	}
	if l.stage == connecting {
		s.ask(l, l.attempt, missing)
		return
	}
	if l.stage == locating {
		return
	}
	if now < l.notBefore {
		s.schedule.set(l, l.notBefore)
		return
	}
	if sa := s.usable(l); sa != nil {
		s.ask(l, sa.id, missing)
		return
	}
	l.try++
	l.begun = now
	l.stage = locating
	l.ticket = s.newTicket()
	s.tickets[l.ticket] = l
	s.out.Locate(l.ticket, l.conn)
}

// usable is an established IKE SA of the link that more children can be asked of.
func (s *Steward) usable(l *link) *phase1 {
	if l.ikes == 0 {
		return nil
	}
	var best *phase1
	for _, sa := range s.sas {
		if sa.link == l && sa.up && !sa.ending && (best == nil || sa.id > best.id) {
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

var errNoPath = errors.New("no route to the peer")

// located begins the IKE SA, on the path whose turn it is.
func (s *Steward) located(now ike.Instant, in Located) {
	l := s.tickets[in.Ticket]
	delete(s.tickets, in.Ticket)
	if l == nil || l.gone || l.ticket != in.Ticket {
		return
	}
	if l.stage != locating {
		s.trapAt(l, in.Paths)
		return
	}
	l.stage = idle
	if in.Err == nil && len(in.Paths) == 0 {
		in.Err = errNoPath
	}
	if in.Err != nil {
		s.unlocated(now, l, in.Err)
		return
	}
	s.trapAt(l, in.Paths)
	if s.usable(l) != nil {
		s.reconcile(now, l)
		return
	}
	missing := l.missing()
	if len(missing) == 0 || s.stopping {
		return
	}
	s.dial(l, in.Paths[(l.try-1)%len(in.Paths)], missing)
}

func (s *Steward) dial(l *link, path ike.Path, names []string) {
	l.stage, l.attempt = connecting, s.newID()
	s.sas[l.attempt] = &phase1{id: l.attempt, link: l, initiator: true}
	d := Dial{ID: l.attempt, Conn: l.conn, Path: path, InitialContact: l.ikes == 0 && s.conf.UniqueIDs != conf.UniqueNever}
	for _, name := range names {
		l.asked[name] = l.attempt
		d.First = append(d.First, l.initiate(name))
	}
	s.out.Dial(d)
}

func (s *Steward) unlocated(now ike.Instant, l *link, err error) {
	why := &ike.Refusal{
		Cause: ike.Internal, Err: err.Error(),
		Hint: "check remote_gateway, local_address, name service and routes",
	}
	text := fmt.Sprintf("the peer cannot be reached: %v", err)
	s.out.Report(ike.Report{Kind: ike.Failed, Conn: l.conn.Name, Text: text, Why: why})
	s.failed(now, l, why, text)
}

// failed counts an attempt that failed and plans the next one.
func (s *Steward) failed(now ike.Instant, l *link, why *ike.Refusal, text string) {
	l.lastError, l.lastAt = why, now
	s.disappoint(l, text)
	wait := backoff(l.try) - now.Sub(l.begun)
	wait = max(wait, soon) + s.upTo(max(wait, soon)/4)
	l.notBefore = now.Add(wait)
	tries := l.conn.KeyingTries
	if l.conn.Behavior == conf.ResponderOnly {
		tries = 1
	}
	if tries > 0 && l.try >= tries {
		s.giveUp(l)
		return
	}
	if len(l.missing()) == 0 {
		return
	}
	s.schedule.set(l, l.notBefore)
	s.say(ike.Step, l, "", fmt.Sprintf("trying again in %s (try %s)", wait.Round(time.Second), ordinal(l.try+1, tries)))
}

func ordinal(n, of int) string {
	if of == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, of)
}

// giveUp ends a series of attempts; traffic or a command begins another.
func (s *Steward) giveUp(l *link) {
	clear(l.want)
	clear(l.packets)
	s.schedule.set(l, ike.Never)
	if l.conn.Behavior == conf.ResponderOnly {
		return
	}
	s.say(ike.Warning, l, "", fmt.Sprintf("given up after %d tries (keying_tries); traffic or `up` tries again", l.try))
}

// status tells what the connection is about to do.
func (l *link) status() control.ConnState {
	return control.ConnState{
		Conn: l.conn.Name, State: l.word(), Try: l.try, NextTry: l.due, LastError: l.lastError, LastAt: l.lastAt,
	}
}

func (l *link) word() string {
	switch {
	case l.stage != idle || len(l.asked) > 0:
		return "connecting"
	case l.due != ike.Never:
		return "waiting"
	case l.ikes > 0:
		return "up"
	case l.held:
		return "stopped"
	case l.conn.Behavior == conf.OnDemand:
		return "on-demand"
	case l.conn.Behavior == conf.ResponderOnly:
		return "listening"
	}
	return "stopped"
}
