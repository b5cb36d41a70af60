package v2

import (
	"cmp"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/auth"
	"github.com/goike/goike/ike/wire"
)

// serveAuth handles the peer's IKE_AUTH (RFC 7296, 1.2): who it is, whether it
// proves that, and the child that it asks for.
func (sa *SA) serveAuth(now ike.Instant, m *message, fx *ike.Effects) {
	if n := fatalNotify(m.payloads); n != nil && wire.FindID(m.payloads, false) == nil {
		sa.over = cmp.Or(sa.over, &ike.Refusal{Cause: ike.PeerRefused, ByPeer: true, Notify: n.Kind.String(), Err: "the peer gave up"})
	}
	if sa.over != nil {
		sa.failAuth(now, sa.over, fx)
		return
	}
	sa.candidates = sa.allowed()
	c, err := readClaim(m.payloads)
	if err != nil {
		sa.failAuth(now, &ike.Refusal{Cause: ike.BadMessage, Err: err.Error()}, fx)
		return
	}
	sa.remoteID = c.peer
	conn, why := sa.authenticate(c, m)
	if conn != nil {
		sa.conn = conn
	}
	if why != nil {
		sa.failAuth(now, why, fx)
		return
	}
	sa.localID = sa.answerID(conn, c.own)
	sa.boot.contact = wire.FindNotify(m.payloads, wire.NotifyInitialContact) != nil
	sa.say(fx, ike.Step, "%s is authenticated", c.peer)
	offer, _ := wire.Find[*wire.SA](m.payloads)
	if why := checkChildless(conn, offer == nil); why != "" {
		sa.refuseBroken(now, &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: why}, fx)
		return
	}
	t := &childTask{authPayloads: sa.proofPayloads(conn)}
	if sa.agreeMobility(m.payloads); sa.mobile.on {
		t.authPayloads = append(t.authPayloads, sa.mobilityNotifies(conn)...)
	}
	if sa.ext.sync = knowsSync(m.payloads); sa.ext.sync {
		t.authPayloads = append(t.authPayloads, syncNotify())
	}
	if !sa.withTickets(now, m, t, fx) {
		sa.serveChild(now, m, t, fx)
	}
}

// allowed are the connections that the peer may prove itself to; the configuration may
// have changed since its first message.
func (sa *SA) allowed() []*conf.Connection {
	list := byAddress(sa.Config, sa.path)
	if sa.boot.resumed == nil || len(sa.candidates) == 0 {
		return list
	}
	name := sa.candidates[0].Name
	return slices.DeleteFunc(list, func(c *conf.Connection) bool { return c.Name != name || !c.SessionResumption })
}

// serveChild goes on with the child of an IKE_AUTH request.
func (sa *SA) serveChild(now ike.Instant, m *message, t *childTask, fx *ike.Effects) {
	if offer, _ := wire.Find[*wire.SA](m.payloads); offer == nil {
		t.finish(sa, now, nil, fx) // without a child, RFC 6023
		return
	}
	t.begin(sa, now, m, fx)
}

// authenticate finds the connection whose key proves the claim. conn is set, where
// possible, for a claim that is refused too.
func (sa *SA) authenticate(c claim, m *message) (conn *conf.Connection, why *ike.Refusal) {
	proof, _ := wire.Find[*wire.Auth](m.payloads)
	fits := sa.fitting(c)
	if r := sa.boot.resumed; r != nil && r.peer != c.peer {
		fits = nil // RFC 5723, 4.3.3: the identities are those of the ticket
	}
	switch {
	case len(fits) == 0:
		if len(sa.candidates) == 1 {
			conn = sa.candidates[0]
		}
		return conn, sa.noIdentity(c)
	case proof == nil:
		return fits[0], &ike.Refusal{
			Cause: ike.WrongKey, Subject: ike.AuthMethod, Notify: wire.NotifyAuthenticationFailed.String(), Offered: "EAP", Configured: "psk",
			Differs: "the peer wants to authenticate with EAP, configured is authentication = \"psk\"",
		}
	}
	idi := wire.FindID(m.payloads, false)
	for _, conn := range fits {
		miss := sa.checkProof(conn, sa.answerID(conn, c.own), idi, proof, sa.boot.firstRequest, sa.boot.nr)
		if miss == nil {
			return conn, nil
		}
		if why == nil {
			why = miss
		}
	}
	return fits[0], why
}

// proofPayloads are IDr and AUTH (RFC 7296, 2.15).
func (sa *SA) proofPayloads(conn *conf.Connection) []wire.Payload {
	idr := wireID(sa.localID, true)
	octets := auth.SignedOctets(sa.prf(), sa.boot.firstReply, sa.boot.ni, sa.ourAuthKey(), idr.AppendBody(nil))
	return []wire.Payload{idr, &wire.Auth{Method: wire.AuthSharedKey, Data: sa.prove(conn, sa.remoteID, octets)}}
}

// failAuth refuses the peer, without saying why, and forgets the IKE SA
// (RFC 7296, 2.21.2).
func (sa *SA) failAuth(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	why.Notify = wire.NotifyAuthenticationFailed.String()
	sa.deny(now, wire.NotifyAuthenticationFailed, nil, fx)
	sa.close(now, "", why, fx)
}
