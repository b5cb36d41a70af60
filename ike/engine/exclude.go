package engine

import (
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/child"
	"github.com/goike/goike/ike/ts"
)

// excludeName is what the policies for directly attached networks serve.
const excludeName = "exclude_my_network"

// excludeOwner keeps these policies apart from those of children: where both are for
// the same packets, that of the child is in force, which has the lower priority.
const excludeOwner = 1 << 63

// attached takes the directly attached networks.
func (s *Steward) attached(networks []netip.Prefix) {
	if s.stopping {
		return
	}
	s.networks = networks
	s.exclude()
}

// exclude lets packets for directly attached networks leave in the clear where a
// larger remote network covers them (exclude_my_network).
func (s *Steward) exclude() {
	var want []esp.Policy
	if s.conf.ExcludeMyNetwork && !s.stopping {
		want = exclusions(s.protected(), s.networks)
	}
	var ops []esp.Op
	for _, p := range want {
		if !slices.Contains(s.excluded, p) {
			ops = append(ops, esp.AddPolicy{Policy: p})
		}
	}
	for _, p := range s.excluded {
		if !slices.ContainsFunc(want, func(w esp.Policy) bool { return samePlace(p, w) }) {
			ops = append(ops, esp.DelPolicy{Policy: p})
		}
	}
	s.excluded = want
	if len(ops) > 0 {
		s.changeTraps(ops)
	}
}

// samePlace tells whether one policy replaces the other.
func samePlace(a, b esp.Policy) bool {
	return a.Sel == b.Sel && a.Dir == b.Dir && a.Mark == b.Mark && a.IfID == b.IfID && a.Owner == b.Owner
}

// protected are the outbound policies that protect or drop, as far as they are known:
// those of the traps, and of connections that have none those of their configuration.
func (s *Steward) protected() []esp.Policy {
	var out []esp.Policy
	for _, l := range s.links {
		traps := l.traps
		if len(traps) == 0 {
			traps = l.configured()
		}
		for _, p := range traps {
			if p.Dir == esp.Out && p.Action != esp.Bypass {
				out = append(out, p)
			}
		}
	}
	return out
}

// configured are the policies that children of the link would have, those left out
// whose networks depend on the addresses in use.
func (l *link) configured() []esp.Policy {
	var out []esp.Policy
	for _, c := range l.children() {
		if dynamic(c) {
			continue
		}
		policies, err := child.Trap(c, l.conn.Name+"/"+c.Name, 0, netip.Addr{}, netip.Addr{})
		if err == nil {
			out = append(out, policies...)
		}
	}
	return out
}

// exclusions are the policies for attached networks. Each is for the packets of one
// protecting policy that covers the network, and comes before that one, but behind all
// that are for a part of the network: who protects a host next door means it.
func exclusions(protected []esp.Policy, networks []netip.Prefix) []esp.Policy {
	var out []esp.Policy
	for _, n := range networks {
		n = n.Masked()
		least := uint32(0)
		for _, p := range protected {
			if n.Bits() <= p.Sel.Dst.Bits() && n.Contains(p.Sel.Dst.Addr()) {
				least = max(least, p.Priority+1)
			}
		}
		for _, p := range protected {
			if p.Sel.Dst.Bits() >= n.Bits() || !p.Sel.Dst.Contains(n.Addr()) {
				continue
			}
			out = appendExclusion(out, p, n, least)
		}
	}
	return out
}

func appendExclusion(out []esp.Policy, p esp.Policy, n netip.Prefix, least uint32) []esp.Policy {
	x := esp.Policy{
		Sel: p.Sel, Action: esp.Bypass, Mark: p.Mark, IfID: p.IfID, Name: excludeName, Owner: excludeOwner,
	}
	x.Sel.Dst = n
	x.Priority = max(min(child.Priority(x.Sel), p.Priority-2), least)
	if x.Priority >= p.Priority-1 || slices.ContainsFunc(out, func(o esp.Policy) bool { return samePlace(o, x) }) {
		return out
	}
	in, forward := x, x
	in.Dir, in.Sel = esp.In, ts.Reverse(x.Sel)
	forward.Dir, forward.Sel = esp.Forward, in.Sel
	return append(out, x, in, forward)
}
