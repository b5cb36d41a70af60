package v2

import (
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// serve handles an authentic request of the peer.
func (sa *SA) serve(now ike.Instant, m *message, fx *ike.Effects) {
	switch m.header.Exchange {
	case wire.IKEAuth:
		sa.serveAuth(now, m, fx)
	case wire.CreateChildSA:
		sa.serveCreate(now, m, fx)
	case wire.Informational:
		sa.serveInformational(now, m, fx)
	default:
		sa.refuseBroken(now, &wire.ProtocolError{Notify: wire.NotifyInvalidSyntax, Reason: "unknown exchange"}, fx)
	}
}

// refuseBroken answers an authentic request that breaks the protocol. INVALID_SYNTAX
// is the end of the IKE SA on both sides (RFC 7296, 2.21.3), and so is any error
// before it is established (2.21.2).
func (sa *SA) refuseBroken(now ike.Instant, perr *wire.ProtocolError, fx *ike.Effects) {
	sa.answer(now, fx, &wire.Notify{Kind: perr.Notify, Data: perr.Data})
	if sa.closed {
		return
	}
	why := &ike.Refusal{Cause: ike.BadMessage, Notify: perr.Notify.String(), Err: perr.Reason}
	if perr.Notify == wire.NotifyInvalidSyntax || sa.established == ike.Never {
		sa.close(now, "", why, fx)
		return
	}
	sa.say(fx, ike.Warning, "request of the peer refused: %s", why)
}

// deny answers a request with an error notify.
func (sa *SA) deny(now ike.Instant, kind wire.NotifyType, data []byte, fx *ike.Effects) {
	sa.answer(now, fx, &wire.Notify{Kind: kind, Data: data})
}

// dropServing ends what is under way for the peer without an answer.
func (sa *SA) dropServing(fx *ike.Effects) {
	if sa.serving != nil {
		sa.dropTask(fx)
	}
	sa.serving = nil
}

// dropTask ends what is under way for the peer; it is to be answered.
func (sa *SA) dropTask(fx *ike.Effects) {
	if task := sa.serving.task; task != nil {
		sa.serving.task = nil
		sa.forget(task)
		task.drop(sa, fx)
	}
}
