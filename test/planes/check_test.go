//go:build linux

package planes

import (
	"errors"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// testCheck asks each plane what it can do. What only the kernel can do the plane in
// user space refuses, in a line that names it.
func testCheck(t *testing.T, p *pair) {
	good := p.newTunnel(nil).in(true)
	for _, s := range []*side{p.a, p.b} {
		for _, c := range []struct {
			what   string // in the error; "": every plane can
			change func(*esp.SA)
		}{
			{"", func(*esp.SA) {}},
			{"", func(sa *esp.SA) { sa.Mode = esp.Transport }},
			{"", func(sa *esp.SA) { sa.ESN, sa.Window = true, 4096 }},
			{"", func(sa *esp.SA) { sa.CopyDSCP, sa.DecapDSCP, sa.NoECN, sa.NoCopyDF = true, true, true, true }},
			{"", func(sa *esp.SA) { sa.Dir, sa.Window, sa.TFCPad = esp.Out, 0, 1000 }},
			{"", func(sa *esp.SA) { sa.Offload = esp.OffloadAuto }},
			{"AH", func(sa *esp.SA) {
				sa.ID.Proto, sa.Encr = esp.ProtoAH, crypto.Alg{}
				sa.Integ = crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256}
			}},
			{"IPComp", func(sa *esp.SA) { sa.ID.Proto, sa.Encr = esp.ProtoIPComp, crypto.Alg{} }},
			{"BEET", func(sa *esp.SA) { sa.Mode = esp.BEET }},
			{"mark", func(sa *esp.SA) { sa.Mark = esp.Mark{Value: 1, Mask: 1} }},
			{"set_mark", func(sa *esp.SA) { sa.SetMark = esp.Mark{Value: 1, Mask: 1} }},
			{"if_id", func(sa *esp.SA) { sa.IfID = ifID }},
		} {
			sa := good
			c.change(&sa)
			err := s.Check(t.Context(), sa)
			if c.what == "" || s.rig.kernel() {
				if err != nil {
					t.Errorf("%s, %s: %v", s.rig, c.what, err)
				}
				continue
			}
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), c.what) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, %s: %v", s.rig, c.what, err)
			}
		}
		for _, c := range []struct {
			what   string
			change func(*esp.SA)
		}{
			{"encr_4711", func(sa *esp.SA) { sa.Encr.ID = 4711 }},
			{"offload", func(sa *esp.SA) { sa.Offload = esp.OffloadPacket }},
			{"5000", func(sa *esp.SA) { sa.Window = 5000 }},
		} {
			sa := good
			c.change(&sa)
			if err := s.Check(t.Context(), sa); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), c.what) {
				t.Errorf("%s, %s: %v", s.rig, c.what, err)
			}
		}
	}
}
