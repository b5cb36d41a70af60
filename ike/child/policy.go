package child

import (
	"errors"
	"math/bits"
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/ts"
)

// directions are in the order in which policies come: what the peer sends as soon as this
// side does finds its policies.
var directions = []esp.Direction{esp.In, esp.Forward, esp.Out}

// policies are the child's policies: in, forward, but for transport mode, and out.
func (c *SA) policies() ([]esp.Policy, error) {
	pairs, err := ts.Pairs(c.Local, c.Remote)
	if err != nil {
		return nil, err
	}
	out := make([]esp.Policy, 0, len(pairs)*len(directions))
	for _, sel := range pairs {
		for _, dir := range directions {
			if dir == esp.Forward && c.Mode == conf.Transport {
				continue
			}
			p := protecting(&c.Conf.Kernel, sel, dir, c.Path.Local.Addr(), c.Path.Remote.Addr())
			p.Mode, p.Proto, p.IPComp = espMode(c.Mode), c.Proto(), c.Compressed()
			p.ReqID, p.Owner, p.Name = c.ReqID, c.ID, c.Conn+"/"+c.Name
			if c.Yields && dir == esp.Out {
				p.Priority++ // as a trap, which it precedes by coming later
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// Trap returns the policies that protect a child's networks while it has no SAs:
// they hold its traffic back and, outbound, ask for the child. They have Owner 0
// and yield to those of an installed child. IPComp is not asked for: whether there
// will be any is for the peer to say. Of an unknown gateway remote is the zero Addr.
func Trap(c *conf.Child, name string, reqID uint32, self, remote netip.Addr) ([]esp.Policy, error) {
	pairs, err := ts.Pairs(ts.FromConf(c.Local, self), ts.FromConf(c.Remote, remote))
	if err != nil {
		return nil, err
	}
	proto := esp.ProtoESP
	if c.Protocol == crypto.AH {
		proto = esp.ProtoAH
	}
	var out []esp.Policy
	for _, sel := range pairs {
		for _, dir := range directions {
			p := protecting(&c.Kernel, sel, dir, self, remote)
			p.Priority++
			p.Mode, p.Proto, p.ReqID, p.Name = espMode(c.Mode), proto, reqID, name
			out = append(out, p)
		}
	}
	return out, nil
}

var errNoNetworks = errors.New("local_network and remote_network have nothing in common that packets could go between")

// Shunt returns the policies of a child of mode Pass or Drop: packets between its
// networks are let through in the clear, or discarded, of all directions. Those that
// pass do so whatever else protects them; those that drop do so where nothing else
// protects them. A Priority of the child's own overrides that.
func Shunt(c *conf.Child, name string) ([]esp.Policy, error) {
	pairs, err := ts.Pairs(ts.FromConf(c.Local, netip.Addr{}), ts.FromConf(c.Remote, netip.Addr{}))
	if err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		return nil, errNoNetworks
	}
	action, base := esp.Bypass, uint32(passPriority)
	if c.Mode == conf.Drop {
		action, base = esp.Discard, dropPriority
	}
	var out []esp.Policy
	for _, sel := range pairs {
		for _, dir := range directions {
			p := policy(&c.Kernel, sel, dir, base)
			p.Action, p.Name = action, name
			out = append(out, p)
		}
	}
	return out, nil
}

// protecting is a protecting policy for the outbound selector sel.
func protecting(k *conf.Kernel, sel esp.Selector, dir esp.Direction, local, remote netip.Addr) esp.Policy {
	p := policy(k, sel, dir, protectPriority)
	p.Action, p.Src, p.Dst = esp.Protect, local, remote
	if dir != esp.Out {
		p.Src, p.Dst = remote, local
	}
	return p
}

// policy is a policy for the outbound selector sel, turned round for the inbound
// directions.
func policy(k *conf.Kernel, sel esp.Selector, dir esp.Direction, base uint32) esp.Policy {
	p := esp.Policy{Sel: sel, Dir: dir, Priority: priority(base, sel), Mark: mark(k.MarkOut), IfID: k.IfIDOut}
	if dir != esp.Out {
		p.Sel, p.Mark, p.IfID = ts.Reverse(sel), mark(k.MarkIn), k.IfIDIn
	}
	if k.Priority != 0 {
		p.Priority = k.Priority
	}
	return p
}

// The priorities of policies for every packet. What passes in the clear comes before
// all that is protected, and that before what is dropped; within each the more specific
// a selector, the lower its number, by less than 300000 in all.
const (
	passPriority    = 400000
	protectPriority = 800000
	dropPriority    = 1200000
)

// Priority is that of a protecting policy; it makes the more specific selector win:
// longer prefixes first, then a protocol, then ports. It is even, so that a trap finds
// room behind it.
func Priority(s esp.Selector) uint32 { return priority(protectPriority, s) }

func priority(base uint32, s esp.Selector) uint32 {
	p := base - 1024*uint32(s.Src.Bits()+s.Dst.Bits())
	if s.Proto != 0 {
		p -= 512
	}
	return p - portWeight(s.SrcPorts) - portWeight(s.DstPorts)
}

// portWeight is the more the fewer ports there are: 0 for any, 128 for a single one.
func portWeight(r esp.PortRange) uint32 {
	if r == esp.AnyPort {
		return 0
	}
	return 128 - 4*uint32(bits.Len16(r.Last-r.First))
}
