package v2

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// redirectTime is how long a gateway waits for a peer that it has sent elsewhere to end
// the IKE SA (RFC 5685, 5).
const redirectTime = 30 * time.Second

// redirectNotify announces that we follow redirects, or tells which gateway has sent us
// to this one, which says the same (RFC 5685, 3, 4).
func (sa *SA) redirectNotify() []wire.Payload {
	if !sa.conn.FollowRedirects {
		return nil
	}
	sa.ext.follows = true
	if !sa.RedirectedFrom.IsValid() {
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyRedirectSupported}}
	}
	from := wire.RedirectTo(sa.RedirectedFrom.String())
	return []wire.Payload{&wire.Notify{Kind: wire.NotifyRedirectedFrom, Data: from.Append(nil)}}
}

// readRedirect notes whether the initiator follows redirects.
func (sa *SA) readRedirect(ps []wire.Payload, fx *ike.Effects) {
	sa.ext.redirectable = wire.FindNotify(ps, wire.NotifyRedirectSupported) != nil
	if n := wire.FindNotify(ps, wire.NotifyRedirectedFrom); n != nil {
		if from, err := wire.ParseRedirect(n.Data); err == nil {
			sa.ext.redirectable = true
			sa.say(fx, ike.Step, "%s was sent here by the gateway %s", sa.path.Remote, from)
		}
	}
}

// redirectedTo is where the gateway sends us, nil when it does not, or has not been told
// that we follow. nonce is what it has to repeat, nil for nothing: without it anybody may
// have said so (RFC 5685, 3).
func (sa *SA) redirectedTo(ps []wire.Payload, nonce []byte) *ike.Refusal {
	n := wire.FindNotify(ps, wire.NotifyRedirect)
	if n == nil || !sa.ext.follows {
		return nil
	}
	to, err := wire.ParseRedirect(n.Data)
	if err != nil || nonce != nil && !bytes.Equal(to.Nonce, nonce) || !reachable(to) {
		return nil
	}
	return &ike.Refusal{Cause: ike.Redirected, ByPeer: true, Notify: n.Kind.String(), Gateway: to.String()}
}

// reachable tells whether an address can be that of a gateway.
func reachable(to wire.Redirect) bool {
	addr, err := netip.ParseAddr(to.String())
	return err != nil || !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() && addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// sentAway reports that the gateway of an established IKE SA wants us to go elsewhere. It
// goes on until that is done.
func (sa *SA) sentAway(ps []wire.Payload, fx *ike.Effects) {
	why := sa.redirectedTo(ps, nil)
	if why == nil || sa.state != ike.Up {
		return
	}
	s := sa.Status()
	sa.report(fx, ike.Report{Kind: ike.ReauthDue, SA: &s, Why: why, Text: why.String()})
}

// redirectExchange sends the peer to another gateway (RFC 5685, 5).
type redirectExchange struct{ gateway string }

func (*redirectExchange) name() string { return "IKE_REDIRECT" }

func (x *redirectExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	sa.say(fx, ike.Step, "redirecting the peer to the gateway %s", x.gateway)
	to := wire.RedirectTo(x.gateway)
	sa.request(now, wire.Informational, fx, &wire.Notify{Kind: wire.NotifyRedirect, Data: to.Append(nil)})
}

func (*redirectExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange: the peer has heard it.
func (x *redirectExchange) reply(sa *SA, now ike.Instant, _ *message, _ *ike.Effects) {
	sa.end()
	sa.dismissed = "the peer was redirected to " + x.gateway + ", and did not end it"
	sa.expireAt, sa.rekeyAt = min(sa.expireAt, now.Add(redirectTime)), ike.Never
}

func (*redirectExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// redirect handles the command. What cannot be redirected is left alone.
func (sa *SA) redirect(ev ike.Redirect, fx *ike.Effects) {
	switch {
	case sa.state != ike.Up || sa.dismissed != "":
		sa.say(fx, ike.Warning, "not redirected: it is not established, or about to end")
	case !sa.ext.redirectable:
		sa.say(fx, ike.Warning, "not redirected: the peer has not begun it, or does not follow redirects")
	default:
		sa.push(&redirectExchange{ev.Gateway})
	}
}
