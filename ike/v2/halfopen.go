package v2

import (
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// farewell ends at the peer an IKE SA that is not established here: its request tells
// so, and is repeated for a bounded time.
type farewell struct {
	exchange wire.ExchangeType
	payload  wire.Payload
}

func (x *farewell) name() string { return x.exchange.String() }

func (x *farewell) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.request(now, x.exchange, fx, x.payload)
}

func (*farewell) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange: whatever the peer says, the IKE SA is gone.
func (x *farewell) reply(sa *SA, now ike.Instant, _ *message, fx *ike.Effects) {
	sa.end()
	sa.close(now, "", sa.over, fx)
}

func (*farewell) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// giveUp ends an IKE SA that is not established. From IKE_SA_INIT on the peer has one,
// too: it is told as soon as the order of messages allows that, and waited for for a
// bounded time. Without a request under way an initiator tells it by an IKE_AUTH that
// cannot succeed; else the answer comes first. A responder has nothing to say but in its
// answer to IKE_AUTH.
func (sa *SA) giveUp(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	init, _ := sa.active.(*initExchange)
	auth, _ := sa.active.(*authExchange)
	switch {
	case sa.over != nil:
		return // under way
	case init != nil && init.peer != nil, auth != nil && auth.left > 0: // in a moment
	case !sa.keys.ready():
		sa.close(now, "", why, fx)
		return
	case sa.initiator && sa.win.out == nil:
		sa.part(now, why, &farewell{wire.IKEAuth, &wire.Notify{Kind: wire.NotifyAuthenticationFailed}}, fx)
		return
	case sa.serving != nil:
		sa.dropTask(fx)
		sa.failAuth(now, why, fx)
		return
	}
	sa.over = why
	if sa.expireAt == ike.Never {
		sa.expireAt = now.Add(closingTime)
	}
	sa.failQueue(now, why, fx)
}

// givenUp goes on with giveUp when what it had to wait for is done; it tells whether the
// IKE SA is given up.
func (sa *SA) givenUp(now ike.Instant, fx *ike.Effects) bool {
	why := sa.over
	if why != nil {
		sa.over = nil
		sa.giveUp(now, why, fx)
	}
	return why != nil
}

// part begins the farewell of an initiator.
func (sa *SA) part(now ike.Instant, why *ike.Refusal, x *farewell, fx *ike.Effects) {
	sa.over, sa.state, sa.expireAt = why, ike.Deleting, now.Add(closingTime)
	sa.failAll(now, why, fx)
	sa.push(x)
}

// renounce tells a responder that believes in the IKE SA that it did not authenticate,
// or made no sense (RFC 7296, 2.21.2). The failure is reported at once.
func (sa *SA) renounce(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	if sa.over == nil {
		sa.failed(fx, "", why)
		sa.told = true
	}
	sa.part(now, why, &farewell{wire.Informational, &wire.Notify{Kind: wire.NotifyAuthenticationFailed}}, fx)
}

// leave deletes the IKE SA at a responder that has accepted it after it was given up
// here (RFC 7296, 1.4.1).
func (sa *SA) leave(now ike.Instant, fx *ike.Effects) {
	sa.part(now, sa.over, &farewell{wire.Informational, &wire.Delete{Protocol: wire.ProtocolIKE}}, fx)
}

// bow ends an IKE SA at once that is not established, and tells the peer what can be
// told in one message without an answer.
func (sa *SA) bow(now ike.Instant, why *ike.Refusal, fx *ike.Effects) {
	switch {
	case sa.over == nil && sa.initiator && sa.keys.ready() && sa.win.out == nil:
		h := sa.header(wire.IKEAuth, sa.win.nextSend, false)
		if packets, err := sa.protect(h, &wire.Notify{Kind: wire.NotifyAuthenticationFailed}); err == nil {
			sa.send(packets, fx)
		}
	case sa.serving != nil && sa.keys.ready():
		sa.dropTask(fx)
		sa.failAuth(now, why, fx)
		return
	}
	sa.close(now, "", why, fx)
}
