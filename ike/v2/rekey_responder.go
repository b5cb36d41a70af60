package v2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// rekeyRequest serves the peer's wish to replace the IKE SA (RFC 7296, 1.3.2).
type rekeyRequest struct {
	gather
	suite crypto.Suite
	num   uint8
	spi   uint64 // the peer's, of the new IKE SA
	ni    []byte
}

// serveRekey agrees on the new IKE SA and gathers what it needs.
func (sa *SA) serveRekey(now ike.Instant, m *message, offer *wire.SA, nonce *wire.Nonce, fx *ike.Effects) {
	if sa.state != ike.Up && sa.state != ike.Rekeying || sa.doomed != nil || sa.busy() || sa.rivalled() {
		sa.deny(now, wire.NotifyTemporaryFailure, nil, fx) // RFC 7296, 2.25.2
		return
	}
	x := &rekeyRequest{ni: append([]byte(nil), nonce.Data...)}
	miss := x.choose(sa, offer)
	if miss != nil {
		why := noProposal(miss, 1)
		sa.deny(now, wire.NotifyNoProposalChosen, nil, fx)
		if sa.lastError = why; !sa.closed {
			sa.say(fx, ike.Warning, "the peer's wish to replace the IKE SA is refused: %s", why)
		}
		return
	}
	kep, _ := wire.Find[*wire.KE](m.payloads)
	if kep == nil || kep.Method != x.suite.KE.ID {
		sa.deny(now, wire.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, x.suite.KE.ID), fx)
		return
	}
	sa.serving.task = x
	x.compute(sa, x, answerJob{kep.Method, append([]byte(nil), kep.Data...)}, fx)
	x.ask(sa, x, ike.NewIKESPI{}, fx)
}

// busy tells whether an exchange of ours is under way that changes the SAs.
func (sa *SA) busy() bool {
	switch sa.active.(type) {
	case *childExchange, *lostExchange, *authExchange, *deleteExchange:
		return true
	}
	return false
}

// rivalled tells whether the peer has replaced the IKE SA already while we do the same.
func (sa *SA) rivalled() bool {
	x, ok := sa.active.(*rekeyExchange)
	return ok && x.rival != nil
}

// choose takes a proposal with an SPI. The suite in use stays acceptable.
func (x *rekeyRequest) choose(sa *SA, offer *wire.SA) *crypto.Mismatch {
	var usable []wire.Proposal
	for _, p := range offer.Proposals {
		if len(p.SPI) == 8 && binary.BigEndian.Uint64(p.SPI) != 0 {
			usable = append(usable, p)
		}
	}
	theirs, index := fromWire(usable, wire.ProtocolIKE)
	suite, i, miss := crypto.Select(append(slices.Clone(sa.conn.Proposals), sa.suite.Proposal()), theirs)
	if miss != nil {
		return miss
	}
	p := usable[index[i]]
	x.suite, x.num, x.spi = suite, p.Num, binary.BigEndian.Uint64(p.SPI)
	return nil
}

// resume has all: the new IKE SA is made and takes the children over.
func (x *rekeyRequest) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	if errors.Is(x.err, ke.ErrPublic) {
		sa.refuseBroken(now, badPublic, fx)
		return
	}
	var k keys
	if x.err == nil {
		k, x.err = deriveKeys(x.suite, sa.prf(), sa.keys.d, x.dh, x.ni, x.nonce, x.spi, x.ike.SPI)
		clear(x.dh)
	}
	if x.err != nil {
		sa.deny(now, wire.NotifyTemporaryFailure, nil, fx)
		sa.say(fx, ike.Warning, "the IKE SA could not be replaced: %v", x.err)
		return
	}
	sa.answer(now, fx,
		&wire.SA{Proposals: []wire.Proposal{wireSuite(x.num, x.suite, spi64(x.ike.SPI))}},
		&wire.Nonce{Data: x.nonce},
		&wire.KE{Method: x.suite.KE.ID, Data: x.pub})
	if sa.closed {
		k.zero()
		return
	}
	heir := sa.heir(now, x.ike, x.suite, k, false)
	heir.spiI, heir.spiR = x.spi, x.ike.SPI
	x.handOver(sa, now, heir, fx)
}

// handOver lets the new IKE SA take over, unless we are making one, too: then it waits.
func (x *rekeyRequest) handOver(sa *SA, now ike.Instant, heir *SA, fx *ike.Effects) {
	own, ok := sa.active.(*rekeyExchange)
	if ok && own.sent {
		heir.pending, heir.redundant, heir.state = true, true, ike.Created
		heir.expireAt = ike.Never // our exchange ends, and decides
		own.rival = &rivalSA{nonces{x.ni, x.nonce}, heir}
		fx.Do(ike.Spawn{SPI: heir.SPI, Machine: heir})
		return
	}
	if ok {
		sa.forget(own)
		sa.end()
	}
	fx.Do(ike.Spawn{SPI: heir.SPI, Machine: heir})
	sa.bequeath(now, heir, fx)
}

func (x *rekeyRequest) drop(*SA, *ike.Effects) {}

// heir is the IKE SA that replaces this one; the caller sets its SPIs.
func (sa *SA) heir(now ike.Instant, own ike.NewSPI, s crypto.Suite, k keys, initiator bool) *SA {
	h := newSA(ike.Birth{SPI: own.SPI, ID: own.ID, Config: sa.Config, Seed: sa.Seed + 1}, sa.path)
	h.boot = nil
	h.conn, h.initiator, h.state = sa.conn, initiator, ike.Up
	h.nat, h.fragments, h.beet, h.suite, h.keys = sa.nat, sa.fragments, sa.beet, s, k
	h.ext = sa.ext
	h.localID, h.remoteID = sa.localID, sa.remoteID
	h.Own = sa.Own
	h.established = now
	h.setLifetime(now)
	return h
}

// bequeath hands over to the heir: the children and what waits to be done. This
// IKE SA waits for its end, which whoever has replaced it brings about (RFC 7296, 2.8).
func (sa *SA) bequeath(now ike.Instant, heir *SA, fx *ike.Effects) {
	heir.path = sa.path
	heir.children, heir.queue, heir.leftovers, heir.tentative = sa.children, sa.queue, sa.leftovers, sa.tentative
	sa.children, sa.queue, sa.leftovers, sa.tentative = nil, nil, nil, nil
	heir.yields = sa.yields
	sa.bequeathMobility(heir)
	sa.state, sa.expireAt, sa.rekeyAt = ike.Rekeyed, now.Add(replacedTime), ike.Never
	s := heir.Status()
	sa.report(fx, ike.Report{
		Kind: ike.IKERekeyed, NewID: heir.ID, SA: &s, Text: fmt.Sprintf("phase 1 replaced, %s", heir.suite),
	})
	if d := sa.doomed; d != nil {
		sa.doomed = nil
		heir.leaving = sa.leaving
		heir.finish(now, d.why, fx)
	}
}
