package child

import (
	"cmp"
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/ts"
)

// Sample is an inbound SA as children of a configuration have them with these
// algorithms, or their IPComp SA, without addresses, SPI and keys: a data plane can be
// asked whether it could hold it. What only outbound SAs or policies have of the
// configuration is in it, too.
func Sample(c *conf.Child, encr, integ crypto.Alg, ipcomp bool) esp.SA {
	host := netip.IPv4Unspecified()
	n := &SA{
		Conf: c, Mode: c.Mode, Local: ts.FromConf(c.Local, host), Remote: ts.FromConf(c.Remote, host),
		Suite: crypto.Suite{Proto: c.Protocol, Encr: encr, Integ: integ, ESN: crypto.Alg{Type: crypto.ESN, ID: crypto.ESNNo}},
	}
	if ipcomp {
		n.CPIIn, n.CPIOut = 1, 1
	}
	in, out := n.appendSAs(nil, esp.In, Keys{}), n.appendSAs(nil, esp.Out, Keys{})
	sa, other := in[len(in)-1].(esp.AddSA).SA, out[len(out)-1].(esp.AddSA).SA
	sa.ID.SPI = 0
	k := &c.Kernel
	sa.IfID = cmp.Or(sa.IfID, other.IfID)
	sa.Mark = cmp.Or(mark(k.MarkIn), mark(k.MarkOut))
	sa.SetMark = cmp.Or(sa.SetMark, other.SetMark)
	sa.NoCopyDF, sa.TFCPad = other.NoCopyDF, other.TFCPad
	return sa
}
