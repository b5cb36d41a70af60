package plane

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// What Check lets pass can be installed; what it refuses is named, in a line.
func TestCheck(t *testing.T) {
	h := newHost(t, func(*Config) {})
	defer h.close()
	good := esp.SA{
		ID: esp.SAID{Proto: esp.ProtoESP}, Encr: crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESGCM16, KeyBits: 256},
		Window: 4096, ESN: true, Encap: &esp.Encap{Local: 4500, Remote: 1024}, TFCPad: 1400,
		NoCopyDF: true, CopyDSCP: true, DecapDSCP: true, NoECN: true, Offload: esp.OffloadAuto,
	}
	for _, mode := range []esp.Mode{esp.Tunnel, esp.Transport} {
		good.Mode = mode
		if err := h.Check(t.Context(), good); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		change func(*esp.SA)
		want   string
	}{
		{func(s *esp.SA) { s.ID.Proto = esp.ProtoAH }, "AH"},
		{func(s *esp.SA) { s.ID.Proto = esp.ProtoIPComp }, "IPComp"},
		{func(s *esp.SA) { s.Mode = esp.BEET }, "BEET"},
		{func(s *esp.SA) { s.Mark = esp.Mark{Value: 1, Mask: 1} }, "(mark)"},
		{func(s *esp.SA) { s.SetMark = esp.Mark{Value: 1, Mask: 1} }, "(set_mark)"},
		{func(s *esp.SA) { s.IfID = 7 }, "(if_id)"},
		{func(s *esp.SA) { s.Offload = esp.OffloadCrypto }, "offload"},
		{func(s *esp.SA) { s.Offload = esp.OffloadPacket }, "offload"},
		{func(s *esp.SA) { s.Offload = 9 }, "offload 9"},
		{func(s *esp.SA) { s.Window = 4097 }, "window of 4097"},
		{func(s *esp.SA) { s.Window = 31 }, "window of 31"},
		{func(s *esp.SA) { s.Encr.ID = 4711 }, "encr_4711"},
		{func(s *esp.SA) { s.Encr.ID = crypto.EncrAESCBC }, "integrity"},
		{func(s *esp.SA) { s.Integ = crypto.Alg{Type: crypto.Integ, ID: crypto.IntegAESXCBC} }, "takes no integrity"},
	} {
		sa := good
		c.change(&sa)
		err := h.Check(t.Context(), sa)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Check(ctx, good); err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
