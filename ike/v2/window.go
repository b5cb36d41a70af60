package v2

import (
	"crypto/sha256"
	"math"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// window keeps the message IDs of both directions (RFC 7296, 2.2, 2.3). Its size
// is one: a request is answered before the next is taken.
type window struct {
	nextSend uint32 // message ID of our next request
	nextRecv uint32 // message ID of the peer's next request
	out      *outgoing
	// The last request of the peer and our reply, for retransmissions (2.1).
	lastDigest digest
	lastReply  [][]byte
	fragments  [2]reassembly // of the request and the response that come in fragments
}

// outgoing is our request under way.
type outgoing struct {
	id       uint32
	exchange wire.ExchangeType
	packets  [][]byte
	payloads []wire.Payload // what they hold, nil for IKE_SA_INIT
	begun    ike.Instant
	tries    int // retransmissions so far
	rounds   int // of Retransmit.Tries of them that are over
	due      ike.Instant
	carried  bool // another process has sent it: payloads are not known
	doubted  bool // the peer seems not to know the IKE SA
	probed   bool // it is sent by other paths, too
	strayed  bool // it was sent by more than one path
	next     int  // which of the paths that may work comes next
	covered  bool // all of them had their turn
}

// A peer that seems not to know the IKE SA any more is asked again so often, at these
// intervals, and given up then.
const (
	doubtTries = 3
	doubtTime  = time.Second
)

// maxRounds bounds how often a request that is not answered is begun anew because the
// peer lives: its own requests have come in the meantime, so that it is the network that
// loses much.
const maxRounds = 3

// digest recognises a packet that was seen before.
type digest [sha256.Size]byte

// exhausted tells whether no further request can be numbered; the IKE SA has to
// end before its message IDs wrap (RFC 7296, 2.2).
func (w *window) exhausted() bool { return w.nextSend == math.MaxUint32 }

// transmit sends a request and keeps it for retransmission.
func (sa *SA) transmit(now ike.Instant, x wire.ExchangeType, packets [][]byte, fx *ike.Effects) {
	out := &outgoing{id: sa.win.nextSend, exchange: x, packets: packets, begun: now}
	out.due = now.Add(sa.retransmitAfter(0))
	sa.win.out = out
	sa.win.nextSend++
	countMessage(fx, x, requestOut)
	sa.send(packets, fx)
}

func (sa *SA) send(packets [][]byte, fx *ike.Effects) { sendTo(sa.path, packets, fx) }

func sendTo(path ike.Path, packets [][]byte, fx *ike.Effects) {
	for _, p := range packets {
		fx.Do(ike.Send{Path: path, Data: p})
	}
}

// retransmitAfter is how long to wait after the nth transmission.
func (sa *SA) retransmitAfter(n int) time.Duration {
	r := sa.Config.Retransmit
	return time.Duration(float64(r.Timeout) * math.Pow(r.Base, float64(n)))
}

// retransmit repeats the request under way, or gives the peer up.
func (sa *SA) retransmit(now ike.Instant, fx *ike.Effects) {
	out := sa.win.out
	if x, ok := sa.active.(*initExchange); ok && x.verdict != nil {
		sa.close(now, "", x.verdict, fx)
		return
	}
	if out.doubted && sa.heard <= out.begun {
		sa.ask(now, fx)
		return
	}
	if _, ok := sa.active.(*resumeExchange); ok { // the other way is to be had at once
		sa.notResumed(now, "the peer does not answer IKE_SESSION_RESUME", fx)
		return
	}
	tries := sa.Config.Retransmit.Tries
	if out.tries >= tries && !sa.hasOthers(out) {
		if sa.heard <= out.begun || out.rounds >= maxRounds {
			sa.unanswered(now, fx)
			return
		}
		out.begun, out.tries = now, 0
		out.rounds++
	}
	out.tries++
	out.due = now.Add(sa.retransmitAfter(min(out.tries, tries)))
	if out.tries <= tries {
		sa.mark(fx, ike.RequestRepeated, "no answer yet, request %d sent again (%d of %d)", out.id, out.tries, tries)
	} else {
		sa.mark(fx, ike.RequestRepeated, "no answer yet, request %d sent by the paths that were not tried", out.id)
	}
	sa.send(out.packets, fx)
	if out.tries >= min(probeFrom, tries) {
		sa.probe(out, fx)
	}
	if out.tries == besideFrom && !sa.probes() || out.tries == besideFrom+1 {
		sa.tryBeside(out, fx)
	}
}

// besideFrom is from which repetition of a liveness check on an IKE SA is set up beside
// the silent one, or the next where there are other paths: those come first.
const besideFrom = 2

// tryBeside asks for a new IKE SA beside one whose peer is silent: a peer that was
// restarted knows nothing of this one, and many say nothing about it. When it is the
// network that is silent the new one is, too, and this one stays.
func (sa *SA) tryBeside(out *outgoing, fx *ike.Effects) {
	_, asking := sa.active.(*liveness)
	// A ticket brings it back as soon as it is known to be lost, and only then.
	wanted := sa.conn.Restarts() && sa.mayReauthenticate() && !sa.conn.SessionResumption
	if !asking || sa.state != ike.Up || !wanted || sa.beside || sa.heard > out.begun {
		return
	}
	s := sa.Status()
	sa.beside = true
	sa.report(fx, ike.Report{Kind: ike.ReauthDue, SA: &s, Text: "the peer is silent; it may have been restarted, so that phase 1 is tried anew beside this one"})
}

// suspected asks a peer for certainty that is said not to know the IKE SA any more
// (INVALID_IKE_SPI, RFC 7296, 2.21.4). Who said so is not known: all that comes of it is
// that the peer is asked now, and waited for less long. One that lives does answer.
func (sa *SA) suspected(now ike.Instant, ev ike.Suspected, fx *ike.Effects) {
	// A replaced one is known to the peer when it has got our answer.
	known := sa.win.nextRecv > 0 || sa.win.nextSend > 1
	if sa.state != ike.Up || !known || ev.Path != sa.path || ev.SPIi != sa.spiI || ev.SPIr != sa.spiR {
		return
	}
	switch {
	case sa.win.out != nil:
		sa.hurry(now, fx)
	case sa.active == nil && len(sa.queue) == 0:
		sa.push(&liveness{doubted: true})
	}
}

// hurry waits for less long for the answer to the request under way.
func (sa *SA) hurry(now ike.Instant, fx *ike.Effects) {
	if out := sa.win.out; out != nil && !out.doubted {
		sa.say(fx, ike.Step, "the peer is said not to know phase 1 any more (INVALID_IKE_SPI), asking it for certainty")
		out.doubted, out.begun, out.tries, out.due = true, now, 0, now.Add(doubtTime)
	}
}

// ask repeats a request to a peer that seems not to know the IKE SA.
func (sa *SA) ask(now ike.Instant, fx *ike.Effects) {
	out := sa.win.out
	if out.tries >= doubtTries && !sa.hasOthers(out) {
		why := &ike.Refusal{Cause: ike.NoAnswer, Hint: "it has lost phase 1, as by a restart (INVALID_IKE_SPI)"}
		sa.close(now, "the peer has lost it, as by a restart (INVALID_IKE_SPI)", why, fx)
		return
	}
	out.tries++
	out.due = now.Add(doubtTime)
	sa.count(fx, ike.RequestRepeated)
	sa.send(out.packets, fx)
	sa.probe(out, fx)
}

// lives takes back that an IKE SA beside this one was asked for.
func (sa *SA) lives(fx *ike.Effects) {
	if sa.beside {
		sa.beside = false
		sa.report(fx, ike.Report{Kind: ike.PeerLives, Text: "the peer answers again"})
	}
}

// unanswered ends an IKE SA whose peer does not answer.
func (sa *SA) unanswered(now ike.Instant, fx *ike.Effects) {
	why := &ike.Refusal{Cause: ike.NoAnswer, Hint: "check that the peer runs and that UDP 500 and 4500 reach it"}
	sa.close(now, "the peer does not answer", why, fx)
}

// respond sends the reply to the request being served to where that came from
// (RFC 7296, 2.11), and keeps it.
func (sa *SA) respond(packets [][]byte, fx *ike.Effects) {
	path := sa.serving.path
	countMessage(fx, sa.serving.header.Exchange, responseOut)
	sa.win.nextRecv++
	sa.win.lastReply = packets
	sa.serving = nil
	sendTo(path, packets, fx)
}

// repeat answers a retransmission of the peer's last request from the cache.
func (sa *SA) repeat(now ike.Instant, dg ike.Datagram, fx *ike.Effects) {
	if sa.win.lastReply == nil || sha256.Sum256(dg.Data) != sa.win.lastDigest {
		return
	}
	sa.answeredAgain(now)
	sendTo(dg.Path, sa.win.lastReply, fx)
}

// header is the header of a message of ours.
func (sa *SA) header(x wire.ExchangeType, id uint32, response bool) wire.Header {
	h := wire.Header{SPIi: sa.spiI, SPIr: sa.spiR, Major: 2, Exchange: x, MessageID: id}
	if sa.initiator {
		h.Flags |= wire.FlagInitiator
	}
	if response {
		h.Flags |= wire.FlagResponse
	}
	return h
}
