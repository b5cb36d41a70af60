package v2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// rekeyExchange replaces the IKE SA by CREATE_CHILD_SA (RFC 7296, 1.3.2, 2.18).
type rekeyExchange struct {
	gather
	proposals []crypto.Proposal
	group     uint16
	rounds    int
	sent      bool
	suite     crypto.Suite
	spi       uint64 // the peer's, of the new IKE SA
	nr        []byte // once the peer has agreed
	heir      *SA    // once it is there
	rival     *rivalSA
	over      bool // the peer has deleted the old IKE SA
}

// rivalSA is the new IKE SA that the peer has made meanwhile.
type rivalSA struct {
	nonces
	heir *SA
}

func (x *rekeyExchange) name() string { return "IKE_REKEY" }

func (x *rekeyExchange) start(sa *SA, _ ike.Instant, fx *ike.Effects) {
	if sa.state != ike.Up {
		sa.end()
		return
	}
	sa.state = ike.Rekeying
	x.proposals = withFirst(sa.suite.Proposal(), sa.conn.Proposals)
	x.group = firstGroup(x.proposals)
	sa.say(fx, ike.Step, "replacing phase 1, key exchange %s", groupName(x.group))
	x.compute(sa, x, offerJob{group: x.group}, fx)
	x.ask(sa, x, ike.NewIKESPI{}, fx)
}

// withFirst puts what was agreed on before in front of what is configured.
func withFirst(agreed crypto.Proposal, configured []crypto.Proposal) []crypto.Proposal {
	same := func(p crypto.Proposal) bool {
		more := func(a crypto.Alg) bool { return !agreed.Has(a) }
		return p.Proto == agreed.Proto && len(p.Algs) == len(agreed.Algs) && !slices.ContainsFunc(p.Algs, more)
	}
	return append([]crypto.Proposal{agreed}, slices.DeleteFunc(slices.Clone(configured), same)...)
}

func (x *rekeyExchange) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	switch {
	case x.nr == nil && x.err != nil:
		x.lose(sa, now, &ike.Refusal{Cause: ike.Internal, Err: x.err.Error()}, fx)
	case x.nr == nil:
		x.send(sa, now, fx)
	case x.err != nil:
		x.give(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: x.err.Error()}, fx)
	default:
		x.make(sa, now, fx)
	}
}

func (x *rekeyExchange) send(sa *SA, now ike.Instant, fx *ike.Effects) {
	x.sent = true
	sa.request(now, wire.CreateChildSA, fx,
		&wire.SA{Proposals: wireProposals(x.proposals, spi64(x.ike.SPI))},
		&wire.Nonce{Data: x.nonce},
		&wire.KE{Method: x.group, Data: x.pub})
}

// reply implements exchange.
func (x *rekeyExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	if n := errorNotify(m.payloads); n != nil {
		if n.Kind != wire.NotifyInvalidKEPayload || !x.otherGroup(sa, n, fx) {
			x.lose(sa, now, refusedByPeer(n, x.proposals, 1), fx)
		}
		return
	}
	answer, _ := wire.Find[*wire.SA](m.payloads)
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	kep, _ := wire.Find[*wire.KE](m.payloads)
	if answer == nil || nonce == nil || kep == nil {
		x.give(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer's answer lacks a proposal, a nonce or a key exchange"}, fx)
		return
	}
	suite, spi, ok := chosen(answer, x.proposals, wire.ProtocolIKE)
	if !ok || len(spi) != 8 || binary.BigEndian.Uint64(spi) == 0 || suite.KE.ID != x.group || kep.Method != x.group {
		x.give(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer chose what was not offered", Offered: words(x.proposals)}, fx)
		return
	}
	x.suite, x.spi, x.nr = suite, binary.BigEndian.Uint64(spi), append([]byte(nil), nonce.Data...)
	x.compute(sa, x, agreeJob{x.offer, append([]byte(nil), kep.Data...)}, fx)
}

// otherGroup begins anew with the group that the peer asks for (RFC 7296, 1.3), if
// that is possible.
func (x *rekeyExchange) otherGroup(sa *SA, n *wire.Notify, fx *ike.Effects) bool {
	group, ok := wantedGroup(n)
	x.rounds++
	if !ok || group == x.group || x.rounds > childRounds || !offersGroup(x.proposals, group) {
		return false
	}
	sa.say(fx, ike.Step, "peer wants key exchange %s instead of %s", groupName(group), groupName(x.group))
	x.group = group
	x.compute(sa, x, offerJob{group: group, nonce: x.nonce}, fx)
	return true
}

// make makes the new IKE SA.
func (x *rekeyExchange) make(sa *SA, now ike.Instant, fx *ike.Effects) {
	k, err := deriveKeys(x.suite, sa.prf(), sa.keys.d, x.dh, x.nonce, x.nr, x.ike.SPI, x.spi)
	clear(x.dh)
	if err != nil {
		x.give(sa, now, &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	x.heir = sa.heir(now, x.ike, x.suite, k, true)
	x.heir.spiI, x.heir.spiR = x.ike.SPI, x.spi
	// It goes on in settle, when the peer's request, if there is one, is served too.
}

// conclude decides which new IKE SA takes over.
func (x *rekeyExchange) conclude(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.end()
	r := x.rival
	if r != nil && (nonces{x.nonce, x.nr}).loses(r.nonces) {
		x.heir.redundant = true
		x.heir.finish(now, "the peer has replaced phase 1 at the same time", fx)
		fx.Do(ike.Spawn{SPI: x.heir.SPI, Machine: x.heir})
		x.yield(sa, now, fx)
		x.part(sa, now, fx)
		return
	}
	if r != nil {
		r.heir.pending = false
		r.heir.state, r.heir.expireAt = ike.Rekeyed, now.Add(replacedTime)
	}
	fx.Do(ike.Spawn{SPI: x.heir.SPI, Machine: x.heir})
	sa.bequeath(now, x.heir, fx)
	if !x.over {
		sa.push(&deleteExchange{why: "replaced"})
	}
	x.part(sa, now, fx)
}

// part ends the old IKE SA if the peer has deleted it meanwhile.
func (x *rekeyExchange) part(sa *SA, now ike.Instant, fx *ike.Effects) {
	if x.over {
		sa.close(now, "replaced", nil, fx)
	}
}

// yield lets the peer's new IKE SA take over.
func (x *rekeyExchange) yield(sa *SA, now ike.Instant, fx *ike.Effects) {
	heir := x.rival.heir
	x.rival = nil
	heir.pending, heir.redundant, heir.state = false, false, ike.Up
	heir.setLifetime(now)
	sa.bequeath(now, heir, fx)
}

// lose ends the exchange without a new IKE SA of ours. That of the peer, if there is
// one, stays; otherwise it is tried again.
func (x *rekeyExchange) lose(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	sa.end()
	if x.rival != nil {
		x.yield(sa, now, fx)
		return
	}
	sa.state, sa.rekeyAt = ike.Up, sa.retryAt(now, sa.expireAt, why)
	sa.postpone(now, sa.rekeyAt, "", "phase 1 is not replaced yet", why, fx)
}

// postpone reports what is tried again later; child is empty for the IKE SA.
func (sa *SA) postpone(now, until ike.Instant, child, what string, why *ike.Refusal, fx *ike.Effects) {
	sa.lastError = why
	kind := ike.Warning
	if busyPeer(why) {
		kind = ike.Step // it will pass
	}
	wait := until.Sub(now).Round(100 * time.Millisecond)
	sa.report(fx, ike.Report{Kind: kind, Child: child, Why: why, Text: fmt.Sprintf("%s, it is tried again in %s: %s", what, wait, why)})
}

// give gives the IKE SA up: the peer believes that it is replaced, by one that we
// cannot use.
func (x *rekeyExchange) give(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	h := sa.header(wire.Informational, sa.win.nextSend, false)
	if packets, err := sa.protect(h, &wire.Delete{Protocol: wire.ProtocolIKE}); err == nil {
		sa.send(packets, fx)
	}
	sa.close(now, "", why, fx)
}

// fail implements exchange. The new IKE SA of the peer goes, too.
func (x *rekeyExchange) fail(_ *SA, now ike.Instant, _ *ike.Refusal, fx *ike.Effects) {
	if r := x.rival; r != nil {
		r.heir.pending, r.heir.state = false, ike.Up
		r.heir.finish(now, "phase 1 ended while it was being replaced", fx)
	}
}

// beingReplaced tells whether a replacement of the IKE SA is under way that the peer
// may know of.
func (sa *SA) beingReplaced() bool {
	if sa.serving != nil {
		if _, ok := sa.serving.task.(*rekeyRequest); ok {
			return true
		}
	}
	x, ok := sa.active.(*rekeyExchange)
	return ok && x.sent
}
