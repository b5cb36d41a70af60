package v2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// deflate is the transform ID of DEFLATE in IPCOMP_SUPPORTED (RFC 7296, 3.10.1), the
// only one that is used.
const deflate = 2

// minCPI is the first CPI that is free for negotiation (RFC 3173, 3.3).
const minCPI = 256

var errCompression = errors.New("the peer chose compression that was not offered, or with a CPI that is in use")

// compresses tells whether IPComp is wanted for a child. Behind a NAT it is not, as
// strongSwan has it: CPIs are too few for hosts that share an address.
func (sa *SA) compresses(c *conf.Child) bool { return c.IPComp && !sa.nat.encap() }

// reserveCPI asks for the CPI by which we receive when d brings the SPI: it is to have
// the same request ID.
func (g *gather) reserveCPI(sa *SA, holder resumer, c *conf.Child, d ike.Done, fx *ike.Effects) {
	r, ok := d.Result.(ike.Reserved)
	if !ok || g.cpiTicket != 0 {
		return
	}
	q := sa.reserve(c, r.ReqID)
	q.Src, q.Dst, q.Proto = g.at.Remote.Addr(), g.at.Local.Addr(), esp.ProtoIPComp
	g.left++
	g.cpiTicket = sa.newTicket(holder)
	fx.Do(ike.Ask{Ticket: g.cpiTicket, Query: q})
}

// takeCPI stores the CPI. Without one there is no compression, which is no error.
func (g *gather) takeCPI(d ike.Done) {
	r, ok := d.Result.(ike.Reserved)
	switch {
	case d.Err != nil:
		g.cpiErr = d.Err
	case !ok || r.SPI < minCPI || r.SPI > math.MaxUint16:
		g.cpiErr = fmt.Errorf("%#x is no CPI", r.SPI)
	default:
		g.cpi = uint16(r.SPI)
	}
}

// sayUncompressed tells that a child goes without compression for want of a CPI.
func (g *gather) sayUncompressed(sa *SA, c *conf.Child, fx *ike.Effects) {
	if g.cpiErr != nil {
		sa.say(fx, ike.Warning, "%s is not compressed: the data plane gave no CPI: %v", c.Name, g.cpiErr)
	}
}

// releaseCPI gives back a CPI that was reserved for a path.
func releaseCPI(at ike.Path, cpi uint16, fx *ike.Effects) {
	if cpi != 0 {
		said := esp.SAID{Dst: at.Local.Addr(), SPI: uint32(cpi), Proto: esp.ProtoIPComp}
		fx.Do(ike.Install{Ops: []esp.Op{esp.DelSA{ID: said}}})
	}
}

// compression is the IPCOMP_SUPPORTED that says by which CPI we receive, none for 0.
func compression(cpi uint16) []wire.Payload {
	if cpi == 0 {
		return nil
	}
	data := append(binary.BigEndian.AppendUint16(nil, cpi), deflate)
	return []wire.Payload{&wire.Notify{Kind: wire.NotifyIPCompSupported, Data: data}}
}

// readCompression returns the CPI by which the peer receives what DEFLATE compressed,
// 0 for none; seen tells whether it says anything about compression.
func readCompression(ps []wire.Payload) (cpi uint16, seen bool) {
	for _, p := range ps {
		n, ok := p.(*wire.Notify)
		if !ok || n.Kind != wire.NotifyIPCompSupported {
			continue
		}
		seen = true
		if len(n.Data) == 3 && n.Data[2] == deflate {
			return binary.BigEndian.Uint16(n.Data), true
		}
	}
	return 0, seen
}

// sendsByCPI tells whether a child compresses for the peer under that CPI.
func (sa *SA) sendsByCPI(cpi uint16) bool {
	for _, c := range sa.children {
		if c.CPIOut == cpi {
			return true
		}
	}
	return false
}
