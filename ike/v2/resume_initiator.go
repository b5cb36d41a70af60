package v2

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/crypto/prf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/auth"
	"github.com/goike/goike/ike/wire"
)

// resumed is what stands for the key exchange and the proofs of an IKE SA that is resumed.
type resumed struct {
	suite       crypto.Suite
	d           crypto.Secret // SK_d of the IKE SA that was lost
	local, peer id.ID
	ticket      ike.UseTicket // of the responder
}

// resumeExchange is our IKE_SESSION_RESUME (RFC 5723, 4.3.2).
type resumeExchange struct {
	gather
	session *ike.Session
	cookie  []byte
	seen    []digest
	raw     []byte
}

func (*resumeExchange) name() string { return "IKE_SESSION_RESUME" }

func (x *resumeExchange) start(sa *SA, _ ike.Instant, fx *ike.Effects) {
	sa.say(fx, ike.Step, "resuming the IKE SA with %s by its ticket", sa.path.Remote)
	x.compute(sa, x, offerJob{}, fx)
}

func (x *resumeExchange) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	if x.err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: x.err.Error()}, fx)
		return
	}
	x.send(sa, now, fx)
}

func (x *resumeExchange) send(sa *SA, now ike.Instant, fx *ike.Effects) {
	var ps []wire.Payload
	if x.cookie != nil {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyCookie, Data: x.cookie})
	}
	ps = append(ps, &wire.Nonce{Data: x.nonce}, &wire.Notify{Kind: wire.NotifyTicketOpaque, Data: x.session.Ticket})
	ps = append(ps, natNotifies(sa.spiI, 0, sa.path, sa.conn.ForceEncap)...)
	if sa.conn.Fragmentation {
		ps = append(ps, &wire.Notify{Kind: wire.NotifyFragmentationSupported})
	}
	ps = append(append(ps, sa.redirectNotify()...), beetID(sa.conn)...)
	msg, err := wire.Append(nil, sa.header(wire.IKESessionResume, 0, false), ps...)
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.boot.firstRequest, sa.boot.ni = msg, x.nonce
	sa.win.nextSend = 0
	sa.transmit(now, wire.IKESessionResume, [][]byte{msg}, fx)
}

// firstExchange begins an IKE SA: by what is left of a lost one, if that is good still.
func (sa *SA) firstExchange(now ike.Instant) exchange {
	s := sa.Session
	sa.Session = nil
	if s == nil || now >= s.Expires || !sa.conn.SessionResumption || !crypto.Accepts(sa.conn.Proposals, s.Suite) {
		s.Zero()
		return &initExchange{}
	}
	return &resumeExchange{session: s}
}

// notResumed ends the attempt: the IKE SA is to be set up anew at once (RFC 5723, 4.3.3).
// Nothing that says so has to be authentic, since nothing is lost by it.
func (sa *SA) notResumed(now ike.Instant, err string, fx *ike.Effects) {
	sa.close(now, "", &ike.Refusal{Cause: ike.NotResumed, Err: err}, fx)
}

// receiveResumeReply takes the response to our IKE_SESSION_RESUME.
func (sa *SA) receiveResumeReply(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) {
	x, ok := sa.active.(*resumeExchange)
	if !ok || sa.win.out == nil || h.MessageID != 0 || h.SPIi != sa.spiI || dg.Path.Remote != sa.path.Remote {
		return
	}
	ps, err := wire.Parse(h.NextPayload, dg.Data[wire.HeaderLen:h.Length], wire.Limits{})
	if err != nil || wire.Check(wire.IKESessionResume, true, false, ps) != nil {
		return
	}
	x.raw = dg.Data[:h.Length]
	x.reply(sa, now, &message{header: h, payloads: ps, path: dg.Path}, fx)
	x.raw = nil
}

// reply implements exchange. The message is not authentic.
func (x *resumeExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	if n := wire.FindNotify(m.payloads, wire.NotifyCookie); n != nil {
		sum := sha256.Sum256(x.raw)
		if !slices.Contains(x.seen, sum) && len(x.seen) < initRounds {
			x.seen, x.cookie = append(x.seen, sum), append([]byte(nil), n.Data...)
			x.send(sa, now, fx)
		}
		return
	}
	nonce, _ := wire.Find[*wire.Nonce](m.payloads)
	if nonce == nil || m.header.SPIr == 0 {
		sa.notResumed(now, "the peer does not take the ticket", fx)
		return
	}
	sa.nat = detectNAT(m.header, m.path, m.payloads)
	sa.nat.forced = sa.conn.ForceEncap
	sa.fragments = sa.conn.Fragmentation && wire.FindNotify(m.payloads, wire.NotifyFragmentationSupported) != nil
	sa.beet = knowsBEET(m.payloads)
	sa.readChildless(m.payloads)
	sa.boot.firstReply, sa.boot.nr = append([]byte(nil), x.raw...), append([]byte(nil), nonce.Data...)
	sa.spiR = m.header.SPIr
	s := x.session
	if err := sa.deriveResumed(&resumed{suite: s.Suite, d: s.D, local: s.LocalID, peer: s.RemoteID}); err != nil {
		sa.notResumed(now, err.Error(), fx)
		return
	}
	s.Zero()
	if sa.nat.encap() {
		sa.floatPorts()
	}
	sa.say(fx, ike.Step, "resumed with %s%s", sa.suite, natText(sa.nat))
	sa.end()
	sa.win.nextSend = 1
	sa.pushFirst(&authExchange{})
}

func (x *resumeExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) { x.session.Zero() }

// deriveResumed computes the keys of a resumed IKE SA: SKEYSEED = prf(SK_d_old,
// "Resumption" | Ni | Nr), the rest as for every IKE SA (RFC 5723, 5.1).
func (sa *SA) deriveResumed(r *resumed) error {
	f, ok := prf.Get(r.suite.PRF.ID)
	if !ok {
		return errNoPRF
	}
	k, err := deriveKeys(r.suite, f, r.d, []byte("Resumption"), sa.boot.ni, sa.boot.nr, sa.spiI, sa.spiR)
	if err != nil {
		return err
	}
	r.d = nil
	sa.suite, sa.keys, sa.boot.resumed = r.suite, k, r
	return nil
}

// maxTicketTime is the longest life of a ticket.
const maxTicketTime = 24 * time.Hour

// keepTicket keeps what resumes this IKE SA, when the peer has given a ticket for it.
func (sa *SA) keepTicket(now ike.Instant, ps []wire.Payload) *ike.Session {
	n := wire.FindNotify(ps, wire.NotifyTicketLTOpaque)
	if n == nil || !sa.conn.SessionResumption {
		return nil
	}
	t, err := wire.ParseTicket(n.Data)
	if err != nil || t.Lifetime == 0 {
		return nil
	}
	life := min(time.Duration(t.Lifetime)*time.Second, maxTicketTime)
	return &ike.Session{
		Ticket: append([]byte(nil), t.Opaque...), Suite: sa.suite, D: slices.Clone(sa.keys.d),
		LocalID: sa.localID, RemoteID: sa.remoteID, Expires: now.Add(life),
	}
}

// prove makes our AUTH: with the pre-shared key, or with SK_px of a resumed IKE SA (RFC
// 5723, 6.2).
func (sa *SA) prove(c *conf.Connection, peer id.ID, octets []byte) []byte {
	if sa.boot.resumed != nil {
		return sa.prf().Sum(sa.ourAuthKey(), octets)
	}
	psk, _ := sa.Config.SharedKey(c, sa.localID, peer)
	return auth.SharedKey(sa.prf(), psk, octets)
}

// checkResumed verifies the peer's AUTH of a resumed IKE SA.
func (sa *SA) checkResumed(octets []byte, proof *wire.Auth) *ike.Refusal {
	if hmac.Equal(sa.prf().Sum(sa.peerAuthKey(), octets), proof.Data) {
		return nil
	}
	return &ike.Refusal{
		Cause: ike.NotResumed, Notify: wire.NotifyAuthenticationFailed.String(), Differs: "the peer does not know the keys of the lost IKE SA",
	}
}
