package ipsec

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
)

// side is one of the two ends of a conn.
type side struct {
	prefix string // left or right
	addr   setting
	id     setting
}

// ends finds out which side is this host, and reads both.
func (r *reading) ends() {
	local, remote := side{prefix: "left"}, side{prefix: "right"}
	if r.rightIsHere() {
		local, remote = remote, local
	}
	for _, s := range []*side{&local, &remote} {
		s.addr, _ = r.get(s.prefix)
		s.id, _ = r.get(s.prefix + "id")
	}
	r.localEnd(local)
	r.remoteEnd(remote)
	r.child.Local = r.networks(local.prefix)
	r.child.Remote = r.networks(remote.prefix)
	if r.child.Mode != conf.Transport {
		return
	}
	for _, list := range []*[]conf.Selector{&r.child.Local, &r.child.Remote} {
		if len(*list) == 1 && (*list)[0] == (conf.Selector{PortLast: math.MaxUint16}) {
			*list = nil
		}
	}
}

// rightIsHere tells which side is this host, as the other programs find it out: by its
// addresses.
func (r *reading) rightIsHere() bool {
	left, _ := r.get("left")
	right, hasRight := r.get("right")
	if right.value == "%defaultroute" {
		return true
	}
	l, errL := netip.ParseAddr(left.value)
	x, errR := netip.ParseAddr(right.value)
	switch {
	case strings.HasPrefix(left.value, "%") && !wildcard(left.value), left.value == "%defaultroute", errL == nil && slices.Contains(r.own, l):
		return false
	case errR == nil && slices.Contains(r.own, x):
		return true
	case errL == nil && hasRight && len(r.own) > 0:
		r.warn(left.at, "conn %s: neither left nor right is an address of this host: left, %s, is taken for it; --local names another one", word(r.sec.name), left.value)
	}
	return false
}

// children are the tunnels of a conn.
func (r *reading) children() []*conf.Child {
	if !r.apart || len(r.child.Local)+len(r.child.Remote) <= 2 {
		return []*conf.Child{r.child}
	}
	var out []*conf.Child
	for i, local := range r.child.Local {
		for j, remote := range r.child.Remote {
			c := *r.child
			c.Name = fmt.Sprintf("%s-%dx%d", c.Name, i+1, j+1)
			c.Local, c.Remote = []conf.Selector{local}, []conf.Selector{remote}
			out = append(out, &c)
		}
	}
	return out
}

func wildcard(s string) bool {
	switch s {
	case "", "%any", "%any4", "%any6", "%defaultroute", "0.0.0.0", "::", "%config", "%group", "%opportunisticgroup":
		return true
	}
	return false
}

func (r *reading) localEnd(s side) {
	if value := s.addr.value; !wildcard(value) {
		if name, is := strings.CutPrefix(value, "%"); is {
			r.conn.LocalInterface = name
		} else if addr, err := conf.ParseHostAddr(value); err == nil {
			r.conn.LocalAddr = addr
		} else {
			r.bad(s.addr, "one address of this host, %defaultroute or %any")
		}
	}
	if s.id.value != "" {
		r.conn.Local.ID = r.identity(s.id)
	}
}

func (r *reading) remoteEnd(s side) {
	for text := range strings.SplitSeq(s.addr.value, ",") {
		text = strings.TrimSpace(text)
		if wildcard(text) {
			r.conn.Gateways = append(r.conn.Gateways, conf.Gateway{Any: true})
			continue
		}
		if strings.HasPrefix(text, "%") {
			r.bad(s.addr, "addresses, host names, networks, or %any")
			continue
		}
		g, err := conf.ParseGateway(text)
		if err != nil {
			r.error(s.addr.at, "%s of conn %s holds %s, which %v", s.addr.key, word(r.sec.name), word(text), err)
			continue
		}
		r.conn.Gateways = append(r.conn.Gateways, g)
	}
	r.conn.Remote.ID = conf.GatewayID(r.conn.Gateways)
	if s.id.value != "" {
		r.conn.Remote.ID = r.identity(s.id)
	}
	switch {
	case r.conn.Gateways.Dialable():
	case r.child.Mode.Shunt():
		r.conn.Behavior = conf.ResponderOnly // its policies are there all the same
	case r.conn.Behavior != conf.ResponderOnly:
		r.error(r.sec.at, "conn %s has no single peer to call (%s); allowed with it: auto=add", word(r.sec.name), r.conn.Gateways)
	}
}

func (r *reading) identity(x setting) id.ID {
	i, err := id.Parse(x.value)
	if err != nil {
		r.error(x.at, "%s of conn %s: %v", x.key, word(r.sec.name), err)
	}
	return i
}

// networks are those behind a side, with its protocol and port.
func (r *reading) networks(prefix string) []conf.Selector {
	subnets, _ := r.get(prefix+"subnet", prefix+"subnets")
	r.apart = r.apart || subnets.key == prefix+"subnets"
	protoport, _ := r.get(prefix + "protoport")
	suffix := ""
	if protoport.value != "" {
		suffix = "[" + strings.ReplaceAll(strings.ReplaceAll(protoport.value, "%any", "0"), "/0", "") + "]"
	}
	list := strings.FieldsFunc(strings.Trim(subnets.value, "{}"), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	if len(list) == 0 {
		list = []string{"dynamic"}
	}
	var out []conf.Selector
	for _, text := range list {
		text, dynamic := strings.CutPrefix(text, "dynamic")
		if text = strings.TrimPrefix(text, "vhost:"); dynamic || text == "%dynamic" {
			text, dynamic = "0.0.0.0"+strings.TrimPrefix(text, "%dynamic"), true
		}
		network, own, has := strings.Cut(text, "[")
		if text = masked(network) + suffix; has {
			text = masked(network) + "[" + own
		}
		sel, err := conf.ParseSelector(text)
		if err != nil {
			x := subnets
			if x.key == "" {
				x = protoport
			}
			r.error(x.at, "%s of conn %s holds %s, which %v; allowed: networks", x.key, word(r.sec.name), word(text), err)
			continue
		}
		if dynamic {
			sel.First, sel.Last = netip.Addr{}, netip.Addr{}
		}
		out = append(out, sel)
	}
	return out
}

// masked takes the host bits off a network, as the other programs do.
func masked(text string) string {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked().String()
	}
	return text
}
