//go:build linux

package xfrm

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

func TestChildUpAndDown(t *testing.T) {
	for _, directed := range []bool{true, false} {
		k := newFake(t)
		k.directed = directed
		b := newBedOn(t, k)
		up, down := b.child(1, 1000)
		k.counted()
		b.apply(up...)
		calls, asked := k.counted()
		if calls != 2 || len(asked) != 5 {
			t.Errorf("%d calls with %v", calls, asked)
		}
		if asked[0] != message.UpdSA {
			t.Errorf("the inbound SA went in by %#x", asked[0])
		}
		sas, policies := k.snapshot()
		if len(sas) != 2 || len(policies) != 3 {
			t.Fatalf("%d SAs, %d policies", len(sas), len(policies))
		}
		for _, st := range sas {
			if st.ReqID != testReqID || st.AEAD == nil || st.Flags&message.AFUnspec == 0 || st.Mode != message.Tunnel {
				t.Errorf("%+v", st)
			}
		}
		for _, p := range policies {
			if len(p.Templates) != 1 || p.Templates[0].ReqID != testReqID || p.Priority != 1000 || !tagged(&p) {
				t.Errorf("%+v", p)
			}
		}
		b.apply(down...)
		if calls, _ := k.counted(); calls != 1 {
			t.Errorf("it went in %d calls", calls)
		}
		k.empty(t)
		b.apply(down...) // once more is no error
	}
}

// Extended sequence numbers go by different rules before and after Linux 6.10.
func TestESNBothKernels(t *testing.T) {
	for _, directed := range []bool{true, false} {
		k := newFake(t)
		k.directed = directed
		b := newBedOn(t, k)
		spi, err := b.AllocSPI(t.Context(), there, here, esp.ProtoESP)
		if err != nil {
			t.Fatal(err)
		}
		in, out := inSA(spi), outSA(0x999)
		in.ESN, out.ESN, in.Window = true, true, 4096
		b.apply(esp.AddSA{SA: in}, esp.AddSA{SA: out})
		sas, _ := k.snapshot()
		if st := sas[kernelID(in.ID)]; st.Window != 4096 || st.Flags&message.ESN == 0 {
			t.Errorf("inbound: window %d, flags %#x", st.Window, st.Flags)
		}
		want := uint32(1)
		if directed {
			want = 0
		}
		if st := sas[kernelID(out.ID)]; st.Window != want || st.Flags&message.ESN == 0 {
			t.Errorf("outbound: window %d, want %d", st.Window, want)
		}
	}
}

func TestFormsOfSAs(t *testing.T) {
	b := newBed(t)
	v6 := netip.MustParseAddr("2001:db8::1")
	integ := crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256}
	for name, c := range map[string]struct {
		change func(*esp.SA)
		want   func(st *message.State) bool
	}{
		"in UDP, outbound": {func(s *esp.SA) { s.Encap = &esp.Encap{Local: 4500, Remote: 1024} },
			func(st *message.State) bool { return *st.Encap == message.Encap{SrcPort: 4500, DstPort: 1024} }},
		"in UDP, inbound": {func(s *esp.SA) {
			*s = inSA(s.ID.SPI)
			s.Encap = &esp.Encap{Local: 4500, Remote: 1024}
		}, func(st *message.State) bool { return *st.Encap == message.Encap{SrcPort: 1024, DstPort: 4500} }},
		"AH": {func(s *esp.SA) {
			s.ID.Proto, s.Encr, s.Integ, s.IntegKey = esp.ProtoAH, crypto.Alg{}, integ, key(integ, 1)
		},
			func(st *message.State) bool { return st.ID.Proto == 51 && st.Auth.ICVBits == 128 && st.Encr == nil }},
		"IPComp": {func(s *esp.SA) { s.ID.Proto, s.ID.SPI, s.Encr = esp.ProtoIPComp, 0x1234, crypto.Alg{} },
			func(st *message.State) bool { return st.Comp.Name == "deflate" && st.Window == 0 }},
		"IPv6": {func(s *esp.SA) { s.ID.Dst, s.Src = netip.MustParseAddr("2001:db8::2"), v6 },
			func(st *message.State) bool { return st.Src == v6 }},
		"transport mode": {func(s *esp.SA) {
			s.Mode = esp.Transport
			s.Selectors = []esp.Selector{selector("192.0.2.1/32", "192.0.2.2/32")}
		}, func(st *message.State) bool {
			return st.Mode == message.Transport && st.Flags&message.AFUnspec == 0 && st.Sel.Dst == prefix("192.0.2.2/32")
		}},
		"transport mode of many selectors": {func(s *esp.SA) {
			s.Mode = esp.Transport
			s.Selectors = []esp.Selector{selector("192.0.2.1/32", "192.0.2.2/32"), selector("192.0.2.1/32", "192.0.2.3/32")}
		}, func(st *message.State) bool { return st.Sel.Dst.Bits() <= 0 }},
		"BEET mode": {func(s *esp.SA) {
			s.Mode = esp.BEET
			s.Selectors = []esp.Selector{selector("10.1.0.1/32", "10.2.0.1/32")}
		}, func(st *message.State) bool { return st.Mode == message.BEET && st.Sel.Src == prefix("10.1.0.1/32") }},
		"limits": {func(s *esp.SA) {
			s.Limits = esp.Limits{SoftBytes: 10, HardBytes: 20, HardPackets: 7, SoftTime: 1500 * time.Millisecond, HardTime: time.Minute}
		}, func(st *message.State) bool {
			return st.Limits == message.Limits{SoftBytes: 10, HardBytes: 20, SoftPackets: message.Infinite, HardPackets: 7, SoftAdd: 2, HardAdd: 60}
		}},
		"marks": {func(s *esp.SA) {
			s.Mark, s.SetMark, s.IfID = esp.Mark{Value: 7, Mask: 0xff}, esp.Mark{Value: 8, Mask: 0xf}, 5
		}, func(st *message.State) bool {
			return *st.Mark == message.Mark{Value: 7, Mask: 0xff} && *st.SetMark == message.Mark{Value: 8, Mask: 0xf} && st.IfID == 5
		}},
		"outer header": {func(s *esp.SA) { s.NoCopyDF, s.NoECN, s.DecapDSCP, s.TFCPad = true, true, true, 1300 },
			func(st *message.State) bool {
				return st.Flags == message.NoPMTUD|message.NoECN|message.AFUnspec && st.ExtraFlags == message.DontEncapDSCP && st.TFCPad == 1300
			}},
		"DSCP copied": {func(s *esp.SA) { s.CopyDSCP = true }, func(st *message.State) bool { return st.ExtraFlags == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			sa := outSA(0x2000)
			c.change(&sa)
			b.apply(esp.AddSA{SA: sa})
			sas, _ := b.k.snapshot()
			if st, ok := sas[kernelID(sa.ID)]; !ok || !c.want(&st) {
				t.Errorf("%+v", st)
			}
			b.apply(esp.DelSA{ID: sa.ID})
			b.k.empty(t)
		})
	}
}

func TestInboundFlags(t *testing.T) {
	b := newBed(t)
	sa := inSA(0x2000)
	sa.DecapDSCP, sa.NoCopyDF, sa.TFCPad = true, true, 1300
	b.apply(esp.AddSA{SA: sa})
	sas, _ := b.k.snapshot()
	st := sas[kernelID(sa.ID)]
	if st.Flags != message.DecapDSCP|message.AFUnspec || st.TFCPad != 0 || st.Dir != message.SADirIn || st.Window != 64 {
		t.Errorf("%+v", st)
	}
}

func TestWhatNoKernelDoes(t *testing.T) {
	b := newBed(t)
	for words, change := range map[string]func(*esp.SA){
		"outer address": func(s *esp.SA) { s.Src = netip.Addr{} },
		"two families":  func(s *esp.SA) { s.Src = netip.MustParseAddr("2001:db8::1") },
		"direction 2":   func(s *esp.SA) { s.Dir = esp.Forward },
		"mode 9":        func(s *esp.SA) { s.Mode = 9 },
		"of 5000":       func(s *esp.SA) { s.Window = 5000 },
		"extended":      func(s *esp.SA) { s.ESN, s.Window = true, 0 },
		"one selector":  func(s *esp.SA) { s.Mode = esp.BEET },
		"padding":       func(s *esp.SA) { s.Mode, s.TFCPad = esp.Transport, 100 },
	} {
		sa := inSA(0x3000)
		change(&sa)
		b.refused(words+"|gateway/office", append([]esp.Op{esp.AddSA{SA: sa}}, adds(policies(1, 1000))...)...)
		b.k.empty(t)
	}
}

// An SPI that the kernel has forgotten meanwhile is no obstacle.
func TestReservedSPIGone(t *testing.T) {
	b := newBed(t)
	up, _ := b.child(1, 1000)
	b.k.mu.Lock()
	clear(b.k.sas)
	b.k.mu.Unlock()
	b.apply(up...)
	if sas, _ := b.k.snapshot(); len(sas) != 2 {
		t.Errorf("%d SAs", len(sas))
	}
}

func TestSPIGivenBack(t *testing.T) {
	b := newBed(t)
	for _, proto := range []esp.Proto{esp.ProtoESP, esp.ProtoAH, esp.ProtoIPComp} {
		spi, err := b.AllocSPI(t.Context(), there, here, proto)
		if err != nil {
			t.Fatal(err)
		}
		if spi < firstSPI || proto == esp.ProtoIPComp && spi > lastCPI {
			t.Errorf("%#x", spi)
		}
		id := esp.SAID{Dst: here, SPI: spi, Proto: proto}
		if u, err := b.Query(t.Context(), id); err != nil || u.LastUse >= 0 {
			t.Errorf("a reserved SPI: %+v %v", u, err)
		}
		b.apply(esp.DelSA{ID: id})
	}
	b.k.empty(t)
}

func TestSPIRefused(t *testing.T) {
	b := newBed(t)
	for n, words := range map[error]string{unix.ENOENT: "all are taken", unix.EPERM: "CAP_NET_ADMIN", unix.ENOBUFS: "memory"} {
		b.k.refuse = errno(n, func(m message.Type, _ *message.State, _ *message.Policy) bool { return m == message.AllocSPI })
		_, err := b.AllocSPI(t.Context(), there, here, esp.ProtoESP)
		if err == nil || !contains(err, words) || !contains(err, "192.0.2.2") {
			t.Errorf("%v: %v", n, err)
		}
	}
}

// Operations on one SA take effect in their order.
func TestOrder(t *testing.T) {
	b := newBed(t)
	sa := outSA(0x6000)
	elsewhere := netip.MustParseAddr("203.0.113.9")
	moved := esp.SAID{Dst: elsewhere, SPI: 0x6000, Proto: esp.ProtoESP}
	b.apply(esp.AddSA{SA: sa}, esp.DelSA{ID: sa.ID}, esp.AddSA{SA: sa}, esp.MoveSA{ID: sa.ID, Src: here, Dst: elsewhere}, esp.AddSA{SA: sa}, esp.DelSA{ID: moved})
	sas, _ := b.k.snapshot()
	if _, ok := sas[kernelID(sa.ID)]; !ok || len(sas) != 1 {
		t.Errorf("%v", sas)
	}
}

func TestKeysAreZeroed(t *testing.T) {
	b := newBed(t)
	sa := outSA(0x6000)
	before := slices.Clone(sa.EncrKey)
	b.apply(esp.AddSA{SA: sa})
	if !slices.Equal(sa.EncrKey, before) {
		t.Error("the keys of the operation belong to the caller")
	}
}

func TestAfterClose(t *testing.T) {
	b := newBed(t)
	up, _ := b.child(1, 1000)
	b.apply(up...)
	if _, err := b.AllocSPI(t.Context(), there, here, esp.ProtoESP); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.k.empty(t)
	_, err1 := b.AllocSPI(t.Context(), there, here, esp.ProtoESP)
	_, err2 := b.Query(t.Context(), inSA(1).ID)
	for _, err := range []error{err1, err2, b.Apply(t.Context(), nil), b.Check(t.Context(), inSA(1))} {
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

type strange struct{ esp.Op }

func TestStrangeOperation(t *testing.T) {
	b := newBed(t)
	b.refused("strange", strange{})
}
