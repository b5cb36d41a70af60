package v2

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// halfOpenTime is how long a responder waits for IKE_AUTH, charon's
// half_open_timeout.
const halfOpenTime = 30 * time.Second

// serving is a request of the peer under way.
type serving struct {
	header wire.Header
	path   ike.Path
	task   request // nil while nothing had to be asked for
}

// request is a request of the peer whose handling has to wait for something.
type request interface {
	resumer
	// drop is called when the IKE SA closes before the reply is sent.
	drop(sa *SA, fx *ike.Effects)
}

// initRequest is the peer's IKE_SA_INIT.
type initRequest struct {
	gather
	suite crypto.Suite
	num   uint8 // of the chosen proposal
}

// receiveInitRequest takes the first message, or answers its repetition.
func (sa *SA) receiveInitRequest(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
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
		err = wire.Check(wire.IKESAInit, false, false, ps)
	}
	countReceived(fx, h.Exchange, requestIn, err != nil)
	if err != nil {
		perr := protocolError(err)
		sa.refuseInit(now, &wire.Notify{Kind: perr.Notify, Data: perr.Data},
			&ike.Refusal{Cause: ike.BadMessage, Notify: perr.Notify.String(), Err: perr.Reason}, fx)
		return
	}
	sa.boot.firstRequest = append([]byte(nil), dg.Data[:h.Length]...)
	sa.choose(now, &message{header: h, payloads: ps, path: dg.Path}, fx)
}

// choose finds the connections that the peer's address allows and the suite.
func (sa *SA) choose(now ike.Instant, m *message, fx *ike.Effects) {
	sa.candidates = byAddress(sa.Config, m.path)
	if len(sa.candidates) == 0 {
		sa.refuseInit(now, &wire.Notify{Kind: wire.NotifyNoProposalChosen}, &ike.Refusal{
			Cause: ike.NoConnection, Notify: wire.NotifyNoProposalChosen.String(),
			Hint: "no phase 1 has remote_gateway " + m.path.Remote.Addr().String() +
				" for local address " + m.path.Local.Addr().String(),
		}, fx)
		return
	}
	offer, _ := wire.Find[*wire.SA](m.payloads)
	kep, _ := wire.Find[*wire.KE](m.payloads)
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	suite, num, miss := selectSuite(sa.candidates, offer)
	if miss != nil {
		sa.refuseInit(now, &wire.Notify{Kind: wire.NotifyNoProposalChosen}, noProposal(miss, 1), fx)
		return
	}
	if suite.KE.ID != kep.Method {
		data := binary.BigEndian.AppendUint16(nil, suite.KE.ID)
		sa.refuseInit(now, &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: data}, nil, fx)
		return
	}
	sa.nat = detectNAT(m.header, m.path, m.payloads)
	sa.nat.forced = sa.candidates[0].ForceEncap
	sa.fragments = sa.candidates[0].Fragmentation && wire.FindNotify(m.payloads, wire.NotifyFragmentationSupported) != nil
	sa.beet = knowsBEET(m.payloads)
	sa.readRedirect(m.payloads, fx)
	sa.boot.ni = append([]byte(nil), nonce.Data...)
	x := &initRequest{suite: suite, num: num}
	sa.serving.task = x
	x.compute(sa, x, answerJob{kep.Method, append([]byte(nil), kep.Data...)}, fx)
}

// selectSuite tries the candidates in order.
func selectSuite(cands []*conf.Connection, offer *wire.SA) (s crypto.Suite, num uint8, first *crypto.Mismatch) {
	theirs, index := fromWire(offer.Proposals, wire.ProtocolIKE)
	for _, c := range cands {
		s, i, miss := crypto.Select(c.Proposals, theirs)
		if miss == nil {
			return s, offer.Proposals[index[i]].Num, nil
		}
		if first == nil {
			first = miss
		}
	}
	return s, 0, first
}

// resume has our half of the key exchange: derive the keys and answer.
func (x *initRequest) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	switch {
	case errors.Is(x.err, ke.ErrPublic):
		sa.refuseInit(now, &wire.Notify{Kind: badPublic.Notify},
			&ike.Refusal{Cause: ike.BadMessage, Notify: badPublic.Notify.String(), Err: badPublic.Reason}, fx)
		return
	case x.err != nil:
		// The peer will ask again.
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: x.err.Error()}, fx)
		return
	}
	k, err := deriveKeys(x.suite, nil, nil, x.dh, sa.boot.ni, x.nonce, sa.spiI, sa.spiR)
	clear(x.dh)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.suite, sa.keys, sa.boot.nr = x.suite, k, x.nonce
	ps := []wire.Payload{
		&wire.SA{Proposals: []wire.Proposal{wireSuite(x.num, x.suite, nil)}},
		&wire.KE{Method: x.suite.KE.ID, Data: x.pub},
		&wire.Nonce{Data: x.nonce},
	}
	ps = append(ps, natNotifies(sa.spiI, sa.spiR, sa.path, sa.nat.forced)...)
	if sa.fragments {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyFragmentationSupported})
	}
	ps = append(ps, announceChildless(sa.candidates)...)
	if sa.beet {
		ps = append(ps, beetID(sa.candidates...)...)
	}
	msg, err := wire.Append(nil, sa.header(wire.IKESAInit, 0, true), ps...)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.boot.firstReply = msg
	sa.respond([][]byte{msg}, fx)
}

func (x *initRequest) drop(*SA, *ike.Effects) {}

// refuseInit answers the first message with an error, unprotected, and forgets the
// IKE SA. why is nil where the peer is expected to try again at once.
func (sa *SA) refuseInit(now ike.Instant, n *wire.Notify, why *ike.Refusal, fx *ike.Effects) {
	h := wire.Header{
		SPIi: sa.spiI, Major: 2, Exchange: wire.IKESAInit, Flags: wire.FlagResponse, MessageID: sa.serving.header.MessageID,
	}
	if msg, err := wire.Append(nil, h, n); err == nil {
		countMessage(fx, h.Exchange, responseOut)
		fx.Do(ike.Send{Path: sa.path, Data: msg})
	}
	sa.serving = nil
	if len(sa.candidates) == 1 {
		sa.conn = sa.candidates[0] // so that the report names it
	}
	if why == nil {
		sa.closed = true
		sa.say(fx, ike.Step, "asked %s for another key exchange group", sa.path.Remote)
		sa.zero()
		fx.Do(ike.Closed{})
		return
	}
	sa.close(now, "", why, fx)
}

// byAddress returns the connections for a path, the most specific gateway first.
func byAddress(c *conf.Config, path ike.Path) []*conf.Connection {
	var out []*conf.Connection
	for _, conn := range c.Connections {
		if addressScore(conn, path) > 0 {
			out = append(out, conn)
		}
	}
	slices.SortStableFunc(out, func(a, b *conf.Connection) int {
		return addressScore(b, path) - addressScore(a, path)
	})
	return out
}

// addressScore is 0 when the connection is not for the path, and higher the more
// specific its gateway is.
func addressScore(c *conf.Connection, path ike.Path) int {
	if c.Version == conf.IKEv1 || (c.LocalAddr.IsValid() && c.LocalAddr != path.Local.Addr()) {
		return 0
	}
	score := 0
	for _, g := range c.Gateways {
		switch {
		case g.Prefix.IsValid() && g.Prefix.Contains(path.Remote.Addr()):
			score = max(score, 1+g.Prefix.Bits())
		case g.Any, g.Host != "":
			// A host name may stand for any address by now; the identity decides.
			score = max(score, 1)
		}
	}
	return score
}
