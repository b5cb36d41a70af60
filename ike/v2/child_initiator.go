package v2

import (
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// childRounds bounds how often a CREATE_CHILD_SA is begun anew for another group.
const childRounds = 3

// busyTries bounds how often a child is asked for again of a peer that is busy.
const busyTries = 5

// childExchange sets up a child SA by CREATE_CHILD_SA (RFC 7296, 1.3.1), or replaces
// one (1.3.3). While it waits for the first exchanges of the IKE SA it stands for a
// child that is wanted.
type childExchange struct {
	gather
	childName string
	packet    *esp.Selector // that asked for it, nil: none
	notBefore ike.Instant
	tries     int       // that met a peer that was busy
	old       *child.SA // that it replaces, nil: none
	proposals []crypto.Proposal
	child     *proposal
	group     uint16 // of its own key exchange, 0: none
	rounds    int
	sent      bool
	answer    *installation // the peer's, once it is there
	nr        []byte
	waits     bool     // the new child is there; what the peer does about the old one is not over
	rival     *rival   // the peer's replacement of the old one, nil: none
	gone      []uint32 // what the peer has deleted that we did not know
	doomed    string   // why the new child is to go at once, empty: it is not
}

func (x *childExchange) name() string {
	if x.old != nil {
		return "CHILD_REKEY"
	}
	return "CHILD_CREATE"
}

func (x *childExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if x.old != nil {
		x.startRekey(sa, now, fx)
		return
	}
	if sa.hasChild(x.childName) || sa.serves(x.childName) {
		sa.end()
		return
	}
	c, why := sa.childNamed(x.childName)
	if why != nil {
		x.lose(sa, now, why, fx)
		return
	}
	x.child, x.proposals = newProposal(sa, c, x.packet), c.Proposals
	x.group = firstGroup(x.proposals)
	sa.say(fx, ike.Step, "asking for %s%s", c.Name, withKey(x.group))
	x.compute(sa, x, offerJob{group: x.group}, fx)
	x.ask(sa, x, x.child.reserve(sa, 0), fx)
}

func withKey(group uint16) string {
	if group == 0 {
		return ""
	}
	return ", key exchange " + groupName(group)
}

// childNamed finds a configured child that can have SAs, or says why there is none.
func (sa *SA) childNamed(name string) (*conf.Child, *ike.Refusal) {
	c, ok := sa.conn.Child(name)
	if !ok {
		return nil, &ike.Refusal{Cause: ike.NoConnection, Err: fmt.Sprintf("phase 2 %q is not configured", name)}
	}
	return c, sa.unfit(c)
}

// resume goes on with what was gathered: with the request, or with the secret that
// its answer leads to.
func (x *childExchange) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if sa.compresses(x.child.conf) {
		x.reserveCPI(sa, x, x.child.conf, d, fx)
	}
	all := x.take(d)
	if x.answer == nil {
		x.child.reserved(&x.gather)
	}
	if !all {
		return
	}
	switch {
	case x.answer == nil && x.err != nil:
		x.lose(sa, now, &ike.Refusal{Cause: ike.Internal, Err: x.err.Error()}, fx)
	case x.answer == nil && x.overtaken(sa):
		x.child.release(fx)
		sa.end()
	case x.answer == nil:
		x.send(sa, now, fx)
	case x.err != nil:
		x.answer.fail(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: x.err.Error()}, fx)
	default:
		x.answer.install(sa, now, x.dh, x.nonce, x.nr, fx)
		clear(x.dh)
	}
}

// overtaken tells whether the peer was faster while what the request needs was gathered.
func (x *childExchange) overtaken(sa *SA) bool {
	if x.old == nil {
		return sa.hasChild(x.childName) || sa.serves(x.childName)
	}
	return sa.indexOf(x.old) < 0 || x.old.State != ike.ChildRekeying
}

// send sends the request.
func (x *childExchange) send(sa *SA, now ike.Instant, fx *ike.Effects) {
	x.sayUncompressed(sa, x.child.conf, fx)
	x.sent = true
	offer := x.child.payloads(x.proposals)
	var ps []wire.Payload
	if x.old != nil {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyRekeySA, Protocol: wire.Protocol(x.old.Suite.Proto), SPI: spi32(x.old.SPIIn)})
	}
	ps = append(append(ps, offer[0], &wire.Nonce{Data: x.nonce}), keOf(x.group, x.pub)...)
	sa.request(now, wire.CreateChildSA, fx, append(ps, offer[1:]...)...)
}

// keOf is the KE payload of a key exchange, none for group 0.
func keOf(group uint16, public []byte) []wire.Payload {
	if group == 0 {
		return nil
	}
	return []wire.Payload{&wire.KE{Method: group, Data: public}}
}

// reply implements exchange.
func (x *childExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	if n := wire.FindNotify(m.payloads, wire.NotifyInvalidKEPayload); n != nil && x.otherGroup(sa, n, fx) {
		return
	}
	if n := errorNotify(m.payloads); n != nil && x.old != nil {
		x.denied(sa, now, n, fx)
		return
	} else if n != nil && n.Kind == wire.NotifyTemporaryFailure && x.tries < busyTries {
		x.later(sa, now, n, fx)
		return
	}
	x.answer = &installation{proposal: x.child, by: x}
	if why := x.answer.check(sa, m, x.proposals); why != nil {
		x.answer.fail(sa, now, why, fx)
		return
	}
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	if nonce == nil {
		x.answer.fail(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer's answer lacks a nonce"}, fx)
		return
	}
	x.nr = append([]byte(nil), nonce.Data...)
	if x.answer.suite.KE == (crypto.Alg{}) {
		x.answer.install(sa, now, nil, x.nonce, x.nr, fx)
		return
	}
	kep, _ := wire.Find[*wire.KE](m.payloads)
	if kep == nil || kep.Method != x.answer.suite.KE.ID || kep.Method != x.group {
		x.answer.fail(sa, now, &ike.Refusal{Cause: ike.BadMessage, Err: "the peer's key exchange is not the one that it chose"}, fx)
		return
	}
	x.compute(sa, x, agreeJob{x.offer, append([]byte(nil), kep.Data...)}, fx)
}

// later tries again when the peer, which is busy replacing the IKE SA, may be done
// (RFC 7296, 2.25).
func (x *childExchange) later(sa *SA, now ike.Instant, n *wire.Notify, fx *ike.Effects) {
	x.child.release(fx)
	sa.end()
	again := &childExchange{childName: x.childName, packet: x.packet, tries: x.tries + 1}
	again.notBefore = sa.retryAt(now, ike.Never, nil)
	sa.postpone(now, again.notBefore, x.childName, "not set up yet", refusedByPeer(n, nil, 2), fx)
	sa.push(again)
}

// otherGroup begins anew with the group that the peer asks for (RFC 7296, 1.3),
// if that is possible.
func (x *childExchange) otherGroup(sa *SA, n *wire.Notify, fx *ike.Effects) bool {
	group, ok := wantedGroup(n)
	x.rounds++
	if !ok || group == x.group || x.rounds > childRounds || !offersGroup(x.proposals, group) {
		return false
	}
	sa.say(fx, ike.Step, "peer wants key exchange %s instead of %s", groupName(group), groupName(x.group))
	x.group = group
	x.compute(sa, x, offerJob{group: group}, fx)
	return true
}

// lose ends the exchange before the peer has said anything about the child.
func (x *childExchange) lose(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if x.child != nil {
		x.child.release(fx)
	}
	sa.end()
	if x.old != nil {
		x.again(sa, now, why, fx)
		return
	}
	sa.failed(fx, x.childName, why)
}

// fail implements exchange.
func (x *childExchange) fail(sa *SA, _ ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if x.answer != nil && x.answer.child != nil {
		return // it is among the children, and goes with them
	}
	if x.child != nil {
		x.child.release(fx)
	}
	if sa.established != ike.Never && x.old == nil {
		// Otherwise the IKE SA itself has failed, which says it all.
		sa.failed(fx, x.childName, why)
	}
}

// hasChild tells whether a child of that name is installed, or being installed.
func (sa *SA) hasChild(name string) bool {
	for _, c := range sa.children {
		if c.Name == name && (c.State == ike.ChildInstalled || c.State == ike.ChildCreated || c.State == ike.ChildRekeying) {
			return true
		}
	}
	return false
}

// serves tells whether the peer is about to make a child of that name, be it in the place
// of one that is gone by now.
func (sa *SA) serves(name string) bool {
	if sa.serving == nil {
		return false
	}
	t, ok := sa.serving.task.(*childTask)
	return ok && t.choice != nil && t.choice.conf.Name == name
}

// takeWanted takes the first child that is wanted out of the queue.
func (sa *SA) takeWanted() *childExchange {
	for i, x := range sa.queue {
		if c, ok := x.(*childExchange); ok {
			sa.queue = append(sa.queue[:i:i], sa.queue[i+1:]...)
			return c
		}
	}
	return nil
}

// firstChild is the first configured child that has SAs, nil if there is none.
func firstChild(c *conf.Connection) *conf.Child {
	for _, child := range c.Children {
		if !child.Mode.Shunt() {
			return child
		}
	}
	return nil
}
