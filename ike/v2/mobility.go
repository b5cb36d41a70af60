package v2

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// mobility is what MOBIKE knows of an IKE SA (RFC 4555). Its zero value is not in use.
type mobility struct {
	on      bool         // both sides announced it
	decides bool         // this side began the first IKE SA: it chooses the path (RFC 4555, 2)
	peers   []netip.Addr // addresses of the peer: from where it told them last, then those told
	told    []netip.Addr // those of this host, as the peer was told
	asking  *sources
	roamed  bool       // something has changed since asking
	lost    bool       // the address in use is no longer this host's
	waits   bool       // there is no way to the peer
	paths   []ike.Path // that may work, the best first
	best    ike.Path   // the first of them when a path was chosen last
	was     ike.Path   // what the peer knows, while it is being told of another
	mapping []byte     // how the peer has seen our address last, hashed
}

// maxAddresses bounds the further addresses of a side that are told or kept, maxPaths
// the paths that are tried.
const (
	maxAddresses = 8
	maxPaths     = (maxAddresses + 1) * (maxAddresses + 1)
)

// mobilityNotifies announce MOBIKE in IKE_AUTH, and the addresses that this host has
// beside the one in use (RFC 4555, 3.3, 3.4).
func (sa *SA) mobilityNotifies(c *conf.Connection) []wire.Payload {
	if !c.MOBIKE {
		return nil
	}
	sa.mobile.told = sa.furtherAddresses(c)
	return append([]wire.Payload{&wire.Notify{Kind: wire.NotifyMOBIKESupported}}, addressNotifies(sa.mobile.told)...)
}

// agreeMobility reads what the peer announces in IKE_AUTH.
func (sa *SA) agreeMobility(ps []wire.Payload) {
	if !sa.conn.MOBIKE || wire.FindNotify(ps, wire.NotifyMOBIKESupported) == nil {
		return
	}
	sa.mobile.on, sa.mobile.decides, sa.mobile.best = true, sa.initiator, sa.path
	sa.mobile.peers, _ = addressesIn(sa.path, ps)
}

// furtherAddresses are those of this host that the peer may use beside the one in
// use: none where the configuration names one, and none that is inside of the tunnel.
func (sa *SA) furtherAddresses(c *conf.Connection) []netip.Addr {
	if c.LocalAddr.IsValid() || c.LocalInterface != "" {
		return nil
	}
	used := sa.path.Local.Addr()
	var out []netip.Addr
	for _, a := range sa.Own {
		if a != used && len(out) < maxAddresses && !sa.tunnelled(c, a, localSide) {
			out = append(out, a)
		}
	}
	return out
}

func addressNotifies(addrs []netip.Addr) []wire.Payload {
	var out []wire.Payload
	for _, a := range addrs {
		kind := wire.NotifyAdditionalIP4Address
		if a.Is6() {
			kind = wire.NotifyAdditionalIP6Address
		}
		out = append(out, &wire.Notify{Kind: kind, Data: a.AsSlice()})
	}
	return out
}

// addressesIn reads which addresses the peer has: those that it tells, behind that from
// which it does, which it does not name. told is false when it says nothing about them.
func addressesIn(by ike.Path, ps []wire.Payload) (addrs []netip.Addr, told bool) {
	addrs = append(addrs, by.Remote.Addr())
	for _, p := range ps {
		n, ok := p.(*wire.Notify)
		if !ok {
			continue
		}
		size := 4
		switch n.Kind {
		case wire.NotifyNoAdditionalAddresses:
			told = true
			continue
		case wire.NotifyAdditionalIP4Address:
		case wire.NotifyAdditionalIP6Address:
			size = 16
		default:
			continue
		}
		told = true
		if a, ok := netip.AddrFromSlice(n.Data); ok && len(n.Data) == size && a.Unmap().IsGlobalUnicast() && len(addrs) <= maxAddresses {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs, told
}

// roamed learns that this host's addresses or routes have changed.
func (sa *SA) roamed(now ike.Instant, ev ike.Roamed, fx *ike.Effects) {
	local := sa.path.Local.Addr()
	sa.mobile.lost = (sa.mobile.lost || slices.Contains(sa.Own, local)) && !slices.Contains(ev.Own, local)
	sa.Own = ev.Own
	lost := sa.mobile.lost
	switch {
	case lost && sa.established == ike.Never && sa.initiator:
		sa.close(now, "", &ike.Refusal{Cause: ike.NoAnswer, Err: lostText(local)}, fx)
	case sa.mobile.on, lost && sa.established != ike.Never && sa.mayReauthenticate():
		sa.mobile.roamed = true
		sa.askSources(fx)
	}
}

// strand ends an IKE SA whose address is lost and that cannot move, as soon as there is
// another way to the peer: it is then set up again. Until then the address may come back.
func (sa *SA) strand(now ike.Instant, local netip.Addr, fx *ike.Effects) {
	switch was := sa.path.Local.Addr(); {
	case !sa.mobile.lost:
		sa.mobile.waits = false
	case !local.IsValid():
		sa.awaitWay(fx)
	case local != was:
		how := lostText(was) + ", the tunnel is set up again (with mobike = true on both sides it would move)"
		sa.close(now, how, &ike.Refusal{Cause: ike.Expired, Err: how}, fx)
	}
}

// awaitWay says once that there is no way to the peer.
func (sa *SA) awaitWay(fx *ike.Effects) {
	if !sa.mobile.waits {
		sa.mobile.waits = true
		sa.say(fx, ike.Warning, "no way to %s any more, the tunnel waits for one", sa.path.Remote.Addr())
	}
}

func lostText(local netip.Addr) string {
	return local.String() + " is no longer an address of this host"
}

// roamedAt is when to ask for paths what an IKE SA has been left that was replaced
// before it had the answer.
func (sa *SA) roamedAt() ike.Instant {
	if sa.mobile.roamed && sa.mobile.asking == nil && sa.state == ike.Up {
		return sa.established
	}
	return ike.Never
}

// sources is the question from where the peer's addresses are reached.
type sources struct {
	remotes []netip.Addr
	choose  bool // a path is to be chosen
}

// askSources finds out which paths there are. What changes while that is asked is
// asked about afterwards.
func (sa *SA) askSources(fx *ike.Effects) {
	if sa.mobile.asking != nil {
		return
	}
	q := &sources{remotes: []netip.Addr{sa.path.Remote.Addr()}, choose: sa.mobile.roamed}
	for _, a := range sa.mobile.peers {
		if !slices.Contains(q.remotes, a) && !sa.tunnelled(sa.conn, a, remoteSide) {
			q.remotes = append(q.remotes, a)
		}
	}
	sa.mobile.asking, sa.mobile.roamed = q, false
	fx.Do(ike.Ask{Ticket: sa.newTicket(q), Query: ike.Sources{Conn: sa.conn, Remotes: q.remotes}})
}

// resume implements resumer.
func (q *sources) resume(sa *SA, now ike.Instant, d ike.Done, fx *ike.Effects) {
	sa.mobile.asking = nil
	if sa.mobile.roamed {
		sa.askSources(fx)
		return
	}
	locals, _ := d.Result.([]netip.Addr)
	if d.Err != nil || len(locals) != len(q.remotes) || sa.state != ike.Up && sa.state != ike.Rekeying {
		return
	}
	if !sa.mobile.on {
		sa.strand(now, locals[0], fx)
		return
	}
	var routed int
	sa.mobile.paths, routed = sa.pathsTo(q.remotes, locals)
	if q.choose {
		sa.choosePath(now, locals[0], routed, fx)
	}
	if out := sa.win.out; out != nil && out.probed {
		sa.tryOthers(out, fx)
	}
}

// pathsTo are the paths that may work: those that the routes choose, so many as routed
// says, then those from other addresses of this host.
func (sa *SA) pathsTo(remotes, locals []netip.Addr) (out []ike.Path, routed int) {
	add := func(local, remote netip.Addr) {
		p := sa.pathBetween(local, remote)
		if local.Is4() == remote.Is4() && len(out) < maxPaths && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for i, remote := range remotes {
		if locals[i].IsValid() {
			add(locals[i], remote)
		}
	}
	routed = len(out)
	others := sa.furtherAddresses(sa.conn)
	if used := sa.path.Local.Addr(); slices.Contains(sa.Own, used) {
		others = append([]netip.Addr{used}, others...)
	}
	for _, remote := range remotes {
		for _, local := range others {
			add(local, remote)
		}
	}
	return out, routed
}

// pathBetween is the path between two addresses. Only for the address in use is
// another port of the peer known than the usual one.
func (sa *SA) pathBetween(local, remote netip.Addr) ike.Path {
	port := sa.path.Local.Port()
	to := port
	if remote == sa.path.Remote.Addr() {
		to = sa.path.Remote.Port()
	}
	return ike.Path{Local: netip.AddrPortFrom(local, port), Remote: netip.AddrPortFrom(remote, to)}
}
