package plane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
)

// spis is a source of random numbers that is known.
func spis(list ...uint32) *bytes.Reader {
	b := make([]byte, 24+32) // the secrets of the plane
	for _, s := range list {
		b = binary.BigEndian.AppendUint32(b, s)
	}
	return bytes.NewReader(b)
}

func TestAllocSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const taken = 0x00002002
		h := newHost(t, func(c *Config) {
			c.Rand = spis(0x1234, 0, 255, 256, 0x1234, taken, 7, 0xffffffff, 0x1234, 0x1234)
		})
		defer h.close()
		dst := netip.MustParseAddr("192.0.2.1")
		_, in := tunnel{src: "192.0.2.9", dst: "192.0.2.1", spi: taken}.sas(t)
		h.apply(esp.AddSA{SA: in})
		alloc := func(want uint32) {
			t.Helper()
			got, err := h.AllocSPI(t.Context(), netip.Addr{}, dst, esp.ProtoESP)
			if err != nil || got != want {
				t.Fatalf("SPI %08x (%v), want %08x", got, err, want)
			}
		}
		alloc(0x1234)
		alloc(256)
		alloc(0xffffffff)
		id := esp.SAID{Dst: dst, SPI: 0x1234, Proto: esp.ProtoESP}
		if u, err := h.Query(t.Context(), id); err != nil || u != (esp.Usage{LastUse: -1}) {
			t.Errorf("usage %+v (%v)", u, err)
		}
		h.apply(esp.DelSA{ID: id})
		alloc(0x1234)
		h.apply(esp.DelSA{ID: esp.SAID{Dst: dst.Next(), SPI: 0x1234, Proto: esp.ProtoESP}}) // not that one
		time.Sleep(164 * time.Second)
		synctest.Wait()
		if n := len(h.larval.bySPI); n != 3 {
			t.Errorf("%d SPIs are reserved", n)
		}
		_, in = tunnel{src: "192.0.2.9", dst: "192.0.2.1", spi: 256}.sas(t)
		h.apply(esp.AddSA{SA: in}) // completes it
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(h.larval.bySPI) != 0 || h.larval.queue != nil {
			t.Errorf("reserved: %v, %v", h.larval.bySPI, h.larval.queue)
		}
		if _, err := h.Query(t.Context(), id); err == nil {
			t.Error("an SPI that has expired has a usage")
		}
		alloc(0x1234)
		if _, err := h.AllocSPI(t.Context(), dst, dst, esp.ProtoESP); err == nil {
			t.Error("no random numbers, yet an SPI")
		}
		if _, err := h.AllocSPI(t.Context(), dst, dst, esp.ProtoAH); err == nil || !strings.Contains(err.Error(), "ESP only") {
			t.Errorf("SPI for AH: %v", err)
		}
	})
}

func TestSPIsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, nil)
		defer h.close()
		dst := netip.MustParseAddr("192.0.2.1")
		for i := range maxLarval {
			if _, err := h.AllocSPI(t.Context(), dst, dst, esp.ProtoESP); err != nil {
				t.Fatalf("SPI %d: %v", i, err)
			}
		}
		if _, err := h.AllocSPI(t.Context(), dst, dst, esp.ProtoESP); !errors.Is(err, errManySPIs) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(3 * time.Minute)
		if _, err := h.AllocSPI(t.Context(), dst, dst, esp.ProtoESP); err != nil {
			t.Error(err)
		}
	})
}

// What this plane cannot do is refused, never ignored.
func TestRefused(t *testing.T) {
	h := newHost(t, nil)
	defer h.close()
	sa := func(change func(*esp.SA)) esp.Op {
		out, _ := tunnel{src: "192.0.2.1", dst: "192.0.2.2", spi: 0x1001, reqID: 1}.sas(t)
		change(&out)
		return esp.AddSA{SA: out}
	}
	pol := func(change func(*esp.Policy)) esp.Op {
		p := protect(esp.Out, "10.0.0.0/8", "10.0.0.0/8", 1)
		change(&p.Policy)
		return p
	}
	for _, c := range []struct {
		op   esp.Op
		text string
	}{
		{sa(func(s *esp.SA) { s.ID.Proto = esp.ProtoAH }), "AH"},
		{sa(func(s *esp.SA) { s.Mark = esp.Mark{Value: 1, Mask: 1} }), "marks"},
		{sa(func(s *esp.SA) { s.IfID = 1 }), "if_id"},
		{sa(func(s *esp.SA) { s.SetMark.Mask = 1 }), "set_mark"},
		{sa(func(s *esp.SA) { s.Offload = esp.OffloadPacket }), "offload"},
		{sa(func(s *esp.SA) { s.Mode = esp.BEET }), "BEET"},
		{sa(func(s *esp.SA) { s.Src = netip.Addr{} }), "outer address"},
		{sa(func(s *esp.SA) { s.Src = netip.MustParseAddr("2001:db8::1") }), "two families"},
		{sa(func(s *esp.SA) { s.Dir = esp.Forward }), "direction"},
		{sa(func(s *esp.SA) { s.EncrKey = s.EncrKey[:3] }), "octets of key"},
		{sa(func(s *esp.SA) { s.Dir, s.Window = esp.In, 7 }), "window"},
		{pol(func(p *esp.Policy) { p.Mark = esp.Mark{Value: 1, Mask: 1} }), "marks"},
		{pol(func(p *esp.Policy) { p.IfID = 1 }), "if_id"},
		{pol(func(p *esp.Policy) { p.Proto = esp.ProtoAH }), "no AH"},
		{pol(func(p *esp.Policy) { p.Proto = 7 }), "no IP protocol 7"},
		{pol(func(p *esp.Policy) { p.IPComp = true }), "IPComp"},
		{pol(func(p *esp.Policy) { p.Mode = esp.BEET }), "BEET"},
		{pol(func(p *esp.Policy) { p.Sel.Src = netip.Prefix{} }), "no selector"},
		{pol(func(p *esp.Policy) { p.Sel.Src = netip.MustParsePrefix("::/0") }), "no selector"},
		{pol(func(p *esp.Policy) { p.Sel.SrcPorts = esp.PortRange{First: 2, Last: 1} }), "no selector"},
		{pol(func(p *esp.Policy) { p.Action = 9 }), "action"},
		{nil, "does not know"},
	} {
		err := h.Apply(t.Context(), []esp.Op{c.op})
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v, want %q", c.op, err, c.text)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is more than a line", err)
		}
	}
	if len(h.outByID)+len(h.inByID)+len(h.bundles)+len(h.peers)+len(h.asking)+len(h.timers.due) != 0 {
		t.Error("something was left of what was refused")
	}
	// After an error the rest is not tried; removing what is not there is none.
	good := protect(esp.Out, "10.0.0.0/8", "10.0.0.0/8", 1)
	if err := h.Apply(t.Context(), []esp.Op{sa(func(s *esp.SA) { s.Mark = esp.Mark{Value: 1, Mask: 1} }), good}); err == nil || len(*h.out.tuples.Load()) != 0 {
		t.Errorf("%v, and the rest was tried", err)
	}
	h.apply(esp.DelPolicy(good), esp.DelSA{ID: esp.SAID{SPI: 5}})
	if _, err := New(Config{}); err == nil {
		t.Error("a plane without device")
	}
	if _, err := New(Config{Device: newDevice(), Carrier: &wire{}, Rand: bytes.NewReader(nil)}); err == nil {
		t.Error("a plane without random numbers")
	}
}

type network struct {
	sets [][]Route
	fail error
}

func (n *network) Set(_ context.Context, routes []Route) error {
	n.sets = append(n.sets, routes)
	return n.fail
}

func TestRoutes(t *testing.T) {
	n := &network{}
	h := newHost(t, func(c *Config) { c.Network = n })
	defer h.close()
	route := func(dst, local string) Route {
		return Route{Dst: netip.MustParsePrefix(dst), Local: netip.MustParsePrefix(local)}
	}
	expect := func(what string, want ...[]Route) {
		t.Helper()
		if !reflect.DeepEqual(n.sets, want) {
			t.Errorf("%s: routes were set to %v, want %v", what, n.sets, want)
		}
		n.sets = nil
	}
	trap := protect(esp.Out, "10.1.0.0/16", "10.2.0.0/16", 1)
	child := trap
	child.Policy.Owner = 5
	tcp := trap
	tcp.Policy.Sel.Proto = protoTCP
	discard := protect(esp.Out, "0.0.0.0/0", "10.9.0.0/16", 0)
	discard.Policy.Action = esp.Discard
	bypass := protect(esp.Out, "0.0.0.0/0", "10.8.0.0/16", 0)
	bypass.Policy.Action = esp.Bypass
	six := protect(esp.Out, "fd01::/64", "fd02::/64", 0)
	one := route("10.2.0.0/16", "10.1.0.0/16")
	h.apply(trap, protect(esp.In, "10.2.0.0/16", "10.1.0.0/16", 1), six)
	expect("first", []Route{one, route("fd02::/64", "fd01::/64")})
	preferred := child
	preferred.Policy.Priority--
	h.apply(child, preferred, tcp, trap)
	expect("nothing new")
	h.apply(bypass)
	around := Route{Dst: netip.MustParsePrefix("10.8.0.0/16"), Bypass: true}
	expect("bypass", []Route{one, around, route("fd02::/64", "fd01::/64")})
	h.apply(discard, esp.DelPolicy(six), esp.DelPolicy(bypass))
	expect("one more, one less", []Route{one, route("10.9.0.0/16", "0.0.0.0/0")})
	h.apply(esp.DelPolicy(trap), esp.DelPolicy(tcp), esp.DelPolicy(bypass), esp.DelPolicy(bypass))
	expect("one owner is left")
	n.fail = errTest
	if err := h.Apply(t.Context(), []esp.Op{esp.DelPolicy(child)}); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	n.fail, n.sets = nil, nil
	h.apply()
	expect("tried again", []Route{route("10.9.0.0/16", "0.0.0.0/0")})
	h.apply(esp.DelPolicy(discard))
	expect("all gone", []Route{})
}

// After Close nothing is carried, told or changed, and no key is left.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) {
			x.encap, x.change = true, func(sa *esp.SA) { sa.Limits.HardTime, sa.Encap.Keepalive = time.Hour, true }
		})
		p := packet(protoUDP, f.in1, f.in2, 100)
		ps := sealed(a, p)
		watching := make(chan error)
		go func() { watching <- b.Watch(context.Background(), func(esp.Notice) {}) }()
		b.mu.Lock()
		out := b.outByID[esp.SAID{Dst: netip.MustParseAddr(f.outerA), SPI: 0x2002, Proto: esp.ProtoESP}]
		b.mu.Unlock()
		b.close()
		b.close()
		if err := <-watching; err != nil {
			t.Error(err)
		}
		b.Receive(ps, true)
		b.hasTaken()
		if err := b.Apply(t.Context(), []esp.Op{protect(esp.Out, f.net1, f.net2, 1)}); !errors.Is(err, ErrClosed) {
			t.Errorf("Apply: %v", err)
		}
		if _, err := b.AllocSPI(t.Context(), out.view.Load().id.Dst, out.view.Load().id.Dst, esp.ProtoESP); !errors.Is(err, ErrClosed) {
			t.Errorf("AllocSPI: %v", err)
		}
		if _, err := out.sender.NewWorker(); err == nil {
			t.Error("the keys are still there")
		}
		if len(b.outByID)+len(b.inByID)+len(b.bundles[7].sas)+len(b.peers)+len(b.mappings)+len(b.timers.due) != 0 {
			t.Error("something was left")
		}
	})
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t, nil)
		defer h.close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		got := &collected{}
		h.notify(esp.Expire{ReqID: 1})
		go func() { done <- h.Watch(ctx, got.sink) }()
		synctest.Wait()
		h.notify(esp.Expire{ReqID: 2})
		synctest.Wait()
		if n := got.taken(); len(n) != 2 || n[0].(esp.Expire).ReqID != 1 {
			t.Errorf("told %v", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A cancelled context ends Apply before the next operation.
func TestApplyIsCancelled(t *testing.T) {
	h := newHost(t, nil)
	defer h.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Apply(ctx, []esp.Op{protect(esp.Out, "10.0.0.0/8", "10.0.0.0/8", 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Idle, nothing is due.
func TestIdle(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		connect4(t, a, b, nil)
		if n := len(a.timers.due); n != 0 {
			t.Errorf("%d timers", n)
		}
	})
}

// Nothing prints keys.
func TestNoKeysInErrors(t *testing.T) {
	h := newHost(t, nil)
	defer h.close()
	out, _ := tunnel{src: "192.0.2.1", dst: "192.0.2.2", spi: 0x1001}.sas(t)
	out.Mark = esp.Mark{Value: 1, Mask: 1}
	err := h.Apply(t.Context(), []esp.Op{esp.AddSA{SA: out}})
	if text := fmt.Sprintf("%v %+v", err, out); strings.Contains(text, fmt.Sprintf("%x", []byte(out.EncrKey)[:4])) {
		t.Errorf("a key in %q", text)
	}
}
