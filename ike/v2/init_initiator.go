package v2

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// initRounds bounds how often IKE_SA_INIT is begun anew for cookies and groups:
// its replies are not authentic, so that nobody may keep us at it.
const initRounds = 5

// graceTime is how long a refusal of IKE_SA_INIT, which anybody may have sent, is
// held back for a true answer to come (RFC 7296, 2.21.1).
const graceTime = time.Second

// initExchange is our IKE_SA_INIT (RFC 7296, 1.2).
type initExchange struct {
	gather
	group   uint16
	cookie  []byte
	rounds  int
	seen    []digest     // replies that were answered with another request
	verdict *ike.Refusal // why it fails unless a true answer comes
	peer    *initReply
	raw     []byte // the reply at hand, as it came
}

// initReply is what the responder's IKE_SA_INIT message brought.
type initReply struct {
	suite crypto.Suite
	spiR  uint64
	nonce []byte
}

func (x *initExchange) name() string { return "IKE_INIT" }

func (x *initExchange) start(sa *SA, _ ike.Instant, fx *ike.Effects) {
	sa.state = ike.Connecting
	if x.group == 0 {
		x.group = firstGroup(sa.conn.Proposals)
	}
	sa.say(fx, ike.Step, "connecting to %s, key exchange %s", sa.path.Remote, groupName(x.group))
	x.compute(sa, x, offerJob{group: x.group}, fx)
}

func groupName(id uint16) string { return crypto.Alg{Type: crypto.KE, ID: id}.String() }

// resume goes on with our half of the key exchange, or with the shared secret.
func (x *initExchange) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	switch {
	case x.err != nil && x.peer != nil:
		sa.close(now, "", &ike.Refusal{Cause: ike.BadMessage, Err: x.err.Error()}, fx)
	case x.err != nil:
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: x.err.Error()}, fx)
	case x.peer == nil:
		x.send(sa, now, fx)
	default:
		x.finish(sa, now, fx)
	}
}

// send sends the request, with the cookie first when there is one.
func (x *initExchange) send(sa *SA, now ike.Instant, fx *ike.Effects) {
	var ps []wire.Payload
	if x.cookie != nil {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyCookie, Data: x.cookie})
	}
	ps = append(ps,
		&wire.SA{Proposals: wireProposals(sa.conn.Proposals, nil)},
		&wire.KE{Method: x.group, Data: x.pub},
		&wire.Nonce{Data: x.nonce})
	ps = append(ps, natNotifies(sa.spiI, 0, sa.path, sa.conn.ForceEncap)...)
	if sa.conn.Fragmentation {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyFragmentationSupported})
	}
	ps = append(ps, sa.redirectNotify()...)
	ps = append(ps, beetID(sa.conn)...)
	msg, err := wire.Append(nil, sa.header(wire.IKESAInit, 0, false), ps...)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.boot.firstRequest, sa.boot.ni = msg, x.nonce
	sa.win.nextSend = 0
	sa.transmit(now, wire.IKESAInit, [][]byte{msg}, fx)
}

// receiveInitReply takes the response to our IKE_SA_INIT request.
func (sa *SA) receiveInitReply(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
	x, ok := sa.active.(*initExchange)
	if !ok || sa.win.out == nil || h.MessageID != 0 || h.SPIi != sa.spiI || dg.Path.Remote != sa.path.Remote {
		return
	}
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:h.Length], wire.Limits{})
	if err == nil {
		err = wire.Check(wire.IKESAInit, true, false, ps)
	}
	countReceived(fx, h.Exchange, responseIn, err != nil)
	if err != nil {
		x.doubt(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: protocolError(err).Reason})
		return
	}
	x.raw = dg.Data[:h.Length]
	x.reply(sa, now, &message{header: h, payloads: ps, path: dg.Path}, fx)
	x.raw = nil
}

// doubt notes a reason to give up. The reply is not authentic: the true one may
// still come, for a short time.
func (x *initExchange) doubt(sa *SA, now ike.Instant, why *ike.Refusal) {
	if x.verdict == nil {
		x.verdict = why
		sa.win.out.due = min(sa.win.out.due, now.Add(graceTime))
	}
}

// reply implements exchange. The message is not authentic.
func (x *initExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	sum := sha256.Sum256(x.raw)
	if slices.Contains(x.seen, sum) {
		return // a copy of a reply to an earlier request
	}
	if n := wire.FindNotify(m.payloads, wire.NotifyCookie); n != nil {
		if x.again(sa, now, sum) {
			x.cookie = append([]byte(nil), n.Data...)
			x.send(sa, now, fx)
		}
		return
	}
	if n := wire.FindNotify(m.payloads, wire.NotifyInvalidKEPayload); n != nil {
		x.otherGroup(sa, now, n, sum, fx)
		return
	}
	if wire.FindNotify(m.payloads, wire.NotifyRedirect) != nil {
		if why := sa.redirectedTo(m.payloads, x.nonce); why != nil {
			x.doubt(sa, now, why)
		}
		return
	}
	if n := errorNotify(m.payloads); n != nil {
		x.doubt(sa, now, refusedByPeer(n, sa.conn.Proposals, 1))
		return
	}
	x.accept(sa, now, m, fx)
}

// again tells whether the exchange may be begun anew.
func (x *initExchange) again(sa *SA, now ike.Instant, sum digest) bool {
	if x.rounds++; x.rounds > initRounds {
		x.doubt(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer demands another first message again and again"})
		return false
	}
	x.seen = append(x.seen, sum)
	x.verdict = nil
	sa.win.out = nil
	return true
}

// otherGroup begins anew with the group that the peer asks for (RFC 7296, 1.3).
func (x *initExchange) otherGroup(sa *SA, now ike.Instant, n *wire.Notify, sum digest, fx *ike.Effects) {
	group, ok := wantedGroup(n)
	if !ok || group == x.group || !offersGroup(sa.conn.Proposals, group) {
		x.doubt(sa, now, &ike.Refusal{
			Cause: ike.NoProposal, Subject: ike.ExchangeGroup, Phase: 1, ByPeer: true, Notify: n.Kind.String(),
			Offered: words(sa.conn.Proposals), MendHere: withGroup(sa.conn.Proposals, group), MendThere: takes(sa.conn.Proposals),
			Differs: fmt.Sprintf("the peer wants key exchange group %s", groupName(group)),
		})
		return
	}
	if !x.again(sa, now, sum) {
		return
	}
	sa.say(fx, ike.Step, "peer wants key exchange %s instead of %s", groupName(group), groupName(x.group))
	x.group = group
	// The nonce stays, so that a cookie stays good (RFC 7296, 2.6.1).
	x.compute(sa, x, offerJob{group: group, nonce: x.nonce}, fx)
}

// wantedGroup reads INVALID_KE_PAYLOAD (RFC 7296, 1.3).
func wantedGroup(n *wire.Notify) (group uint16, ok bool) {
	if len(n.Data) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(n.Data), true
}

// accept takes a full response and computes the shared secret.
func (x *initExchange) accept(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	offer, _ := wire.Find[*wire.SA](m.payloads)
	kep, _ := wire.Find[*wire.KE](m.payloads)
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	if offer == nil || kep == nil || nonce == nil || m.header.SPIr == 0 {
		x.doubt(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer's first message lacks a proposal, key exchange, nonce or SPI"})
		return
	}
	suite, _, ok := chosen(offer, sa.conn.Proposals, wire.ProtocolIKE)
	if !ok || suite.KE.ID != kep.Method || kep.Method != x.group {
		x.doubt(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer chose a proposal that was not offered"})
		return
	}
	if sa.readChildless(m.payloads); sa.conn.Childless == conf.ChildlessForce && !sa.boot.childless {
		x.doubt(sa, now, notChildless)
		return
	}
	sa.nat = detectNAT(m.header, m.path, m.payloads)
	sa.mobile.mapping = seenAs(m.payloads)
	sa.nat.forced = sa.conn.ForceEncap
	sa.fragments = sa.conn.Fragmentation && wire.FindNotify(m.payloads, wire.NotifyFragmentationSupported) != nil
	sa.beet = knowsBEET(m.payloads)
	sa.win.out = nil
	sa.boot.firstReply = append([]byte(nil), x.raw...)
	x.peer = &initReply{suite: suite, spiR: m.header.SPIr, nonce: append([]byte(nil), nonce.Data...)}
	x.compute(sa, x, agreeJob{x.offer, append([]byte(nil), kep.Data...)}, fx)
}

// finish derives the keys and goes on to IKE_AUTH.
func (x *initExchange) finish(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.suite, sa.spiR, sa.boot.nr = x.peer.suite, x.peer.spiR, x.peer.nonce
	var err error
	sa.keys, err = deriveKeys(sa.suite, nil, nil, x.dh, sa.boot.ni, sa.boot.nr, sa.spiI, sa.spiR)
	clear(x.dh)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	if sa.nat.encap() || sa.conn.MOBIKE && sa.mobile.mapping != nil { // RFC 4555, 3.3
		sa.floatPorts()
	}
	sa.say(fx, ike.Step, "agreed on %s%s", sa.suite, natText(sa.nat))
	sa.end()
	sa.win.nextSend = 1
	sa.queue = append([]exchange{&authExchange{}}, sa.queue...)
}

func natText(n natState) string {
	switch {
	case n.local && n.remote:
		return ", both sides behind NAT"
	case n.local:
		return ", this host behind NAT"
	case n.remote:
		return ", peer behind NAT"
	case n.forced:
		return ", UDP encapsulation forced"
	}
	return ""
}

func (x *initExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}
