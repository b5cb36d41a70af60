//go:build linux

package xfrm

import (
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// IP protocols that have ports, or a type where others have a port.
const (
	protoTCP      = 6
	protoUDP      = 17
	protoDCCP     = 33
	protoSCTP     = 132
	protoMobility = 135
	protoUDPLite  = 136
)

// notice turns a message of the kernel into a notice, nil for none. meddled tells that
// another program has changed what is ours.
func (p *Plane) notice(m netlink.Message) (n esp.Notice, meddled bool) {
	defer clear(m.Body)
	if m.Own {
		return nil, false
	}
	is, err := message.ParseNotice(m.Type, m.Body)
	if err != nil {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch is := is.(type) {
	case *message.Acquire:
		return p.acquired(is), false
	case *message.Expire:
		is.State.Zero()
		return p.expired(is), false
	case *message.Mapping:
		return p.mapped(is), false
	case *message.Deleted:
		return nil, p.deleted(is)
	case *message.Flushed:
		return nil, is.Policies && len(p.table.entries) > 0 || !is.Policies && len(p.sas) > 0
	case *message.State:
		is.Zero()
	case *message.Policy:
		return nil, p.holds(is.Sel, is.Dir, is.Mark, is.IfID)
	}
	return nil, false
}

// holds tells whether a policy of the kernel is one of ours.
func (p *Plane) holds(sel message.Selector, dir message.Direction, mark *message.Mark, ifID uint32) bool {
	e := p.table.entries[keyOf(sel, dir, mark, ifID)]
	return e != nil && e.image != nil
}

func (p *Plane) deleted(d *message.Deleted) bool {
	if s := d.State; s != nil {
		s.Zero()
		return p.sas[espID(s.ID)] != nil
	}
	if m := d.Policy; m != nil {
		return p.holds(m.Sel, m.Dir, m.Mark, m.IfID)
	}
	return false
}

// acquired finds the policy of ours that a packet asks by. Behind that of a killed
// instance the one that waits asks.
func (p *Plane) acquired(q *message.Acquire) esp.Notice {
	m := &q.Policy
	c := p.asking(p.table.entries[keyOf(m.Sel, m.Dir, m.Mark, m.IfID)])
	if c == nil {
		c = p.askingFor(m)
	}
	if c == nil {
		return nil
	}
	p.asked[c.ReqID] = ends{src: q.Src, dst: q.ID.Dst}
	return esp.Acquire{Policy: c.Name, ReqID: c.ReqID, Packet: packetSelector(&q.Packet)}
}

// asking is the claim of an entry for which there can be an SA.
func (p *Plane) asking(e *entry) *claim {
	if e == nil {
		return nil
	}
	for _, c := range e.claims {
		if c.Action == esp.Protect && !c.leftover() {
			return c
		}
	}
	return nil
}

// askingFor finds a policy by the request ID of its template.
func (p *Plane) askingFor(m *message.Policy) *claim {
	if len(m.Templates) == 0 || !p.ours(m.Templates[0].ReqID) {
		return nil
	}
	for _, e := range p.table.entries {
		if c := e.wanted(); c != nil && e.key.dir == message.Out && c.ReqID == m.Templates[0].ReqID {
			return p.asking(e)
		}
	}
	return nil
}

// packetSelector is the selector of a packet alone.
func packetSelector(s *message.Selector) esp.Selector {
	out := esp.Selector{Src: unmapped(s.Src), Dst: unmapped(s.Dst), Proto: s.Proto, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
	switch s.Proto {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		out.SrcPorts, out.DstPorts = single(s.SrcPorts.Port), single(s.DstPorts.Port)
	case protoICMP, protoICMPv6:
		number := single(s.SrcPorts.Port<<8 | s.DstPorts.Port&0xff)
		out.SrcPorts, out.DstPorts = number, number
	case protoMobility:
		number := single(s.SrcPorts.Port << 8)
		out.SrcPorts, out.DstPorts = number, number
	}
	if !out.Src.IsValid() || !out.Dst.IsValid() {
		out.Src, out.Dst = netip.Prefix{}, netip.Prefix{}
	}
	return out
}

func single(port uint16) esp.PortRange { return esp.PortRange{First: port, Last: port} }

// expired tells of an SA of ours. Reserved SPIs, and packets that have waited for an SA
// in vain, end in the same way; of them there is nothing to tell.
func (p *Plane) expired(x *message.Expire) esp.Notice {
	id := espID(x.State.ID)
	s := p.sas[id]
	if s == nil || s.reqID != x.State.ReqID {
		return nil
	}
	if x.Hard {
		p.forgetSA(s) // the kernel has removed it
	}
	if s.leftover {
		return nil
	}
	return esp.Expire{ID: id, ReqID: s.reqID, Hard: x.Hard}
}

func (p *Plane) mapped(m *message.Mapping) esp.Notice {
	id := espID(m.ID)
	s := p.sas[id]
	if s == nil || s.leftover || !m.New.IsValid() {
		return nil
	}
	return esp.Mapping{ID: id, ReqID: s.reqID, New: netip.AddrPortFrom(m.New.Addr().Unmap(), m.New.Port())}
}
