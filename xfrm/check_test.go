//go:build linux

package xfrm

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

func TestCheck(t *testing.T) {
	b := newBed(t)
	forms := map[string]func(*esp.SA){
		"ESP":       func(*esp.SA) {},
		"transport": func(s *esp.SA) { s.Mode = esp.Transport },
		"BEET":      func(s *esp.SA) { s.Mode = esp.BEET },
		"ESN":       func(s *esp.SA) { s.ESN, s.Window = true, 4096 },
		"in UDP":    func(s *esp.SA) { s.Encap = &esp.Encap{} },
		"IPComp":    func(s *esp.SA) { s.ID.Proto, s.Encr = esp.ProtoIPComp, crypto.Alg{} },
		"padded":    func(s *esp.SA) { s.TFCPad = 1000 },
		"marks": func(s *esp.SA) {
			s.Mark, s.SetMark, s.IfID = esp.Mark{Value: 1, Mask: 1}, esp.Mark{Value: 1, Mask: 1}, 9
		},
		"offload": func(s *esp.SA) { s.Offload, s.Window = esp.OffloadPacket, 48 },
		"flags":   func(s *esp.SA) { s.NoCopyDF, s.CopyDSCP, s.DecapDSCP, s.NoECN = true, true, true, true },
		"AH": func(s *esp.SA) {
			s.ID.Proto, s.Encr, s.Integ = esp.ProtoAH, crypto.Alg{}, crypto.Alg{Type: crypto.Integ, ID: crypto.IntegAESCMAC}
		},
	}
	for name, change := range forms {
		sa := esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm, Window: 32}
		change(&sa)
		for _, want := range []int{2, 0} {
			b.k.counted()
			err := b.Check(t.Context(), sa)
			if calls, _ := b.k.counted(); err != nil || calls != want {
				t.Errorf("%s: %v, %d calls", name, err, calls)
			}
		}
		b.k.empty(t)
		b.k.refuse = errno(unix.ENOSYS, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.NewSA })
		fresh := newBedOn(t, b.k)
		err := fresh.Check(t.Context(), sa)
		if err == nil || !contains(err, "lacks") || !contains(err, modeText(sa.Mode)) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantUnsupported(t, err, true)
		b.k.refuse = nil
		if err := fresh.Check(t.Context(), sa); err != nil {
			t.Errorf("%s: the module has come: %v", name, err)
		}
	}
}

func TestCheckWhatNoKernelDoes(t *testing.T) {
	b := newBed(t)
	for words, change := range map[string]func(*esp.SA){
		"replay window of 5000": func(s *esp.SA) { s.Window = 5000 },
		"padding":               func(s *esp.SA) { s.Mode, s.TFCPad = esp.Transport, 99 },
		"no name":               func(s *esp.SA) { s.Encr.ID = 999 },
		"AH in BEET":            func(s *esp.SA) { s.ID.Proto, s.Mode = esp.ProtoAH, esp.BEET },
		"AH in UDP":             func(s *esp.SA) { s.ID.Proto, s.Encap = esp.ProtoAH, &esp.Encap{} },
		"no offload 9":          func(s *esp.SA) { s.Offload = 9 },
	} {
		sa := esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm, Window: 32}
		change(&sa)
		err := b.Check(t.Context(), sa)
		if err == nil || !contains(err, words) {
			t.Errorf("%s: %v", words, err)
			continue
		}
		wantUnsupported(t, err, true)
	}
	b.cfg.OffloadDevice = nil
	err := b.Check(t.Context(), esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm, Offload: esp.OffloadCrypto})
	wantUnsupported(t, err, true)
	b.k.refuse = errno(unix.EPERM, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.NewSA })
	err = b.Check(t.Context(), esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm})
	wantUnsupported(t, err, false) // nobody knows
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Check(ctx, esp.SA{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.k.refuse = nil
}

// An SPI that is taken is not the fault of the form.
func TestCheckChoosesSPIs(t *testing.T) {
	b := newBed(t)
	n := 0
	b.k.refuse = errno(unix.EEXIST, func(m message.Type, _ *message.State, _ *message.Policy) bool {
		n++
		return m == message.NewSA && n < 4
	})
	if err := b.Check(t.Context(), esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm}); err != nil {
		t.Error(err)
	}
	n = -100
	if err := b.Check(t.Context(), esp.SA{ID: esp.SAID{Proto: esp.ProtoESP}, Encr: gcm, Window: 40}); err == nil {
		t.Error("no error")
	}
	b.k.refuse = nil
	b.k.empty(t)
}

func TestProbe(t *testing.T) {
	k := newFake(t)
	if err := Probe(t.Context(), k); err != nil {
		t.Error(err)
	}
	k.refuse = errno(unix.ENOSYS, func(_ message.Type, st *message.State, _ *message.Policy) bool { return st != nil && st.AEAD != nil })
	if err := Probe(t.Context(), k); err != nil {
		t.Error(err) // AES-CBC does
	}
	k.refuse = errno(unix.EPROTONOSUPPORT, func(_ message.Type, st *message.State, _ *message.Policy) bool { return st != nil })
	err := Probe(t.Context(), k)
	wantUnsupported(t, err, true)
	k.refuse = nil
	k.empty(t)
}
