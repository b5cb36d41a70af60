package v2

import (
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// resumeRequest is the peer's IKE_SESSION_RESUME (RFC 5723, 4.3.2).
type resumeRequest struct{ gather }

// receiveResumeRequest takes the first message of an IKE SA that is to be resumed, or
// answers its repetition.
func (sa *SA) receiveResumeRequest(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
	if sa.initiator || h.MessageID != 0 {
		return
	}
	if sa.state != ike.Created {
		if sa.boot != nil && sa.win.nextRecv == 1 && string(sa.boot.firstRequest) == string(dg.Data[:h.Length]) {
			sa.send(sa.win.lastReply, fx)
		}
		return
	}
	sa.spiI, sa.state, sa.path = h.SPIi, ike.Connecting, dg.Path
	sa.expireAt = now.Add(halfOpenTime)
	sa.serving = &serving{header: h, path: dg.Path}
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:h.Length], wire.Limits{})
	if err == nil {
		err = wire.Check(wire.IKESessionResume, false, false, ps)
	}
	ticket := wire.FindNotify(ps, wire.NotifyTicketOpaque)
	sa.candidates = slices.DeleteFunc(byAddress(sa.Config, sa.path), func(c *conf.Connection) bool { return !c.SessionResumption })
	if err != nil || ticket == nil || len(sa.candidates) == 0 {
		sa.refuseTicket(fx)
		return
	}
	nonce, _ := wire.Find[*wire.Nonce](ps)
	sa.boot.firstRequest, sa.boot.ni = append([]byte(nil), dg.Data[:h.Length]...), append([]byte(nil), nonce.Data...)
	sa.nat = detectNAT(h, sa.path, ps)
	sa.fragments = wire.FindNotify(ps, wire.NotifyFragmentationSupported) != nil
	sa.beet = knowsBEET(ps)
	sa.readRedirect(ps, fx)
	x := &resumeRequest{}
	sa.serving.task = x
	x.compute(sa, x, answerJob{}, fx)
	x.ask(sa, x, ike.OpenTicket{Ticket: append([]byte(nil), ticket.Data...)}, fx)
}

// resume has the nonce and what the ticket says.
func (x *resumeRequest) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	defer x.opened.State.Zero()
	state, ok := decodeTicket(x.opened.State)
	if x.err != nil || !ok || !sa.mayResume(state) {
		sa.refuseTicket(fx)
		return
	}
	defer state.d.Zero()
	sa.boot.nr = x.nonce
	r := &resumed{suite: state.suite, d: state.d, local: state.local, peer: state.peer, ticket: ike.UseTicket{ID: x.opened.ID, Expires: x.opened.Expires}}
	if err := sa.deriveResumed(r); err != nil {
		sa.refuseTicket(fx)
		return
	}
	conn := sa.candidates[0]
	sa.nat.forced, sa.fragments = conn.ForceEncap, sa.fragments && conn.Fragmentation
	ps := []wire.Payload{&wire.Nonce{Data: x.nonce}}
	ps = append(ps, natNotifies(sa.spiI, sa.spiR, sa.path, sa.nat.forced)...)
	if sa.fragments {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyFragmentationSupported})
	}
	ps = append(ps, announceChildless(sa.candidates)...)
	if sa.beet {
		ps = append(ps, beetID(sa.candidates...)...)
	}
	msg, err := wire.Append(nil, sa.header(wire.IKESessionResume, 0, true), ps...)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.boot.firstReply = msg
	sa.respond([][]byte{msg}, fx)
}

// mayResume tells whether the configuration still has the connection of a ticket, with
// these identities and algorithms. It is then the only candidate.
func (sa *SA) mayResume(s *ticketState) bool {
	i := slices.IndexFunc(sa.candidates, func(c *conf.Connection) bool { return c.Name == s.conn })
	if i < 0 {
		return false
	}
	c := sa.candidates[i]
	sa.candidates = []*conf.Connection{c}
	return c.Remote.ID.Match(s.peer) > 0 && crypto.Accepts(c.Proposals, s.suite) && sa.isOurs(c, s.local)
}

// refuseTicket answers TICKET_NACK, without saying why, and forgets the attempt.
func (sa *SA) refuseTicket(fx *ike.Effects) {
	h := sa.header(wire.IKESessionResume, 0, true)
	h.SPIr = 0
	if msg, err := wire.Append(nil, h, &wire.Notify{Kind: wire.NotifyTicketNack}); err == nil {
		fx.Do(ike.Send{Path: sa.path, Data: msg})
	}
	sa.serving, sa.closed = nil, true
	sa.say(fx, ike.Step, "the ticket of %s is not good any more", sa.path.Remote)
	sa.zero()
	fx.Do(ike.Closed{})
}

func (x *resumeRequest) drop(*SA, *ike.Effects) {}

// ticketTask asks for what an IKE_AUTH request needs of tickets before it is answered:
// that the one that it resumes by is used for the first time, and a new one.
type ticketTask struct {
	gather
	message *message
	child   *childTask
	life    time.Duration
}

// withTickets begins the task, if there is anything to ask.
func (sa *SA) withTickets(now ike.Instant, m *message, t *childTask, fx *ike.Effects) bool {
	wants := sa.conn.SessionResumption && wire.FindNotify(m.payloads, wire.NotifyTicketRequest) != nil
	if !wants && sa.boot.resumed == nil {
		return false
	}
	x := &ticketTask{child: t, message: &message{header: m.header, path: m.path}}
	for _, p := range m.payloads {
		x.message.payloads = append(x.message.payloads, p.Clone())
	}
	sa.serving.task = x
	if r := sa.boot.resumed; r != nil {
		x.ask(sa, x, r.ticket, fx)
	}
	if !wants {
		return true
	}
	x.life = maxTicketTime
	if sa.conn.Lifetime != conf.Forever {
		x.life = min(x.life, sa.conn.Lifetime)
	}
	state := &ticketState{conn: sa.conn.Name, suite: sa.suite, d: sa.keys.d, local: sa.localID, peer: sa.remoteID}
	if text, err := state.encode(); err == nil {
		x.ask(sa, x, ike.SealTicket{State: text, Expires: now.Add(x.life)}, fx)
	}
	return true
}

// resume goes on with IKE_AUTH.
func (x *ticketTask) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	sa.serving.task = nil
	if x.err != nil && sa.boot.resumed != nil {
		sa.failAuth(now, &ike.Refusal{Cause: ike.WrongKey, Err: x.err.Error()}, fx)
		return
	}
	switch {
	case x.ticket != nil:
		lt := wire.Ticket{Lifetime: uint32(x.life / time.Second), Opaque: x.ticket}
		x.child.authPayloads = append(x.child.authPayloads, &wire.Notify{Kind: wire.NotifyTicketLTOpaque, Data: lt.Append(nil)})
	case x.life > 0:
		x.child.authPayloads = append(x.child.authPayloads, &wire.Notify{Kind: wire.NotifyTicketNack})
	}
	sa.serveChild(now, x.message, x.child, fx)
}

func (*ticketTask) drop(*SA, *ike.Effects) {}
