package v2

import (
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// proposal is our offer of a child SA.
type proposal struct {
	conf          *conf.Child
	local, remote []wire.Selector // as offered
	spi           ike.Reserved    // its SPI is 0 while we have none
	cpi           uint16          // 0: no compression is offered
	at            ike.Path        // where both were reserved
}

// newProposal offers a configured child. The selectors of the packet that asked
// for it go first, where there is room for them (RFC 7296, 2.9).
func newProposal(sa *SA, c *conf.Child, packet *esp.Selector) *proposal {
	p := &proposal{
		conf:   c,
		local:  ts.FromConf(c.Local, sa.path.Local.Addr()),
		remote: ts.FromConf(c.Remote, sa.path.Remote.Addr()),
	}
	if packet == nil {
		return p
	}
	local, remote := ts.FromPacket(*packet)
	if room := max(len(p.local), len(p.remote)) < ts.MaxSelectors; room && ts.Within([]wire.Selector{local}, p.local) && ts.Within([]wire.Selector{remote}, p.remote) {
		p.local = append([]wire.Selector{local}, p.local...)
		p.remote = append([]wire.Selector{remote}, p.remote...)
	}
	return p
}

// reserve asks for the SPI by which we receive.
func (p *proposal) reserve(sa *SA, reqID uint32) ike.Reserve {
	return sa.reserve(p.conf, reqID)
}

func (sa *SA) reserve(c *conf.Child, reqID uint32) ike.Reserve {
	return ike.Reserve{
		Src: sa.path.Remote.Addr(), Dst: sa.path.Local.Addr(), Proto: ipProto(c.Protocol),
		Name: sa.conn.Name + "/" + c.Name, ReqID: reqID,
	}
}

// reserved takes the SPI and, where compression is wanted, the CPI.
func (p *proposal) reserved(g *gather) { p.spi, p.cpi, p.at = g.spi, g.cpi, g.at }

// payloads offers the child: SA, TSi and TSr, the mode and compression.
func (p *proposal) payloads(proposals []crypto.Proposal) []wire.Payload {
	ps := []wire.Payload{
		&wire.SA{Proposals: wireProposals(proposals, spi32(p.spi.SPI))},
		&wire.TS{Selectors: p.local},
		&wire.TS{Responder: true, Selectors: p.remote},
	}
	ps = append(ps, modeNotify(p.conf.Mode)...)
	return append(ps, compression(p.cpi)...)
}

// release gives back the SPI and the CPI of a child that will not be.
func (p *proposal) release(fx *ike.Effects) {
	if p.spi.SPI != 0 {
		releaseSPI(p.at, p.conf.Protocol, p.spi.SPI, fx)
		p.spi = ike.Reserved{}
	}
	releaseCPI(p.at, p.cpi, fx)
	p.cpi = 0
}

// releaseSPI gives back an SPI that was reserved for a path.
func releaseSPI(at ike.Path, proto crypto.Proto, spi uint32, fx *ike.Effects) {
	said := esp.SAID{Dst: at.Local.Addr(), SPI: spi, Proto: ipProto(proto)}
	fx.Do(ike.Install{Ops: []esp.Op{esp.DelSA{ID: said}}})
}

// ipProto is the IP protocol of a protocol of proposals.
func ipProto(p crypto.Proto) esp.Proto {
	if p == crypto.AH {
		return esp.ProtoAH
	}
	return esp.ProtoESP
}

// translate replaces the addresses of single hosts by the address that a NAT made
// of them, as transport mode needs it (RFC 7296, 2.23.1).
func translate(list []wire.Selector, to netip.Addr) []wire.Selector {
	out := make([]wire.Selector, len(list))
	for i, s := range list {
		if s.Start == s.End && s.Start.Is4() == to.Is4() {
			s.Start, s.End = to, to
		}
		out[i] = s
	}
	return out
}
