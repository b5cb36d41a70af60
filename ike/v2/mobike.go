package v2

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/wire"
)

// choosePath goes over to the best of the paths that routes choose, so many as routed
// says. One that has taken its place because that was silent stays in use until they
// choose another. Where the peer chooses, this side only sees to it that its own messages
// leave, and that the peer knows its addresses. local is from where the peer's address in
// use is reached, the zero Addr when it is not.
func (sa *SA) choosePath(now ike.Instant, local netip.Addr, routed int, fx *ike.Effects) {
	if routed == 0 {
		sa.awaitWay(fx)
		return
	}
	sa.mobile.waits = false
	best := sa.mobile.paths[0]
	kept := best == sa.mobile.best && slices.Contains(sa.mobile.paths, sa.path)
	sa.mobile.best = best
	switch {
	case sa.mobile.decides && best != sa.path && !kept:
		sa.leaveFor(now, best, fx)
	case !sa.mobile.decides && sa.mobile.lost && local.IsValid() && local != sa.path.Local.Addr():
		sa.say(fx, ike.Step, "%s is left for %s, the peer is told", sa.path.Local.Addr(), local)
		sa.mobile.was, sa.mobile.lost = cmp.Or(sa.mobile.was, sa.path), false
		sa.path.Local = netip.AddrPortFrom(local, sa.path.Local.Port())
		sa.hasten(now)
		sa.pushAddresses()
	case !slices.Equal(sa.mobile.told, sa.furtherAddresses(sa.conn)):
		sa.pushAddresses()
	}
}

// leaveFor begins to use a path, and to tell the peer of it (RFC 4555, 3.5).
func (sa *SA) leaveFor(now ike.Instant, to ike.Path, fx *ike.Effects) {
	sa.mobile.was, sa.mobile.lost = cmp.Or(sa.mobile.was, sa.path), false
	sa.say(fx, ike.Step, "trying the path from %s to %s", to.Local.Addr(), to.Remote)
	sa.path = to
	sa.hasten(now)
	sa.pushUpdate()
}

// pushUpdate sees to it that the peer is told of the path in use.
func (sa *SA) pushUpdate() { pushOnce(sa, &updateExchange{}) }

// pushAddresses sees to it that the peer is told of this host's addresses.
func (sa *SA) pushAddresses() { pushOnce(sa, &addressExchange{}) }

// pushOnce queues an exchange before all that wait, unless one of its kind does already.
func pushOnce[X exchange](sa *SA, x X) {
	same := func(q exchange) bool { _, is := q.(X); return is }
	if !slices.ContainsFunc(sa.queue, same) {
		sa.pushFirst(x)
	}
}

// hasten sends the request under way again, by the path that is in use now.
func (sa *SA) hasten(now ike.Instant) {
	if out := sa.win.out; out != nil {
		out.begun, out.tries, out.due = now, 0, now
		out.strayed, out.probed, out.covered, out.next = true, false, false, 0
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
	x.path, sa.mobile.told = sa.path, sa.furtherAddresses(sa.conn)
	ps := []wire.Payload{&wire.Notify{Kind: wire.NotifyUpdateSAAddresses}}
	ps = append(ps, natNotifies(sa.spiI, sa.spiR, sa.path, sa.nat.forced)...)
	sa.request(now, wire.Informational, fx, append(ps, sa.addressList()...)...)
}

func (x *updateExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange. The answer counts for the path of the request only. Where
// that went by several, the peer may have taken another of them, which looks like a NAT
// from here: it is told again.
func (x *updateExchange) reply(sa *SA, now ike.Instant, m *message, fx *ike.Effects) {
	sa.end()
	if n := errorNotify(m.payloads); n != nil {
		x.refused(sa, now, n, fx)
		return
	}
	nat := detectNAT(m.header, m.path, m.payloads)
	if sa.path != x.path || m.strayed && (m.path != x.path || nat != (natState{})) {
		sa.pushUpdate()
		return
	}
	sa.mobile.mapping = seenAs(m.payloads)
	sa.relocate(x.path, nat, fx)
}

func (x *updateExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

// refused goes on with the next path when the peer does not take one, or stays where it
// was.
func (x *updateExchange) refused(sa *SA, now ike.Instant, n *wire.Notify, fx *ike.Effects) {
	sa.say(fx, ike.Warning, "the peer does not take %s as this side's address: %s", x.path.Local.Addr(), n.Kind)
	sa.mobile.paths = slices.DeleteFunc(sa.mobile.paths, func(p ike.Path) bool { return p == x.path })
	switch was := sa.mobile.was; {
	case sa.path != x.path:
		sa.pushUpdate()
	case len(sa.mobile.paths) > 0:
		sa.leaveFor(now, sa.mobile.paths[0], fx)
	case was != ike.Path{}:
		sa.path, sa.mobile.was = was, ike.Path{}
		for _, c := range sa.children {
			sa.fetch(c, fx)
		}
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
	elsewhere := func(c *child.SA) bool { return c.Path != to }
	same := was == to && nat == sa.nat && !slices.ContainsFunc(sa.children, elsewhere)
	sa.path, sa.nat, sa.mobile.was, sa.mobile.lost = to, nat, ike.Path{}, false
	if same {
		return
	}
	sa.moveChildren(to, fx)
	sa.readdress(was, to)
	s := sa.Status()
	sa.report(fx, ike.Report{Kind: ike.IKEMoved, SA: &s, Was: was, Text: movedText(was, to, nat)})
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

func (x *addressExchange) resume(*SA, ike.Instant, ike.Done, *ike.Effects) {}

// reply implements exchange. From where the peer has got it counts, too: what went by
// several paths is told again (RFC 4555, 3.6).
func (x *addressExchange) reply(sa *SA, _ ike.Instant, m *message, _ *ike.Effects) {
	sa.end()
	if m.strayed {
		sa.pushAddresses()
	}
}

func (x *addressExchange) fail(*SA, ike.Instant, *ike.Refusal, *ike.Effects) {}

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
	sa.pushAddresses()
}
