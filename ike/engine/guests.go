package engine

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// A guest is a connection with one peer of several that its configuration is for: that of
// a hub, where a command says which spoke is meant. It lasts as long as there is something
// of it, begins nothing by itself, and has no policies of its own.

// guestKey tells guests apart: the connection, this host and the peer, invalid for what
// the configuration says.
type guestKey struct {
	conn          string
	local, remote netip.Addr
}

// guestOf returns the guest of a connection with these addresses, which is made when it is
// not there. A connection with a gateway of its own has none: it is meant itself.
func (s *Steward) guestOf(base *link, local, remote netip.Addr) (*link, error) {
	key := guestKey{base.conn.Name, local.Unmap(), remote.Unmap()}
	if base.conn.Gateways.Dialable() {
		return base, key.isOf(base.conn)
	}
	for _, l := range s.guests {
		if l.guest == key {
			return l, nil
		}
	}
	c := *base.conn
	c.Behavior = conf.ResponderOnly
	if key.remote.IsValid() {
		if !c.Gateways.Covers(key.remote) {
			return nil, fmt.Errorf("%s is no address that the peer of connection %q may have: %s", key.remote, c.Name, c.Gateways)
		}
		c.Gateways = conf.Gateways{{Prefix: netip.PrefixFrom(key.remote, key.remote.BitLen())}}
	}
	if key.local.IsValid() {
		c.LocalAddr, c.LocalInterface = key.local, ""
	}
	s.lastLink++
	l := newLink(&c, s.lastLink)
	l.guest, l.base = key, base.conn
	s.guests = append(s.guests, l)
	s.takeIn(l, base)
	return l, nil
}

// isOf is an error unless these are the addresses of a connection.
func (k guestKey) isOf(c *conf.Connection) error {
	single, _ := c.Gateways.Single()
	switch {
	case k.remote.IsValid() && k.remote != single:
		return fmt.Errorf("connection %q is with %s alone, not with %s", c.Name, c.Gateways, k.remote)
	case k.local.IsValid() && k.local != c.LocalAddr:
		return fmt.Errorf("connection %q is not from %s: its local address is configured, or chosen by the routes", c.Name, k.local)
	}
	return nil
}

// takeIn gives a guest the IKE SAs of its peer that the connection has already.
func (s *Steward) takeIn(l, base *link) {
	for _, sa := range s.ofLink(base) {
		if !l.guest.remote.IsValid() || sa.peer.Addr().Unmap() != l.guest.remote || !sa.counts() {
			continue
		}
		sa.uncount()
		sa.link = l
		l.ikes++
		for _, c := range sa.children {
			if !c.ending {
				l.up[c.name]++
			}
		}
		for name, under := range base.asked {
			if under == sa.id {
				delete(base.asked, name)
				l.asked[name] = under
			}
		}
	}
}

// everyLink are the links of the configuration and the guests.
func (s *Steward) everyLink() []*link {
	return slices.Concat(s.links, s.guests)
}

func (l *link) isGuest() bool { return l.base != nil }

// farewell forgets a guest of which nothing is left.
func (s *Steward) farewell(l *link) {
	busy := l.ikes+l.leaving > 0 || l.stage != idle || l.attempt != 0 || len(l.asked)+len(l.waiters) > 0 || l.nextTry != ike.Never || len(l.missing()) > 0
	if !l.isGuest() || busy && !l.gone {
		return
	}
	s.schedule.set(l, ike.Never)
	s.guests = slices.DeleteFunc(s.guests, func(x *link) bool { return x == l })
}

// dismissGuests ends the guests whose connection does not read as before.
func (s *Steward) dismissGuests() {
	for _, l := range slices.Clone(s.guests) {
		if base := s.byName[l.guest.conn]; base == nil || !reflect.DeepEqual(base.conn, l.base) {
			s.discard(l)
			s.farewell(l)
		}
	}
}

// hosts tells whether guests of a connection are up.
func (s *Steward) hosts(conn string) bool {
	return slices.ContainsFunc(s.guests, func(l *link) bool { return l.guest.conn == conn && l.ikes+l.leaving > 0 })
}
