package v2

import (
	"cmp"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// serveMobility handles what an INFORMATIONAL says about paths and returns what the
// answer says (RFC 4555, 3.5-3.7).
func (sa *SA) serveMobility(now ike.Instant, m *message, fx *ike.Effects) (answer []wire.Payload) {
	if n := wire.FindNotify(m.payloads, wire.NotifyCookie2); n != nil {
		answer = append(answer, &wire.Notify{Kind: wire.NotifyCookie2, Data: append([]byte(nil), n.Data...)})
	}
	if !sa.mobile.on {
		return answer
	}
	if addrs, told := addressesIn(m.path, m.payloads); told {
		sa.mobile.peers = addrs
		if sa.mobile.decides && !slices.Contains(addrs, sa.path.Remote.Addr()) {
			sa.leaveRemote(now, fx)
		}
	}
	if seenAs(m.payloads) != nil {
		answer = append(answer, natNotifies(sa.spiI, sa.spiR, m.path, sa.nat.forced)...)
	}
	if wire.FindNotify(m.payloads, wire.NotifyUpdateSAAddresses) == nil || sa.mobile.decides {
		return answer
	}
	if n := wire.FindNotify(m.payloads, wire.NotifyNoNATsAllowed); n != nil && string(n.Data) != string(noNATs(m.path)) {
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyUnexpectedNATDetected}}
	}
	if sa.unacceptable(m.path) {
		sa.say(fx, ike.Warning, "the peer wants to move to %s, which is refused: that is inside of the tunnel, this host's, or not the way that the configuration names", m.path.Remote)
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyUnacceptableAddresses}}
	}
	nat, was := sa.nat, sa.path
	if seenAs(m.payloads) != nil {
		nat = detectNAT(m.header, m.path, m.payloads)
	}
	if sa.relocate(m.path, nat, fx); sa.path != was {
		sa.hasten(now)
		pushOnce(sa, &routability{})
	}
	return answer
}

// noNATs is what NO_NATS_ALLOWED holds when a message has come by a path as it was
// sent (RFC 4555, 4.2.6).
func noNATs(path ike.Path) []byte {
	b := append(path.Remote.Addr().AsSlice(), path.Local.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, path.Remote.Port())
	return binary.BigEndian.AppendUint16(b, path.Local.Port())
}

// leaveRemote goes over to the address from which the peer says that it does not have the
// one in use any more.
func (sa *SA) leaveRemote(now ike.Instant, fx *ike.Effects) {
	to := sa.mobile.peers[0]
	sa.mobile.was = cmp.Or(sa.mobile.was, sa.path)
	sa.mobile.roamed = true
	sa.path.Remote = netip.AddrPortFrom(to, sa.path.Remote.Port())
	sa.hasten(now)
	sa.pushUpdate()
	sa.askSources(fx)
}

// routability makes sure that the peer is where it says that it is (RFC 4555, 3.7).
type routability struct{ gather }

func (x *routability) name() string { return "IKE_MOBIKE" }

// start draws the cookie, which the peer must not be able to guess (RFC 4555, 4.2.5).
func (x *routability) start(sa *SA, _ ike.Instant, fx *ike.Effects) {
	x.compute(sa, x, offerJob{}, fx)
}

func (x *routability) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	if !x.take(d) {
		return
	}
	if x.err != nil || sa.state != ike.Up && sa.state != ike.Rekeying {
		sa.end()
		return
	}
	sa.request(now, wire.Informational, fx, &wire.Notify{Kind: wire.NotifyCookie2, Data: x.nonce})
}

// reply implements exchange: another cookie is the end (RFC 4555, 3.7).
func (x *routability) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	sa.end()
	n := wire.FindNotify(m.payloads, wire.NotifyCookie2)
	if n == nil || subtle.ConstantTimeCompare(n.Data, x.nonce) != 1 {
		sa.close(now, "", &ike.Refusal{Cause: ike.BadMessage, Err: "the peer does not return COOKIE2"}, fx)
	}
}

func (x *routability) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}
