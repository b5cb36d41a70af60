package v2

import (
	"cmp"
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/auth"
	"github.com/goike/goike/ike/wire"
)

// authExchange is our IKE_AUTH (RFC 7296, 1.2), with the first child.
type authExchange struct {
	gather
	child     *proposal // nil: the IKE SA alone
	childName string    // of the child that was begun with
}

func (x *authExchange) name() string { return "IKE_AUTH" }

func (x *authExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if sa.givenUp(now, fx) {
		return
	}
	if _, ok := sa.Config.SharedKey(sa.conn, ownID(sa.conn, sa.path), sa.conn.Remote.ID); !ok && sa.boot.resumed == nil {
		sa.giveUp(now, &ike.Refusal{Cause: ike.WrongKey, Subject: ike.NoSharedKey, Hint: "no pre-shared key is configured"}, fx)
		return
	}
	c, packet, why := x.first(sa, fx)
	if c == nil {
		x.alone(sa, now, why, fx)
		return
	}
	x.child, x.childName = newProposal(sa, c, packet), c.Name
	x.ask(sa, x, x.child.reserve(sa, 0), fx)
}

// first is the child to begin with: the first that is wanted or, when none is and
// the peer does not do without, the first that is configured. Otherwise it says why
// there is none, if there is a reason. Those that are wanted wait where childless says
// so.
func (x *authExchange) first(sa *SA, fx *ike.Effects) (c *conf.Child, packet *esp.Selector, why *ike.Refusal) {
	if sa.boot.childless && sa.conn.Childless.First() {
		return nil, nil, nil
	}
	for wanted := sa.takeWanted(); wanted != nil; wanted = sa.takeWanted() {
		if c, why = sa.childNamed(wanted.childName); why == nil {
			return c, wanted.packet, nil
		}
		sa.failed(fx, wanted.childName, why)
	}
	if sa.boot.childless {
		return nil, nil, why
	}
	c = firstChild(sa.conn)
	if c == nil {
		return nil, nil, why
	}
	if no := sa.unfit(c); no != nil {
		return nil, nil, no
	}
	return c, nil, nil
}

// alone authenticates without a child, if the peer takes that (RFC 6023). why is
// the reason, nil when none is wanted.
func (x *authExchange) alone(sa *SA, now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if sa.boot.childless {
		x.send(sa, now, fx)
		return
	}
	if why == nil {
		why = &ike.Refusal{
			Cause: ike.NoConnection, Err: "the connection has no phase 2, and an IKE SA without one is not possible: " + whyNotChildless(sa.conn),
		}
	}
	sa.giveUp(now, why, fx)
}

func (x *authExchange) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if sa.compresses(x.child.conf) {
		x.reserveCPI(sa, x, x.child.conf, d, fx)
	}
	all := x.take(d)
	x.child.reserved(&x.gather)
	if !all || sa.givenUp(now, fx) {
		return
	}
	if x.err == nil {
		x.send(sa, now, fx)
		return
	}
	why := &ike.Refusal{Cause: ike.Internal, Subject: ike.DataPlane, Err: x.err.Error()}
	if sa.boot.childless {
		sa.failed(fx, x.child.conf.Name, why)
	}
	x.child, x.childName = nil, ""
	x.alone(sa, now, why, fx)
}

// send authenticates us and offers the child.
func (x *authExchange) send(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.localID = ownID(sa.conn, sa.path)
	if r := sa.boot.resumed; r != nil {
		sa.localID = r.local
	}
	idi := wireID(sa.localID, false)
	ps := []wire.Payload{idi}
	if sa.InitialContact {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyInitialContact})
	}
	want := sa.conn.Remote.ID
	if r := sa.boot.resumed; r != nil {
		want = r.peer
	}
	if want.Kind != id.Any && !want.IsWildcard() {
		ps = append(ps, wireID(want, true))
	}
	octets := auth.SignedOctets(sa.prf(), sa.boot.firstRequest, sa.boot.nr, sa.ourAuthKey(), idi.AppendBody(nil))
	ps = append(ps, &wire.Auth{Method: wire.AuthSharedKey, Data: sa.prove(sa.conn, sa.conn.Remote.ID, octets)})
	ps = append(ps, sa.mobilityNotifies(sa.conn)...)
	if sa.conn.SessionResumption {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyTicketRequest})
	}
	if x.child != nil {
		x.sayUncompressed(sa, x.child.conf, fx)
		ps = append(ps, x.child.payloads(withoutKE(x.child.conf.Proposals))...)
	}
	ps = append(ps, syncNotify())
	sa.say(fx, ike.Step, "authenticating as %s", sa.localID)
	sa.request(now, wire.IKEAuth, fx, ps...)
}

// reply implements exchange.
func (x *authExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	idr := wire.FindID(m.payloads, true)
	proof, _ := wire.Find[*wire.Auth](m.payloads)
	if idr == nil || proof == nil {
		if n := errorNotify(m.payloads); n != nil {
			why := refusedByPeer(n, nil, 1)
			if sa.boot.resumed != nil {
				why.Cause = ike.NotResumed
			}
			sa.close(now, "", cmp.Or(sa.over, why), fx)
			return
		}
		sa.renounce(now, &ike.Refusal{Cause: ike.BadMessage, Err: "IKE_AUTH response without IDr or AUTH"}, fx)
		return
	}
	if sa.over != nil {
		sa.leave(now, fx)
		return
	}
	if why := x.verify(sa, idr, proof); why != nil {
		sa.renounce(now, why, fx)
		return
	}
	if why := sa.redirectedTo(m.payloads, nil); why != nil {
		sa.failed(fx, "", why)
		sa.over, sa.told = why, true
		sa.leave(now, fx)
		return
	}
	sa.ext.sync = knowsSync(m.payloads)
	sa.agreeMobility(m.payloads)
	sa.establish(now, sa.keepTicket(now, m.payloads), fx)
	boot := sa.boot
	sa.boot = nil
	if x.child == nil {
		sa.end()
		return
	}
	install := &installation{proposal: x.child}
	x.child = nil
	install.accept(sa, now, m, withoutKE(install.conf.Proposals), nil, boot.ni, boot.nr, fx)
}

// verify checks the peer's identity and proof; nil means that all is well.
func (x *authExchange) verify(sa *SA, idr *wire.ID, proof *wire.Auth) *ike.Refusal {
	peer, err := id.FromWire(uint8(idr.Kind), idr.Data)
	if err != nil {
		return &ike.Refusal{Cause: ike.BadMessage, Err: err.Error()}
	}
	sa.remoteID = peer
	if r := sa.boot.resumed; sa.conn.Remote.ID.Match(peer) == 0 || r != nil && r.peer != peer {
		return &ike.Refusal{
			Cause: ike.WrongKey, Subject: ike.PeerIdentity, Notify: wire.NotifyAuthenticationFailed.String(),
			Offered: peer.String(), Configured: sa.conn.Remote.ID.String(),
			Differs: fmt.Sprintf("the peer's identity is %s, peer_identifier is %s", peer, sa.conn.Remote.ID),
			Hint:    "set peer_identifier to what the peer calls itself",
		}
	}
	return sa.checkProof(sa.conn, sa.localID, idr, proof, sa.boot.firstReply, sa.boot.ni)
}

// checkProof verifies the peer's AUTH payload over its first message.
func (sa *SA) checkProof(c *conf.Connection, own id.ID, pid *wire.ID, proof *wire.Auth, message, nonce []byte) *ike.Refusal {
	if proof.Method != wire.AuthSharedKey {
		return &ike.Refusal{
			Cause: ike.WrongKey, Subject: ike.AuthMethod, Notify: wire.NotifyAuthenticationFailed.String(),
			Offered: proof.Method.String(), Configured: "psk",
			Differs: fmt.Sprintf("the peer authenticates with %s, configured is authentication = \"psk\"", proof.Method),
		}
	}
	octets := auth.SignedOctets(sa.prf(), message, nonce, sa.peerAuthKey(), pid.AppendBody(nil))
	if sa.boot.resumed != nil {
		return sa.checkResumed(octets, proof)
	}
	psk, ok := sa.Config.SharedKey(c, own, sa.remoteID)
	if !ok {
		return &ike.Refusal{
			Cause: ike.WrongKey, Subject: ike.NoSharedKey, Notify: wire.NotifyAuthenticationFailed.String(), LocalID: own.String(),
			Differs: fmt.Sprintf("there is no pre-shared key for %s and %s", own, sa.remoteID),
		}
	}
	if !auth.VerifySharedKey(sa.prf(), psk, octets, proof.Data) {
		return &ike.Refusal{
			Cause: ike.WrongKey, Subject: ike.SharedKey, LocalID: own.String(), Notify: wire.NotifyAuthenticationFailed.String(),
			Differs: fmt.Sprintf("the pre-shared keys for %s and %s differ", own, sa.remoteID),
			Hint:    "set the same pre_shared_key on both sides",
		}
	}
	return nil
}

// fail implements exchange. A child that is being installed goes with the others.
func (x *authExchange) fail(sa *SA, _ ike.Instant, _ *ike.Refusal, fx *ike.Effects) {
	if x.child != nil {
		x.child.release(fx)
		x.child = nil
	}
}

// ownID is the identity that we show on a connection.
func ownID(c *conf.Connection, path ike.Path) id.ID {
	if c.Local.ID.Kind == id.Any {
		return id.FromAddr(path.Local.Addr())
	}
	return c.Local.ID
}

func wireID(i id.ID, responder bool) *wire.ID {
	kind, data := i.Wire()
	return &wire.ID{Responder: responder, Kind: wire.IDType(kind), Data: data}
}

// establish marks the IKE SA as up.
// kept resumes it when it is lost, nil: nothing does.
func (sa *SA) establish(now ike.Instant, kept *ike.Session, fx *ike.Effects) {
	sa.state, sa.established = ike.Up, now
	sa.setLifetime(now)
	sa.lastError = nil
	sa.reportUp(fx, sa.boot.contact, kept)
}
