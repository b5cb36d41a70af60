package v2

import (
	"cmp"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// choosePath goes over to the best path. One that has taken its place because that was
// silent stays in use until the routes choose another. Where the peer chooses, this side only sees to
// it that its own messages leave, and that the peer knows its addresses. local is from
// where the peer's address in use is reached, the zero Addr when it is not.
func (sa *SA) choosePath(now ike.Instant, local netip.Addr, fx *ike.Effects) {
	if len(sa.mobile.paths) == 0 {
		sa.say(fx, ike.Warning, "no way to %s any more, the tunnel waits for one", sa.path.Remote.Addr())
		return
	}
	best := sa.mobile.paths[0]
	kept := best == sa.mobile.best && slices.Contains(sa.mobile.paths, sa.path)
	sa.mobile.best = best
	switch {
	case sa.mobile.decides && best != sa.path && !kept:
		sa.leaveFor(now, best, fx)
	case !sa.mobile.decides && local.IsValid() && local != sa.path.Local.Addr():
		sa.say(fx, ike.Step, "%s is left for %s, the peer is told", sa.path.Local.Addr(), local)
		sa.mobile.was = cmp.Or(sa.mobile.was, sa.path)
		sa.path.Local = netip.AddrPortFrom(local, sa.path.Local.Port())
		sa.hasten(now)
		sa.pushFirst(&addressExchange{})
	case !slices.Equal(sa.mobile.told, sa.furtherAddresses(sa.conn)):
		sa.push(&addressExchange{})
	}
}

// leaveFor begins to use a path, and to tell the peer of it (RFC 4555, 3.5).
func (sa *SA) leaveFor(now ike.Instant, to ike.Path, fx *ike.Effects) {
	sa.mobile.was = cmp.Or(sa.mobile.was, sa.path)
	sa.say(fx, ike.Step, "trying the path from %s to %s", to.Local.Addr(), to.Remote)
	sa.path = to
	sa.hasten(now)
	sa.pushUpdate()
}

// pushUpdate sees to it that the peer is told of the path in use.
func (sa *SA) pushUpdate() {
	if !slices.ContainsFunc(sa.queue, isUpdate) {
		sa.pushFirst(&updateExchange{})
	}
}

func isUpdate(x exchange) bool {
	_, ok := x.(*updateExchange)
	return ok
}

// hasten sends the request under way again, by the path that is in use now.
func (sa *SA) hasten(now ike.Instant) {
	if out := sa.win.out; out != nil {
		out.begun, out.tries, out.due = now, 0, now
	}
}

// probe sends a request that is not answered by all other paths, too (RFC 4555, 3.10).
// What there is of them may have changed, so that it is asked for anew.
func (sa *SA) probe(fx *ike.Effects) {
	if !sa.mobile.on || !sa.mobile.decides || sa.state == ike.Rekeyed {
		return
	}
	if sa.mobile.asking == nil {
		sa.askSources(fx)
	}
	for _, p := range sa.mobile.paths {
		if p != sa.path {
			sendTo(p, sa.win.out.packets, fx)
		}
	}
}

// answeredBy learns by which path an answer came. One that was tried while that in use
// was silent works, and is taken.
func (sa *SA) answeredBy(now ike.Instant, by ike.Path, fx *ike.Effects) {
	if sa.mobile.on && sa.mobile.decides && by != sa.path && slices.Contains(sa.mobile.paths, by) {
		sa.leaveFor(now, by, fx)
	}
}

// updateExchange tells the peer by which path this side is to be reached from now on
// (RFC 4555, 3.5).
type updateExchange struct{ path ike.Path }

func (x *updateExchange) name() string { return "IKE_MOBIKE" }

func (x *updateExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if !sa.mobile.on || sa.state != ike.Up && sa.state != ike.Rekeying {
		sa.end()
		return
	}
	x.path = sa.path
	sa.mobile.told = sa.furtherAddresses(sa.conn)
	ps := []wire.Payload{&wire.Notify{Kind: wire.NotifyUpdateSAAddresses}}
	ps = append(ps, natNotifies(sa.spiI, sa.spiR, sa.path, sa.nat.forced)...)
	sa.request(now, wire.Informational, fx, append(ps, sa.addressList()...)...)
}

func (x *updateExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange. The answer counts for the path of the request only.
func (x *updateExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	sa.end()
	if n := errorNotify(m.payloads); n != nil {
		x.refused(sa, now, n, fx)
		return
	}
	if sa.path != x.path {
		sa.pushUpdate()
		return
	}
	sa.mobile.mapping = seenAs(m.payloads)
	sa.relocate(x.path, detectNAT(m.header, m.path, m.payloads), fx)
}

func (x *updateExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// refused goes on with the next path when the peer does not take one.
func (x *updateExchange) refused(sa *SA, now ike.Instant, n *wire.Notify, fx *ike.Effects) {
	sa.say(fx, ike.Warning, "the peer does not take %s as this side's address: %s", x.path.Local.Addr(), n.Kind)
	sa.mobile.paths = slices.DeleteFunc(sa.mobile.paths, func(p ike.Path) bool { return p == x.path })
	if len(sa.mobile.paths) > 0 {
		sa.leaveFor(now, sa.mobile.paths[0], fx)
	}
}

// seenAs is how the sender of a message sees the address of its receiver.
func seenAs(ps []wire.Payload) []byte {
	if n := wire.FindNotify(ps, wire.NotifyNATDetectionDestinationIP); n != nil {
		return append([]byte(nil), n.Data...)
	}
	return nil
}

// relocate moves the IKE SA and its children to a path that both sides know.
func (sa *SA) relocate(to ike.Path, nat natState, fx *ike.Effects) {
	was := cmp.Or(sa.mobile.was, sa.path)
	nat.forced = sa.nat.forced
	same := was == to && nat == sa.nat
	sa.path, sa.nat, sa.mobile.was = to, nat, ike.Path{}
	if same {
		return
	}
	sa.moveChildren(to, fx)
	s := sa.Status()
	sa.report(fx, ike.Report{Kind: ike.IKEMoved, SA: &s, Text: movedText(was, to, nat)})
}

func movedText(was, to ike.Path, nat natState) string {
	text := "NAT on the path has changed"
	if was != to {
		text = fmt.Sprintf("moved from %s - %s to %s - %s", was.Local.Addr(), was.Remote, to.Local.Addr(), to.Remote)
	}
	return text + natText(nat)
}

// addressExchange tells the peer which addresses this host has (RFC 4555, 3.6).
type addressExchange struct{}

func (x *addressExchange) name() string { return "IKE_MOBIKE" }

func (x *addressExchange) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if !sa.mobile.on || sa.state != ike.Up && sa.state != ike.Rekeying {
		sa.end()
		return
	}
	sa.mobile.told = sa.furtherAddresses(sa.conn)
	sa.request(now, wire.Informational, fx, sa.addressList()...)
}

// addressList is the whole of our further addresses.
func (sa *SA) addressList() []wire.Payload {
	if len(sa.mobile.told) == 0 {
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyNoAdditionalAddresses}}
	}
	return addressNotifies(sa.mobile.told)
}

func (x *addressExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects)         {}
func (x *addressExchange) reply(sa *SA, _ ike.Instant, _ *message, _ *ike.Effects) { sa.end() }
func (x *addressExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects)       {}

// serveMobility handles what an INFORMATIONAL says about paths and returns what the
// answer says (RFC 4555, 3.5-3.7).
func (sa *SA) serveMobility(now ike.Instant, m *message, fx *ike.Effects) (answer []wire.Payload) {
	if n := wire.FindNotify(m.payloads, wire.NotifyCookie2); n != nil {
		answer = append(answer, &wire.Notify{Kind: wire.NotifyCookie2, Data: append([]byte(nil), n.Data...)})
	}
	if !sa.mobile.on {
		return answer
	}
	if addrs, told := addressesIn(m.payloads); told {
		sa.mobile.peers = addrs
		if from := m.path.Remote.Addr(); sa.mobile.decides && from != sa.path.Remote.Addr() && !slices.Contains(addrs, sa.path.Remote.Addr()) {
			// Its address in use is gone; that of the message is one that it has.
			sa.mobile.peers = append([]netip.Addr{from}, addrs...)
			sa.leaveRemote(fx)
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
	if to := m.path.Remote.Addr(); tunnelled(sa.conn, to, sa.path.Remote.Addr(), remoteNetworks) {
		sa.say(fx, ike.Warning, "the peer wants to move to %s, which is inside of the tunnel: refused", to)
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyUnacceptableAddresses}}
	}
	nat, was := sa.nat, sa.path
	if seenAs(m.payloads) != nil {
		nat = detectNAT(m.header, m.path, m.payloads)
	}
	if sa.relocate(m.path, nat, fx); sa.path != was {
		sa.hasten(now)
		sa.pushFirst(&routability{})
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

// leaveRemote looks for a path to another address of the peer.
func (sa *SA) leaveRemote(fx *ike.Effects) {
	to := sa.mobile.peers[0]
	sa.mobile.was = cmp.Or(sa.mobile.was, sa.path)
	sa.mobile.roamed = true
	sa.path.Remote = netip.AddrPortFrom(to, sa.path.Remote.Port())
	sa.pushUpdate()
	sa.askSources(fx)
}

// routability makes sure that the peer is where it says that it is (RFC 4555, 3.7).
type routability struct{ cookie []byte }

func (x *routability) name() string { return "IKE_MOBIKE" }

func (x *routability) start(sa *SA, now ike.Instant, fx *ike.Effects) {
	if sa.state != ike.Up && sa.state != ike.Rekeying {
		sa.end()
		return
	}
	// Nobody can guess it who does not have the keys.
	x.cookie = sa.prf().Sum(sa.keys.d, []byte("COOKIE2"), binary.BigEndian.AppendUint32(nil, sa.win.nextSend))
	x.cookie = x.cookie[:min(len(x.cookie), 64)]
	sa.request(now, wire.Informational, fx, &wire.Notify{Kind: wire.NotifyCookie2, Data: x.cookie})
}

func (x *routability) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange: another cookie is the end (RFC 4555, 3.7).
func (x *routability) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	sa.end()
	n := wire.FindNotify(m.payloads, wire.NotifyCookie2)
	if n == nil || subtle.ConstantTimeCompare(n.Data, x.cookie) != 1 {
		sa.close(now, "", &ike.Refusal{Cause: ike.BadMessage, Err: "the peer does not return COOKIE2"}, fx)
	}
}

func (x *routability) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// bequeathMobility leaves to the heir what of a move is not over.
func (sa *SA) bequeathMobility(heir *SA) {
	m := sa.mobile
	m.roamed = m.roamed || m.asking != nil
	m.asking, m.mapping = nil, nil // the hash is over the SPIs, too
	heir.mobile = m
	if m.was != (ike.Path{}) {
		heir.tellPath()
	}
}

// tellPath begins anew to tell the peer of the path in use.
func (sa *SA) tellPath() {
	if sa.mobile.decides {
		sa.pushUpdate()
		return
	}
	sa.pushFirst(&addressExchange{})
}
