package v2

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// side is one end of a tunnel.
type side bool

const (
	localSide  side = false
	remoteSide side = true
)

// tunnelled tells whether an address is one that packets inside of the tunnel have, so
// that it is reached through the tunnel alone. A network that also holds the address in
// use says nothing.
func (sa *SA) tunnelled(c *conf.Connection, a netip.Addr, end side) bool {
	used := sa.path.Local.Addr()
	if end == remoteSide {
		used = sa.path.Remote.Addr()
	}
	inside := func(n wire.Selector) bool { return covers(n, a) && !covers(n, used) }
	for _, k := range c.Children {
		if n := pick(end, k.Local, k.Remote); len(n) > 0 && tunnels(k.Mode) && slices.ContainsFunc(ts.FromConf(n, used), inside) {
			return true
		}
	}
	// Of a wide network the peer may have agreed to a part. A single host may be the
	// gateway itself.
	agreed := func(n wire.Selector) bool { return n.Start != n.End && inside(n) }
	for _, k := range sa.children {
		if tunnels(k.Mode) && slices.ContainsFunc(pick(end, k.Local, k.Remote), agreed) {
			return true
		}
	}
	return false
}

func tunnels(m conf.Mode) bool { return m == conf.Tunnel || m == conf.BEET }

func pick[T any](end side, local, remote T) T {
	if end == remoteSide {
		return remote
	}
	return local
}

func covers(n wire.Selector, a netip.Addr) bool {
	return n.Start.Is4() == a.Is4() && n.Start.Compare(a) <= 0 && a.Compare(n.End) <= 0
}

// unacceptable tells whether a path to which the peer wants to move cannot be one: its
// address is inside of the tunnel or this host's, or the configuration demands another
// of this host's.
func (sa *SA) unacceptable(p ike.Path) bool {
	to := p.Remote.Addr()
	return p.Remote.Port() == 0 || slices.Contains(sa.Own, to) || sa.tunnelled(sa.conn, to, remoteSide) ||
		sa.conn.LocalAddr.IsValid() && sa.conn.LocalAddr != p.Local.Addr()
}

// readdress replaces the children whose selectors are addresses of the two hosts that
// are no longer in use: a move does not change what a child is for. The peer leaves that
// to the side that moves.
func (sa *SA) readdress(was, to ike.Path) {
	local, remote := was.Local.Addr(), was.Remote.Addr()
	if !sa.mobile.decides || local == to.Local.Addr() && remote == to.Remote.Addr() {
		return
	}
	only := func(configured []conf.Selector, agreed []wire.Selector, a netip.Addr) bool {
		other := func(n wire.Selector) bool { return n.Start != a || n.End != a }
		return conf.Dynamic(configured) && !slices.ContainsFunc(agreed, other)
	}
	for _, c := range sa.children {
		if local != to.Local.Addr() && only(c.Conf.Local, c.Local, local) {
			c.NewLocal = true
		}
		if remote != to.Remote.Addr() && only(c.Conf.Remote, c.Remote, remote) {
			c.NewRemote = true
		}
		if c.NewLocal || c.NewRemote || c.Mode == conf.Transport {
			sa.replace(c)
		}
	}
}
