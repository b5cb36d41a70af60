// Package child holds the life of a child SA: from key material to operations on
// a data plane, and its limits.
package child

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
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
	CPIIn      uint16 // of the SAs that compress, 0: there are none
	CPIOut     uint16
	NoTFC      bool // the peer takes no padded packets (ESP_TFC_PADDING_NOT_SUPPORTED)
	Local      []wire.Selector
	Remote     []wire.Selector
	Path       ike.Path // outer addresses; with Encap its ports too
	Encap      bool
	Keepalive  bool // this host is behind a NAT
	Installed  ike.Instant
	RekeyAt    ike.Instant // when this side begins to replace it
	ExpireAt   ike.Instant
	Limits     esp.Limits
	UsedAt     ike.Instant // when it is known to have carried traffic last
	IdleAt     ike.Instant // when to look whether it is in use
	Unused     bool        // it ends for want of traffic
	Expired    bool        // it ends since it has reached a limit
	// Quiet: no report has told of it, since it may lose against another replacement of
	// the same child (RFC 7296, 2.8.1).
	Quiet bool
	// NewLocal and NewRemote: what is to replace it has the addresses of the hosts that
	// are in use then as its selectors, which are no longer those that it has.
	NewLocal, NewRemote bool
	// Replaces is the unique ID of the child that this one replaces at the peer's
	// wish, and Waiting holds its outbound keys until that one is gone: only then is
	// it certain that the peer receives by the new one (RFC 7296, 2.8).
	Replaces uint64
	Waiting  *Keys
	// Yields: while another child is for the same packets, from an older IKE SA, that one
	// sends: it is not certain yet that the peer knows this one.
	Yields bool
	// Outlived: another has replaced this one; the peer's last packets by it may come late.
	Outlived bool
	// Behind: another has replaced the same child, so that this one never sends.
	Behind bool
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

// Compressed tells whether packets go through IPComp SAs, too (RFC 7296, 2.22).
func (c *SA) Compressed() bool { return c.CPIIn != 0 && c.CPIOut != 0 }

// Install returns the operations that bring the child up, inbound first, so that
// nothing that the peer sends finds no SA. A child that replaces another keeps
// its outbound half for SwitchOver.
func (c *SA) Install(in, out Keys) ([]esp.Op, error) {
	policies, err := c.policies()
	if err != nil {
		return nil, err
	}
	ops := make([]esp.Op, 0, 4+len(policies))
	ops = c.appendSAs(ops, esp.In, in)
	if c.Replaces != 0 {
		c.Waiting = &out
		return appendPolicies(ops, policies, func(d esp.Direction) bool { return d != esp.Out }), nil
	}
	ops = c.appendSAs(ops, esp.Out, out)
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
	ops := c.appendSAs(nil, esp.Out, *c.Waiting)
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

// Prevail returns the operations by which a child that yields begins to send, whoever
// else is for its packets; none for one that does not yield, or is not to send.
func (c *SA) Prevail() []esp.Op { return c.yield(false) }

// Yield returns the operations by which a child comes to yield.
func (c *SA) Yield() []esp.Op { return c.yield(true) }

func (c *SA) yield(to bool) []esp.Op {
	if c.Yields == to {
		return nil
	}
	c.Yields = to
	policies, err := c.policies()
	if err != nil || c.Waiting != nil || c.Behind {
		return nil
	}
	return appendPolicies(nil, policies, func(d esp.Direction) bool { return d == esp.Out })
}

// StayBehind makes a child that was to replace another never send: a third one does.
// The operations take back what it has to do so already.
func (c *SA) StayBehind() []esp.Op {
	var ops []esp.Op
	if c.Waiting == nil && !c.Behind {
		ops = c.removePolicies(c.removeSAs(esp.Out), func(d esp.Direction) bool { return d == esp.Out })
	}
	c.forgetKeys()
	c.Replaces, c.Behind = 0, true
	return ops
}

func (c *SA) forgetKeys() {
	if c.Waiting != nil {
		c.Waiting.Zero()
		c.Waiting = nil
	}
}

// Remove returns the operations that take the child down. Policies go last: until
// then packets for the tunnel are held, not sent in the clear.
func (c *SA) Remove() []esp.Op {
	c.forgetKeys()
	return c.removePolicies(append(c.removeSAs(esp.Out), c.removeSAs(esp.In)...), anyDirection)
}

// Replaced returns the operations that take a child down that another has replaced,
// but for its inbound SAs, and those that remove these: late packets of the peer may
// still be on their way.
func (c *SA) Replaced() (now, later []esp.Op) {
	c.forgetKeys()
	return c.removePolicies(c.removeSAs(esp.Out), anyDirection), c.removeSAs(esp.In)
}

func (c *SA) removeSAs(dir esp.Direction) []esp.Op {
	var ops []esp.Op
	for _, id := range c.ids(dir) {
		ops = append(ops, esp.DelSA{ID: id})
	}
	return ops
}

func (c *SA) removePolicies(ops []esp.Op, want func(esp.Direction) bool) []esp.Op {
	policies, err := c.policies()
	if err != nil {
		return ops
	}
	for _, p := range policies {
		if want(p.Dir) {
			ops = append(ops, esp.DelPolicy{Policy: p})
		}
	}
	return ops
}

// Move returns the operations that take the child to another path (RFC 7296,
// 2.23, RFC 4555, 3.5) and changes its own; encap and keepalive are what Encap and
// Keepalive are there.
func (c *SA) Move(to ike.Path, encap, keepalive bool) []esp.Op {
	in, out := c.ids(esp.In), c.ids(esp.Out)
	c.Path, c.Encap, c.Keepalive = to, encap, keepalive
	ops := c.appendMoves(nil, in, to.Remote.Addr(), to.Local.Addr())
	want := func(d esp.Direction) bool { return d != esp.Out }
	if c.Waiting == nil && !c.Behind {
		ops = c.appendMoves(ops, out, to.Local.Addr(), to.Remote.Addr())
		want = anyDirection
	}
	policies, err := c.policies()
	if err != nil {
		return ops
	}
	return appendPolicies(ops, policies, want)
}

// Status is a snapshot of the child.
func (c *SA) Status() ike.ChildStatus {
	return ike.ChildStatus{
		ID: c.ID, Name: c.Name, ReqID: c.ReqID, State: c.State, Mode: c.Mode, Proto: c.Suite.Proto, Encap: c.Encap,
		SPIIn: c.SPIIn, SPIOut: c.SPIOut, CPIIn: c.CPIIn, CPIOut: c.CPIOut, LocalHost: c.Path.Local.Addr(), RemoteHost: c.Path.Remote.Addr(),
		Suite: c.Suite, Local: c.Local, Remote: c.Remote,
		Installed: c.Installed, RekeyAt: c.RekeyAt, ExpireAt: c.ExpireAt,
	}
}
