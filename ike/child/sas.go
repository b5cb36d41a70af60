package child

import (
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/ts"
)

// ids names the SAs of one direction: that of ESP or AH and, where packets are
// compressed, that of IPComp.
func (c *SA) ids(dir esp.Direction) []esp.SAID {
	id, cpi := c.InboundID(), c.CPIIn
	if dir == esp.Out {
		id, cpi = c.OutboundID(), c.CPIOut
	}
	if !c.Compressed() {
		return []esp.SAID{id}
	}
	return []esp.SAID{id, {Dst: id.Dst, SPI: uint32(cpi), Proto: esp.ProtoIPComp}}
}

// appendSAs appends the operations that add the SAs of one direction. The IPComp SA
// has the child's mode, and what belongs to it; the other is then in transport mode
// (RFC 3173, 2.2: compression comes before protection).
func (c *SA) appendSAs(ops []esp.Op, dir esp.Direction, k Keys) []esp.Op {
	ids := c.ids(dir)
	sa := c.sa(dir, ids[0])
	compress := sa
	sa.Encr, sa.EncrKey, sa.Integ, sa.IntegKey = c.Suite.Encr, k.Encr, c.Suite.Integ, k.Integ
	sa.ESN, sa.Window = c.Suite.ESN.ID == crypto.ESNYes, c.Conf.Window
	sa.Encap, sa.Limits = c.encap(), c.Limits
	sa.SetMark, sa.Offload = mark(c.Conf.Kernel.SetMarkIn), esp.Offload(c.Conf.Kernel.Offload)
	if dir == esp.Out {
		sa.SetMark = mark(c.Conf.Kernel.SetMarkOut)
	}
	if len(ids) == 1 {
		if dir == esp.Out && sa.Mode == esp.Tunnel && !c.NoTFC && ids[0].Proto == esp.ProtoESP {
			sa.TFCPad = c.Conf.Kernel.TFCPad
		}
		return append(ops, esp.AddSA{SA: sa})
	}
	sa.Mode = esp.Transport
	if compress.Mode == esp.Tunnel {
		sa.Selectors = nil
	}
	compress.ID = ids[1]
	return append(ops, esp.AddSA{SA: sa}, esp.AddSA{SA: compress})
}

// sa is what the SAs of one direction have in common.
func (c *SA) sa(dir esp.Direction, id esp.SAID) esp.SA {
	k := &c.Conf.Kernel
	sa := esp.SA{
		ID: id, Src: c.Path.Remote.Addr(), Dir: dir, Mode: espMode(c.Mode), ReqID: c.ReqID,
		CopyDSCP: !k.NoCopyDSCPOut, NoECN: k.NoCopyECN, IfID: k.IfIDIn, Selectors: c.selectors(dir),
	}
	if dir == esp.Out {
		sa.Src, sa.IfID = c.Path.Local.Addr(), k.IfIDOut
		sa.Mark, sa.NoCopyDF = mark(k.MarkOut), k.NoCopyDF
		return sa
	}
	sa.DecapDSCP = k.CopyDSCPIn
	if k.MarkInSA {
		sa.Mark = mark(k.MarkIn)
	}
	return sa
}

// selectors are the addresses of the packets of an SA of one direction, where they
// are one pair of hosts. Protocol and ports are left to the policies: in transport
// mode several children may share the addresses.
func (c *SA) selectors(dir esp.Direction) []esp.Selector {
	pairs, err := ts.Pairs(c.Local, c.Remote)
	if err != nil || c.Mode == conf.Tunnel || len(pairs) == 0 || c.Mode == conf.Transport && len(pairs) != 1 {
		return nil
	}
	s := esp.Selector{Src: pairs[0].Src, Dst: pairs[0].Dst, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort}
	if !s.Src.IsSingleIP() || !s.Dst.IsSingleIP() {
		return nil
	}
	if dir != esp.Out {
		s = ts.Reverse(s)
	}
	return []esp.Selector{s}
}

func (c *SA) appendMoves(ops []esp.Op, ids []esp.SAID, src, dst netip.Addr) []esp.Op {
	for _, id := range ids {
		m := esp.MoveSA{ID: id, Src: src, Dst: dst}
		if id.Proto != esp.ProtoIPComp {
			m.Encap = c.encap()
		}
		ops = append(ops, m)
	}
	return ops
}

func (c *SA) encap() *esp.Encap {
	if !c.Encap {
		return nil
	}
	return &esp.Encap{Local: c.Path.Local.Port(), Remote: c.Path.Remote.Port(), Keepalive: c.Keepalive}
}

func mark(m conf.Mark) esp.Mark { return esp.Mark{Value: m.Value, Mask: m.Mask} }

func espMode(m conf.Mode) esp.Mode {
	switch m {
	case conf.Transport:
		return esp.Transport
	case conf.BEET:
		return esp.BEET
	}
	return esp.Tunnel
}
