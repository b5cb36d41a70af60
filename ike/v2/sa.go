// Package v2 is the IKEv2 state machine (RFC 7296): one SA is one IKE SA with
// its child SAs. It is pure: see package ike for the contract.
package v2

import (
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// SA is one IKE SA. It implements ike.Machine.
type SA struct {
	ike.Birth
	conn       *conf.Connection   // nil while the responder does not know
	candidates []*conf.Connection // responder, until IKE_AUTH
	initiator  bool               // of this IKE SA
	state      ike.State
	closed     bool
	spiI, spiR uint64
	path       ike.Path
	nat        natState
	fragments  bool // both sides announced fragmentation
	beet       bool // the peer knows what asks for BEET mode
	ext        extensions
	suite      crypto.Suite
	keys       keys
	ivCounter  uint64
	localID    id.ID
	remoteID   id.ID
	boot       *bootstrap // until IKE_AUTH is over

	win     window
	active  exchange   // the exchange we began, nil: none
	serving *serving   // the peer's request under way
	queue   []exchange // what waits for active to end
	tickets []ticketHolder
	ticket  ike.Ticket

	children    []*child.SA
	established ike.Instant
	expireAt    ike.Instant // of the IKE SA; while half-open, when it is given up
	rekeyAt     ike.Instant // when this side begins to replace it
	lastError   *ike.Refusal
	draws       uint64          // of spread
	heard       ike.Instant     // when the peer was last known to live
	asking      *silence        // the question to the data plane under way
	leftovers   []leftover      // in the order of their time
	leaving     *ike.Refusal    // why it ends, where there is more to say than that it was terminated
	doomed      *deleteExchange // ends it, or what replaces it, when it is no longer being replaced
	pending     bool            // made by the peer to replace one that we are replacing ourselves: not in use yet
	mobile      mobility
	beside      bool         // another was asked for beside this one, whose peer is silent
	over        *ike.Refusal // why it is given up that was not established; the peer is being told
	told        bool         // that was reported already
	tentative   []*tentative // children that yield until the peer knows them
	yields      bool         // all children yield: another IKE SA has taken its place
	sync        synced
	dismissed   string // why it is to end soon although it is up, empty: it is not
	redundant   bool   // another replaces the same one: no report tells of it
}

// bootstrap is what only the first two exchanges need.
type bootstrap struct {
	firstRequest, firstReply []byte // IKE_SA_INIT messages as sent
	ni, nr                   []byte
	resumed                  *resumed // nil: it is set up anew
	childless                bool     // the peer takes an IKE SA without a child (RFC 6023)
	contact                  bool     // the peer said INITIAL_CONTACT
}

// resumer continues when what it asked for is done.
type resumer interface {
	resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects)
}

type ticketHolder struct {
	ticket ike.Ticket
	holder resumer
}

// exchange is one that this side begins. It is started when no other is under
// way, gathers what it needs, and sends its request with SA.request.
type exchange interface {
	resumer
	// name is what strongSwan calls such a task.
	name() string
	start(sa *SA, now ike.Instant, fx *ike.Effects)
	// reply handles the authenticated response.
	reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects)
	// fail is called when the exchange does not come to its end: the peer does not
	// answer, or the IKE SA closes. Nothing more is sent for it.
	fail(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects)
}

func dial(b ike.Birth, conn *conf.Connection, path ike.Path) *SA {
	sa := newSA(b, path)
	sa.conn, sa.initiator, sa.spiI = conn, true, b.SPI
	return sa
}

func respond(b ike.Birth, path ike.Path) *SA {
	sa := newSA(b, path)
	sa.spiR = b.SPI
	return sa
}

func newSA(p ike.Birth, path ike.Path) *SA {
	return &SA{
		Birth: p, path: path, boot: &bootstrap{},
		established: ike.Never, expireAt: ike.Never, rekeyAt: ike.Never,
	}
}

// Format keeps the keys out of whatever is printed: fmt does not see that they are
// secrets behind fields that are not exported.
func (sa *SA) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "IKE SA #%d", sa.ID) }

// Step implements ike.Machine.
func (sa *SA) Step(now ike.Instant, ev ike.Event, fx *ike.Effects) {
	if sa.closed || sa.pending && !sa.concernsPending(now, ev) {
		return
	}
	switch ev := ev.(type) {
	case ike.Datagram:
		sa.receive(now, ev, fx)
	case ike.Timeout:
		sa.timeout(now, fx)
	case ike.Done:
		sa.done(now, ev, fx)
	case ike.Notice:
		sa.notice(now, ev, fx)
	case ike.Initiate:
		sa.initiate(now, ev, fx)
	case ike.Terminate:
		sa.terminate(now, ev, fx)
	case ike.Rekey:
		sa.rekey(now, ev, fx)
	case ike.Roamed:
		sa.roamed(now, ev, fx)
	case ike.Suspected:
		sa.suspected(now, ev, fx)
	case ike.Redirect:
		sa.redirect(ev, fx)
	case ike.Configured:
		sa.configured(now, ev, fx)
	case ike.TakeOver:
		sa.takeOver(now, ev, fx)
	}
	sa.settle(now, fx)
	sa.next(now, fx)
}

// pollTime is how often a new IKE SA that is not in use yet looks whether it is: the one
// that it may replace decides.
const pollTime = 500 * time.Millisecond

// concernsPending tells whether an event is for an IKE SA that is not in use yet. What
// the peer sends by it is sent again.
func (sa *SA) concernsPending(now ike.Instant, ev ike.Event) bool {
	switch ev := ev.(type) {
	case ike.Configured:
		return true
	case ike.Roamed:
		sa.Own = ev.Own // the one that it may replace asks for paths
	case ike.Timeout:
		sa.heard = now // when it was last polled
	}
	return false
}

// next starts the exchange that waits longest when none is under way.
func (sa *SA) next(now ike.Instant, fx *ike.Effects) {
	for !sa.closed && sa.active == nil {
		i := slices.IndexFunc(sa.queue, func(x exchange) bool { return sa.startAt(x) <= now })
		if i < 0 {
			break
		}
		x := sa.queue[i]
		sa.queue = slices.Delete(sa.queue, i, i+1)
		sa.active = x
		x.start(sa, now, fx)
	}
	if len(sa.queue) == 0 {
		sa.queue = nil // and its memory
	}
}

// startAt is from when on an exchange may begin that waits, Never while something is in
// its way. A responder has to wait until it is authenticated. Nothing begins while the
// IKE SA is about to be replaced, and the other way round it is not replaced while a
// child of the peer's is being set up (RFC 7296, 2.25.2).
func (sa *SA) startAt(x exchange) ike.Instant {
	if sa.serving != nil {
		switch sa.serving.task.(type) {
		case *rekeyRequest:
			return ike.Never
		case *childTask:
			if _, rekey := x.(*rekeyExchange); rekey {
				return ike.Never
			}
		}
	}
	at := sa.established // inherited work waits
	if sa.initiator && sa.boot != nil {
		at = 0
	}
	if c, ok := x.(*childExchange); ok {
		at = max(at, c.notBefore)
	}
	return at
}

// end marks the exchange under way as over.
func (sa *SA) end() {
	sa.active = nil
	sa.win.out = nil
}

// newTicket gives an action a ticket whose Done goes to holder.
func (sa *SA) newTicket(holder resumer) ike.Ticket {
	sa.ticket++
	sa.tickets = append(sa.tickets, ticketHolder{sa.ticket, holder})
	return sa.ticket
}

func (sa *SA) done(now ike.Instant, d ike.Done, fx *ike.Effects) {
	for i, t := range sa.tickets {
		if t.ticket == d.Ticket {
			if sa.tickets = append(sa.tickets[:i], sa.tickets[i+1:]...); len(sa.tickets) == 0 {
				sa.tickets = nil
			}
			t.holder.resume(sa, now, d, fx)
			return
		}
	}
}

// forget drops what holder still waits for.
func (sa *SA) forget(holder resumer) {
	kept := sa.tickets[:0]
	for _, t := range sa.tickets {
		if t.holder != holder {
			kept = append(kept, t)
		}
	}
	clear(sa.tickets[len(kept):])
	sa.tickets = kept
}

// Deadline implements ike.Machine.
func (sa *SA) Deadline() ike.Instant {
	if sa.closed {
		return ike.Never
	}
	if sa.pending {
		return sa.heard.Add(pollTime)
	}
	at := min(sa.expireAt, sa.silentAt(), sa.roamedAt(), sa.tentativeAt())
	if sa.state == ike.Up {
		at = min(at, sa.rekeyAt)
	}
	for _, x := range sa.queue {
		if sa.active == nil {
			at = min(at, sa.startAt(x))
		}
	}
	if out := sa.win.out; out != nil {
		at = min(at, out.due)
	}
	for _, c := range sa.children {
		at = min(at, c.ExpireAt, c.RekeyAt, c.IdleAt)
	}
	if len(sa.leftovers) > 0 {
		at = min(at, sa.leftovers[0].at)
	}
	return at
}

// timeout does what is due.
func (sa *SA) timeout(now ike.Instant, fx *ike.Effects) {
	sa.sweep(now, false, fx)
	if now >= sa.roamedAt() {
		sa.askSources(fx)
	}
	if now >= sa.expireAt {
		sa.expire(now, fx)
		return
	}
	if out := sa.win.out; out != nil && now >= out.due {
		sa.retransmit(now, fx)
	}
	if sa.closed {
		return
	}
	sa.due(now, fx)
	sa.lookAtTentative(now, fx)
	sa.checkLiveness(now, fx)
}

// expire ends an IKE SA whose time is over.
func (sa *SA) expire(now ike.Instant, fx *ike.Effects) {
	switch {
	case sa.over != nil:
		sa.close(now, "", sa.over, fx)
	case sa.doomed != nil:
		sa.abandon(now, sa.doomed.why, fx)
	case sa.dismissed != "" && sa.state == ike.Up:
		sa.finish(now, sa.dismissed, fx)
	case sa.state == ike.Up || sa.state == ike.Rekeying:
		sa.expired(now, "its lifetime is over", fx)
	case sa.state == ike.Rekeyed && sa.active != nil:
		sa.close(now, "replaced", nil, fx) // the peer does not confirm its end
	case sa.state == ike.Rekeyed:
		sa.abandon(now, "the peer did not end it after replacing it", fx)
	case sa.state == ike.Deleting:
		sa.close(now, "the peer did not confirm its end", sa.leaving, fx)
	default:
		sa.close(now, "", &ike.Refusal{Cause: ike.NoAnswer, Subject: ike.Unfinished, Hint: "the peer began and did not go on"}, fx)
	}
}

// push queues an exchange.
func (sa *SA) push(x exchange) { sa.queue = append(sa.queue, x) }

// pushFirst queues an exchange before all that wait.
func (sa *SA) pushFirst(x exchange) { sa.queue = append([]exchange{x}, sa.queue...) }

// configured takes over what the configuration says now; what was negotiated stays.
// A peer that is just proving itself to a connection that is gone has to go too:
// nobody else knows of it yet.
func (sa *SA) configured(now ike.Instant, ev ike.Configured, fx *ike.Effects) {
	sa.Config = ev.Config
	if sa.conn == nil {
		return
	}
	conn := ev.Conn
	if conn == nil {
		conn, _ = ev.Config.Connection(sa.conn.Name)
	}
	switch {
	case conn != nil:
		old := sa.conn
		sa.conn = conn
		sa.adapt(now, old)
	case sa.established == ike.Never:
		sa.giveUp(now, &ike.Refusal{Cause: ike.Terminated, Err: "the connection is no longer configured"}, fx)
	}
}

// Status implements ike.Machine.
func (sa *SA) Status() ike.Status {
	s := ike.Status{
		ID: sa.ID, Version: 2, State: sa.state, Initiator: sa.initiator, SPIi: sa.spiI, SPIr: sa.spiR,
		Path: sa.path, LocalID: sa.localID, RemoteID: sa.remoteID, Suite: sa.suite,
		NATLocal: sa.nat.local, NATRemote: sa.nat.remote, ForceEncap: sa.nat.forced, Fragments: sa.fragments, Redirects: sa.ext.redirectable,
		Established: sa.established, RekeyAt: sa.rekeyAt, ExpireAt: sa.expireAt, LastError: sa.lastError,
	}
	if sa.conn != nil {
		s.Conn = sa.conn.Name
	}
	if sa.active != nil {
		s.Active = append(s.Active, sa.active.name())
	}
	for _, x := range sa.queue {
		s.Queued = append(s.Queued, x.name())
	}
	for _, c := range sa.children {
		s.Children = append(s.Children, c.Status())
	}
	return s
}
