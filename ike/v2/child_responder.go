package v2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/ke"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// maxChildren bounds the child SAs of an IKE SA.
const maxChildren = 4096

// replacedTime is how long a child SA or IKE SA that the peer has replaced is kept
// for the peer to delete it (RFC 7296, 2.8).
const replacedTime = time.Minute

// childTask serves the peer's wish for a child SA: in IKE_AUTH, or by
// CREATE_CHILD_SA, where it may replace another one (RFC 7296, 1.3.1, 1.3.3).
type childTask struct {
	gather
	// authPayloads come first in the answer to IKE_AUTH; nil for CREATE_CHILD_SA.
	authPayloads []wire.Payload
	choice       *childChoice
	old          *child.SA // that is replaced, nil: none
	ni           []byte
	child        *child.SA // once it is given to the data plane
}

// badPublic answers a public value that must not be used (RFC 6989, 2.5).
var badPublic = &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: ke.ErrPublic.Error()}

// serveCreate handles the peer's CREATE_CHILD_SA.
func (sa *SA) serveCreate(now ike.Instant, m *message, fx *ike.Effects) {
	offer, _ := wire.Find[*wire.SA](m.payloads)
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	if offer == nil || nonce == nil || len(offer.Proposals) == 0 {
		sa.refuseBroken(now, &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: "CREATE_CHILD_SA without proposals or nonce"}, fx)
		return
	}
	if offer.Proposals[0].Protocol == wire.ProtocolIKE {
		sa.serveRekey(now, m, offer, nonce, fx)
		return
	}
	if sa.state != ike.Up {
		sa.deny(now, wire.NotifyTemporaryFailure, nil, fx) // RFC 7296, 2.25.2
		return
	}
	t := &childTask{ni: append([]byte(nil), nonce.Data...)}
	if n := wire.FindNotify(m.payloads, wire.NotifyRekeySA); n != nil && !t.replaces(sa, now, n, fx) {
		return
	}
	t.begin(sa, now, m, fx)
}

// replaces finds the child that is to be replaced, or answers that there is none
// (RFC 7296, 2.25).
func (t *childTask) replaces(sa *SA, now ike.Instant, n *wire.Notify, fx *ike.Effects) bool {
	t.old = sa.childBySPI(n.Protocol, n.SPI)
	switch {
	case t.old == nil && sa.expectsChild():
		sa.deny(now, wire.NotifyTemporaryFailure, nil, fx)
		return false
	case t.old == nil:
		sa.answer(now, fx, &wire.Notify{Protocol: n.Protocol, SPI: n.SPI, Kind: wire.NotifyChildSANotFound})
		return false
	case t.old.State != ike.ChildInstalled && t.old.State != ike.ChildRekeying || sa.retiring(t.old):
		sa.deny(now, wire.NotifyTemporaryFailure, nil, fx)
		return false
	}
	return true
}

// begin agrees on the child and gathers what it needs.
func (t *childTask) begin(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	o, ok := sa.readOffer(m)
	if !ok {
		sa.refuseBroken(now, &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: "a child SA without traffic selectors"}, fx)
		return
	}
	o.old, o.withKE = t.old, t.authPayloads == nil
	if len(sa.children) >= maxChildren {
		t.refuse(sa, now, &wire.Notify{Kind: wire.NotifyNoAdditionalSAs}, &ike.Refusal{Cause: ike.Internal, Err: "the IKE SA has too many child SAs"}, fx)
		return
	}
	choice, kind, why := sa.chooseChild(o)
	if why != nil {
		t.refuse(sa, now, &wire.Notify{Kind: kind}, why, fx)
		return
	}
	t.choice = choice
	group, peer, ok := keyExchange(m, choice.suite)
	if !ok {
		data := binary.BigEndian.AppendUint16(nil, choice.suite.KE.ID)
		t.refuse(sa, now, &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: data}, nil, fx)
		return
	}
	sa.serving.task = t
	if t.authPayloads == nil {
		t.compute(sa, t, answerJob{group, peer}, fx)
	}
	q := sa.reserve(choice.conf, 0)
	if t.old != nil {
		q.ReqID = t.old.ReqID
		sa.askBefore(t.old, fx)
	}
	t.ask(sa, t, q, fx)
}

// keyExchange is the peer's half of the key exchange of a suite: group 0 if the
// suite has none; ok is false when the peer has sent that of another group.
func keyExchange(m *message, s crypto.Suite) (group uint16, peer []byte, ok bool) {
	if s.KE == (crypto.Alg{}) {
		return 0, nil, true
	}
	kep, _ := wire.Find[*wire.KE](m.payloads)
	if kep == nil || kep.Method != s.KE.ID {
		return 0, nil, false
	}
	return kep.Method, append([]byte(nil), kep.Data...), true
}

// resume goes on with what was gathered, and with what the data plane says.
func (t *childTask) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if t.child != nil {
		t.installed(sa, now, d, fx)
		return
	}
	if t.choice.cpiOut != 0 {
		t.reserveCPI(sa, t, t.choice.conf, d, fx)
	}
	if !t.take(d) {
		return
	}
	if errors.Is(t.err, ke.ErrPublic) {
		t.drop(sa, fx)
		sa.refuseBroken(now, badPublic, fx)
		return
	}
	if t.err == nil {
		t.err = t.install(sa, now, fx)
	}
	if t.err != nil {
		t.refuse(sa, now, &wire.Notify{Kind: wire.NotifyNoAdditionalSAs}, &ike.Refusal{Cause: ike.Internal, Err: t.err.Error()}, fx)
	}
}

// install derives the keys and gives the child to the data plane.
func (t *childTask) install(sa *SA, now ike.Instant, fx *ike.Effects) error {
	ni, nr := t.ni, t.nonce
	if t.authPayloads != nil {
		ni, nr = sa.boot.ni, sa.boot.nr
	}
	if t.cpi == 0 {
		t.choice.cpiOut = 0
	}
	t.sayUncompressed(sa, t.choice.conf, fx)
	c := sa.newChild(now, t.choice.conf, t.spi, t.cpi, t.at, t.choice.agreement)
	inheritUse(now, c, t.old)
	if t.old != nil {
		c.Replaces = t.old.ID
	}
	c.Yields = c.Yields || t.yields(sa)
	in, out, err := child.DeriveKeys(sa.prf(), sa.keys.d, t.dh, ni, nr, c.Suite)
	clear(t.dh)
	if err != nil {
		return err
	}
	ops, err := c.Install(in, out)
	if err != nil {
		return err
	}
	t.child = c
	fx.Do(ike.Install{Ticket: sa.newTicket(t), Ops: ops})
	return nil
}

// installed answers when the data plane has taken the child.
func (t *childTask) installed(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if d.Err != nil {
		t.refuse(sa, now, &wire.Notify{Kind: wire.NotifyNoAdditionalSAs},
			&ike.Refusal{Cause: ike.Internal, Subject: ike.DataPlane, Err: fmt.Sprintf("%v: %v", errDataplane, d.Err)}, fx)
		return
	}
	spi := spi32(t.child.SPIIn)
	ps := []wire.Payload{&wire.SA{Proposals: []wire.Proposal{wireSuite(t.choice.num, t.child.Suite, spi)}}}
	if t.authPayloads == nil {
		ps = append(ps, &wire.Nonce{Data: t.nonce})
		ps = append(ps, keOf(t.child.Suite.KE.ID, t.pub)...)
	}
	ps = append(ps, &wire.TS{Selectors: t.choice.tsi}, &wire.TS{Responder: true, Selectors: t.choice.tsr})
	ps = append(ps, modeNotify(t.child.Mode)...)
	ps = append(ps, compression(t.child.CPIIn)...)
	t.child.State, t.child.Installed = ike.ChildInstalled, now
	sa.children = append(sa.children, t.child)
	sa.await(now, t.child)
	sa.fetch(t.child, fx)
	if t.finish(sa, now, ps, fx); sa.closed {
		return
	}
	t.announce(sa, now, fx)
}

// announce reports the child, and retires the one that it replaces. While we replace
// the same one it is not said which of the two stays.
func (t *childTask) announce(sa *SA, now ike.Instant, fx *ike.Effects) {
	x := sa.rivalOf(t)
	if x != nil {
		x.rival = &rival{nonces{t.ni, t.nonce}, t.child}
	}
	t.child.Quiet = true
	switch {
	case t.old == nil:
	case sa.indexOf(t.old) < 0:
		fx.Do(ike.Install{Ops: t.child.SwitchOver()})
	case x != nil:
		outlived(t.old, now)
		t.child.Outlived = true // until it is known which one stays
		return
	}
	sa.succeed(now, t.old, t.child, fx)
}

// finish sends the answer. That to IKE_AUTH establishes the IKE SA.
func (t *childTask) finish(sa *SA, now ike.Instant, ps []wire.Payload, fx *ike.Effects) {
	sa.answer(now, fx, append(slices.Clip(t.authPayloads), ps...)...)
	if t.authPayloads == nil || sa.closed {
		return
	}
	sa.establish(now, nil, fx)
	sa.boot, sa.candidates = nil, nil
}

// refuse answers that there will be no child. why is nil where the peer is
// expected to try again at once. The IKE SA stays (RFC 7296, 1.3, 2.21.2).
func (t *childTask) refuse(sa *SA, now ike.Instant, n *wire.Notify, why *ike.Refusal, fx *ike.Effects) {
	t.drop(sa, fx)
	if t.finish(sa, now, []wire.Payload{n}, fx); sa.closed || why == nil {
		return
	}
	why.Notify = n.Kind.String()
	name := why.Nearest
	switch {
	case t.choice != nil:
		name = t.choice.conf.Name
	case why.Cause != ike.NoSelectors || name == "":
		name = sa.nameless()
	}
	sa.failed(fx, name, why)
}

// nameless is the name under which the refusal of a child goes that fits none.
func (sa *SA) nameless() string {
	if c := firstChild(sa.conn); c != nil {
		return c.Name
	}
	return "(none)"
}

// drop implements request.
func (t *childTask) drop(sa *SA, fx *ike.Effects) {
	switch {
	case t.child != nil:
		fx.Do(ike.Install{Ops: t.child.Remove()})
		t.child = nil
	case t.spi.SPI != 0:
		releaseSPI(t.at, t.choice.conf.Protocol, t.spi.SPI, fx)
		releaseCPI(t.at, t.cpi, fx)
	}
	t.spi, t.cpi = ike.Reserved{}, 0
}

// childBySPI finds a child by the SPI by which the peer receives.
func (sa *SA) childBySPI(proto wire.Protocol, spi []byte) *child.SA {
	if len(spi) != 4 {
		return nil
	}
	want := binary.BigEndian.Uint32(spi)
	for _, c := range sa.children {
		if c.SPIOut == want && wire.Protocol(c.Suite.Proto) == proto {
			return c
		}
	}
	return nil
}
