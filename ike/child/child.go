// Package child holds the life of a child SA: from key material to operations on
// a data plane, and its limits.
package child

import (
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// SA is a child SA: plain data.
type SA struct {
	ID         uint64 // unique ID, also the owner of its policies
	Conn, Name string
	Conf       *conf.Child
	ReqID      uint32
	State      ike.ChildState
	Mode       conf.Mode
	Suite      crypto.Suite
	SPIIn      uint32
	SPIOut     uint32
	Local      []wire.Selector
	Remote     []wire.Selector
	Path       ike.Path // outer addresses; with Encap its ports too
	Encap      bool
	Keepalive  bool // this host is behind a NAT
	Installed  ike.Instant
	ExpireAt   ike.Instant
	// Replaces is the unique ID of the child that this one replaces at the peer's
	// wish, and Waiting holds its outbound keys until that one is gone: only then is
	// it certain that the peer receives by the new one (RFC 7296, 2.8).
	Replaces uint64
	Waiting  *Keys
}

// Proto is the IP protocol of the child's SAs.
func (c *SA) Proto() esp.Proto {
	if c.Suite.Proto == crypto.AH {
		return esp.ProtoAH
	}
	return esp.ProtoESP
}

// InboundID names the SA that receives.
func (c *SA) InboundID() esp.SAID {
	return esp.SAID{Dst: c.Path.Local.Addr(), SPI: c.SPIIn, Proto: c.Proto()}
}

// OutboundID names the SA that sends.
func (c *SA) OutboundID() esp.SAID {
	return esp.SAID{Dst: c.Path.Remote.Addr(), SPI: c.SPIOut, Proto: c.Proto()}
}

// Install returns the operations that bring the child up, inbound first, so that
// nothing that the peer sends finds no SA. A child that replaces another keeps
// its outbound half for SwitchOver.
func (c *SA) Install(in, out Keys) ([]esp.Op, error) {
	policies, err := c.policies()
	if err != nil {
		return nil, err
	}
	ops := make([]esp.Op, 0, 2+len(policies))
	ops = append(ops, esp.AddSA{SA: c.sa(esp.In, in)})
	if c.Replaces != 0 {
		c.Waiting = &out
		return appendPolicies(ops, policies, func(d esp.Direction) bool { return d != esp.Out }), nil
	}
	ops = append(ops, esp.AddSA{SA: c.sa(esp.Out, out)})
	return appendPolicies(ops, policies, anyDirection), nil
}

// SwitchOver returns the operations by which a child that replaces another begins
// to send. It does so once; after that there are none.
func (c *SA) SwitchOver() []esp.Op {
	if c.Waiting == nil {
		return nil
	}
	policies, err := c.policies()
	if err != nil {
		return nil
	}
	ops := []esp.Op{esp.AddSA{SA: c.sa(esp.Out, *c.Waiting)}}
	c.Replaces, c.Waiting = 0, nil
	return appendPolicies(ops, policies, func(d esp.Direction) bool { return d == esp.Out })
}

func anyDirection(esp.Direction) bool { return true }

func appendPolicies(ops []esp.Op, policies []esp.Policy, want func(esp.Direction) bool) []esp.Op {
	for _, p := range policies {
		if want(p.Dir) {
			ops = append(ops, esp.AddPolicy{Policy: p})
		}
	}
	return ops
}

// Remove returns the operations that take the child down. Policies go last: until
// then packets for the tunnel are held, not sent in the clear.
func (c *SA) Remove() []esp.Op {
	if c.Waiting != nil {
		c.Waiting.Zero()
		c.Waiting = nil
	}
	ops := []esp.Op{esp.DelSA{ID: c.OutboundID()}, esp.DelSA{ID: c.InboundID()}}
	policies, err := c.policies()
	if err != nil {
		return ops
	}
	for _, p := range policies {
		ops = append(ops, esp.DelPolicy{Policy: p})
	}
	return ops
}

// Move returns the operations that take the child to another path (RFC 7296,
// 2.23) and changes its own.
func (c *SA) Move(to ike.Path, encap bool) []esp.Op {
	in, out := c.InboundID(), c.OutboundID()
	c.Path, c.Encap = to, encap
	local, remote := to.Local.Addr(), to.Remote.Addr()
	ops := []esp.Op{esp.MoveSA{ID: in, Src: remote, Dst: local, Encap: c.encap()}}
	want := func(d esp.Direction) bool { return d != esp.Out }
	if c.Waiting == nil {
		ops = append(ops, esp.MoveSA{ID: out, Src: local, Dst: remote, Encap: c.encap()})
		want = anyDirection
	}
	policies, err := c.policies()
	if err != nil {
		return ops
	}
	return appendPolicies(ops, policies, want)
}

func (c *SA) encap() *esp.Encap {
	if !c.Encap {
		return nil
	}
	return &esp.Encap{Local: c.Path.Local.Port(), Remote: c.Path.Remote.Port(), Keepalive: c.Keepalive}
}

func (c *SA) sa(dir esp.Direction, k Keys) esp.SA {
	sa := esp.SA{
		ID: c.InboundID(), Src: c.Path.Remote.Addr(), Dir: dir, Mode: espMode(c.Mode),
		Encr: c.Suite.Encr, EncrKey: k.Encr, Integ: c.Suite.Integ, IntegKey: k.Integ,
		ESN: c.Suite.ESN.ID == crypto.ESNYes, Window: c.Conf.Window, Encap: c.encap(), ReqID: c.ReqID,
		Limits: esp.Limits{HardTime: c.Conf.Lifetime},
	}
	if dir == esp.Out {
		sa.ID, sa.Src = c.OutboundID(), c.Path.Local.Addr()
	}
	return sa
}

func espMode(m conf.Mode) esp.Mode {
	if m == conf.Transport {
		return esp.Transport
	}
	return esp.Tunnel
}

// policies are the child's policies: out, in and, in tunnel mode, forward.
func (c *SA) policies() ([]esp.Policy, error) {
	pairs, err := ts.Pairs(c.Local, c.Remote)
	if err != nil {
		return nil, err
	}
	dirs := []esp.Direction{esp.Out, esp.In, esp.Forward}
	if c.Mode == conf.Transport {
		dirs = dirs[:2]
	}
	out := make([]esp.Policy, 0, len(pairs)*len(dirs))
	for _, sel := range pairs {
		for _, dir := range dirs {
			out = append(out, c.policy(sel, dir))
		}
	}
	return out, nil
}

func (c *SA) policy(sel esp.Selector, dir esp.Direction) esp.Policy {
	p := Template(sel, dir, c.Mode, c.Proto(), c.Path.Local.Addr(), c.Path.Remote.Addr())
	p.ReqID, p.Owner, p.Name = c.ReqID, c.ID, c.Conn+"/"+c.Name
	return p
}

// Trap returns the policies that protect a child's networks while it has no SAs:
// they hold its traffic back and, outbound, ask for the child. They have Owner 0
// and yield to those of an installed child. Of an unknown gateway remote is the
// zero Addr.
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
		for _, dir := range []esp.Direction{esp.Out, esp.In, esp.Forward} {
			p := Template(sel, dir, c.Mode, proto, self, remote)
			p.Priority++
			p.ReqID, p.Name = reqID, name
			out = append(out, p)
		}
	}
	return out, nil
}

// Template is a protecting policy for the outbound selector sel, turned round for
// the inbound directions.
func Template(sel esp.Selector, dir esp.Direction, m conf.Mode, proto esp.Proto, local, remote netip.Addr) esp.Policy {
	p := esp.Policy{
		Sel: sel, Dir: dir, Action: esp.Protect, Priority: Priority(sel), Proto: proto, Mode: espMode(m), Src: local, Dst: remote,
	}
	if dir != esp.Out {
		p.Sel, p.Src, p.Dst = ts.Reverse(sel), remote, local
	}
	return p
}

// basePriority is the priority of a policy for every packet; the more specific a
// selector, the lower its number.
const basePriority = 400000

// Priority makes the more specific selector win: longer prefixes first, then a
// protocol, then ports. It is even, so that a trap finds room behind it.
func Priority(s esp.Selector) uint32 {
	p := uint32(basePriority) - 1024*uint32(s.Src.Bits()+s.Dst.Bits())
	if s.Proto != 0 {
		p -= 512
	}
	if s.SrcPorts != esp.AnyPort {
		p -= 128
	}
	if s.DstPorts != esp.AnyPort {
		p -= 128
	}
	return p
}

// Status is a snapshot of the child.
func (c *SA) Status() ike.ChildStatus {
	return ike.ChildStatus{
		ID: c.ID, Name: c.Name, ReqID: c.ReqID, State: c.State, Mode: c.Mode, Proto: c.Suite.Proto, Encap: c.Encap,
		SPIIn: c.SPIIn, SPIOut: c.SPIOut, LocalHost: c.Path.Local.Addr(), RemoteHost: c.Path.Remote.Addr(),
		Suite: c.Suite, Local: c.Local, Remote: c.Remote,
		Installed: c.Installed, RekeyAt: ike.Never, ExpireAt: c.ExpireAt,
	}
}
