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
	peers   []netip.Addr // further addresses of the peer, as it told last
	told    []netip.Addr // those of this host, as the peer was told
	asking  *sources
	roamed  bool       // something has changed since asking
	paths   []ike.Path // that may work, the best first
	best    ike.Path   // the first of them when a path was chosen last
	was     ike.Path   // what the peer knows, while it is being told of another
	mapping []byte     // how the peer has seen our address last, hashed
}

// maxAddresses bounds the addresses of a side that are told or kept, and the paths
// that are tried.
const maxAddresses = 8

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
	sa.mobile.peers, _ = addressesIn(ps)
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
		if a != used && len(out) < maxAddresses && !tunnelled(c, a, used, localNetworks) {
			out = append(out, a)
		}
	}
	return out
}

func localNetworks(c *conf.Child) []conf.Selector  { return c.Local }
func remoteNetworks(c *conf.Child) []conf.Selector { return c.Remote }

// tunnelled tells whether an address is one that packets inside of the tunnel have. A
// network that also holds the address in use says nothing.
func tunnelled(c *conf.Connection, a, used netip.Addr, networks func(*conf.Child) []conf.Selector) bool {
	for _, child := range c.Children {
		for _, n := range networks(child) {
			if covers(n, a) && !covers(n, used) {
				return true
			}
		}
	}
	return false
}

func covers(n conf.Selector, a netip.Addr) bool {
	return n.First.Is4() == a.Is4() && n.First.Compare(a) <= 0 && a.Compare(n.Last) <= 0
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

// addressesIn reads which further addresses the peer has. told is false when it says
// nothing about them.
func addressesIn(ps []wire.Payload) (addrs []netip.Addr, told bool) {
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
		if a, ok := netip.AddrFromSlice(n.Data); ok && len(n.Data) == size && a.Unmap().IsGlobalUnicast() && len(addrs) < maxAddresses {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs, told
}

// roamed learns that this host's addresses or routes have changed.
func (sa *SA) roamed(now ike.Instant, ev ike.Roamed, fx *ike.Effects) {
	local := sa.path.Local.Addr()
	lost := slices.Contains(sa.Own, local) && !slices.Contains(ev.Own, local)
	sa.Own = ev.Own
	switch {
	case sa.mobile.on:
		sa.mobile.roamed = true
		sa.askSources(fx)
	case lost && sa.established == ike.Never && sa.initiator:
		sa.close(now, "", &ike.Refusal{Cause: ike.NoAnswer, Err: lostText(local)}, fx)
	case lost && sa.established != ike.Never && sa.mayReauthenticate():
		how := lostText(local) + ", the tunnel is set up again (with mobike = true on both sides it would move)"
		sa.close(now, how, &ike.Refusal{Cause: ike.Expired, Err: how}, fx)
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
	used := sa.path.Remote.Addr()
	q := &sources{remotes: []netip.Addr{used}, choose: sa.mobile.roamed}
	for _, a := range sa.mobile.peers {
		if !slices.Contains(q.remotes, a) && !tunnelled(sa.conn, a, used, remoteNetworks) {
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
	sa.mobile.paths = sa.pathsTo(q.remotes, locals)
	if q.choose {
		sa.choosePath(now, locals[0], fx)
	}
}

// pathsTo are the paths that may work: those that the routes choose, then those
// from other addresses of this host.
func (sa *SA) pathsTo(remotes, locals []netip.Addr) []ike.Path {
	var out []ike.Path
	add := func(local, remote netip.Addr) {
		p := sa.pathBetween(local, remote)
		if local.Is4() == remote.Is4() && len(out) < maxAddresses && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for i, remote := range remotes {
		if locals[i].IsValid() {
			add(locals[i], remote)
		}
	}
	for _, remote := range remotes {
		for _, local := range sa.furtherAddresses(sa.conn) {
			add(local, remote)
		}
	}
	return out
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
