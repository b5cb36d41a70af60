package v2

import (
	"bytes"
	"crypto/sha256"
	"math"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// synced is what is remembered of the last synchronisation of message IDs.
type synced struct {
	done   bool
	m1     uint32 // the highest that the peer has announced
	digest digest // of its request
	reply  [][]byte
}

// syncNotify announces that the peer, a cluster, may synchronise message IDs after a
// failover (RFC 6311, 5). We answer only: there is nothing here to fail over to.
func syncNotify() wire.Payload { return &wire.Notify{Kind: wire.NotifyMessageIDSyncSupported} }

func knowsSync(ps []wire.Payload) bool {
	return wire.FindNotify(ps, wire.NotifyMessageIDSyncSupported) != nil
}

// receiveSync takes a request to synchronise message IDs: it has the message ID 0, outside
// of the window. It tells whether the message was one; what it may not do changes nothing.
func (sa *SA) receiveSync(now ike.Instant, h wire.Header, dg ike.Datagram, fx *ike.Effects) bool {
	if h.MessageID != 0 || h.Exchange != wire.Informational || !sa.ext.sync || sa.state != ike.Up || h.NextPayload == wire.PayloadSKF {
		return false
	}
	sum := sha256.Sum256(dg.Data)
	if sa.sync.done && sum == sa.sync.digest {
		sendTo(dg.Path, sa.sync.reply, fx)
		return true
	}
	m, perr, got := sa.open(h, ike.Datagram{Path: dg.Path, Data: bytes.Clone(dg.Data)}) // opened in its place
	if got != whole || perr != nil {
		return false
	}
	n := wire.FindNotify(m.payloads, wire.NotifyMessageIDSync)
	if n == nil {
		return false
	}
	if ask, err := wire.ParseMessageIDSync(n.Data); err == nil && sa.maySync(ask) {
		sa.sync = synced{done: true, m1: ask.NextSend, digest: sum}
		sa.heard = now
		sa.synchronise(now, ask, dg.Path, fx)
	}
	return true
}

// maySync tells whether the message IDs of a request go forward from all that the peer
// has used or announced (RFC 6311, 5.1): a request that was recorded never does. What is
// under way for the peer is answered first.
func (sa *SA) maySync(ask wire.MessageIDSync) bool {
	return ask.NextSend >= sa.win.nextRecv && (!sa.sync.done || ask.NextSend > sa.sync.m1) &&
		ask.NextSend < math.MaxUint32 && ask.NextReceived < math.MaxUint32 && sa.serving == nil &&
		(sa.win.out == nil || !sa.win.out.carried) // which could not be sent by another message ID
}

// synchronise moves both windows forward and answers (RFC 6311, 5.1: M2 and P2). A request
// of ours that was not answered is sent again by its new message ID.
func (sa *SA) synchronise(now ike.Instant, ask wire.MessageIDSync, path ike.Path, fx *ike.Effects) {
	w := &sa.win
	w.nextRecv, w.nextSend = ask.NextSend, max(ask.NextReceived, w.nextSend)
	w.lastDigest, w.lastReply, w.fragments = digest{}, nil, [2]reassembly{}
	answer := wire.MessageIDSync{Nonce: ask.Nonce, NextSend: w.nextSend, NextReceived: w.nextRecv}
	packets, err := sa.protect(sa.header(wire.Informational, 0, true), &wire.Notify{Kind: wire.NotifyMessageIDSync, Data: answer.Append(nil)})
	if err != nil {
		sa.close(now, "", &ike.Refusal{Cause: ike.Internal, Err: err.Error()}, fx)
		return
	}
	sa.sync.reply = packets
	sendTo(path, packets, fx)
	sa.say(fx, ike.Step, "the peer has synchronised message IDs: %d to send, %d to receive", w.nextSend, w.nextRecv)
	if out := w.out; out != nil {
		sa.request(now, out.exchange, fx, out.payloads...)
	}
}
