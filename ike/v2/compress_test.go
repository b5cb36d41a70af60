package v2

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

func compressAll(cs ...*conf.Connection) {
	for _, c := range cs {
		for _, child := range c.Children {
			child.IPComp = true
		}
	}
}

// compressed fails the test unless child i of both sides goes through IPComp SAs that
// fit each other.
func (n *network) compressed(i int) {
	n.t.Helper()
	c := n.a.list()[0].children[i]
	for _, d := range n.b.list()[0].children {
		if d.SPIIn != c.SPIOut {
			continue
		}
		if !c.Compressed() || c.CPIIn != d.CPIOut || c.CPIOut != d.CPIIn {
			n.t.Fatalf("CPIs %x/%x and %x/%x\n%s", c.CPIIn, c.CPIOut, d.CPIIn, d.CPIOut, n.story())
		}
		for h, x := range map[*host]*childSA{n.a: c, n.b: d} {
			in := esp.SAID{Dst: x.Path.Local.Addr(), SPI: uint32(x.CPIIn), Proto: esp.ProtoIPComp}
			out := esp.SAID{Dst: x.Path.Remote.Addr(), SPI: uint32(x.CPIOut), Proto: esp.ProtoIPComp}
			if h.plane.sas[in].ReqID != x.ReqID || h.plane.sas[out].ReqID != x.ReqID || h.plane.sas[x.InboundID()].Mode != esp.Transport {
				n.t.Errorf("%s: %+v", h.name, h.plane.sas)
			}
		}
		return
	}
	n.t.Errorf("no child %d", i)
}

// Both want compression: it is there, in IKE_AUTH and by CREATE_CHILD_SA from either
// side, for ESP and AH, and nothing is left of it at the end.
func TestCompression(t *testing.T) {
	for _, left := range []bool{true, false} {
		n, a, b := up(t, func(a, b *conf.Connection) {
			secondAH(t, "sha256-curve25519")(a, b)
			compressAll(a, b)
		})
		n.compressed(0)
		from, sa := n.a, a
		if !left {
			from, sa = n.b, b
		}
		from.step(sa, ike.Initiate{Child: "second"})
		n.run()
		n.established(2)
		n.compressed(1)
		for _, h := range []*host{n.a, n.b} {
			if len(h.plane.sas) != 8 || len(h.plane.policies) != 6 {
				t.Errorf("%d SAs, %d policies", len(h.plane.sas), len(h.plane.policies))
			}
			for _, p := range h.plane.policies {
				if !p.IPComp || p.Mode != esp.Tunnel {
					t.Errorf("%+v", p)
				}
			}
		}
		if up := n.a.of(ike.ChildUp)[0].Text; !strings.Contains(up, ", compressed, CPIs ") {
			t.Error(up)
		}
		n.a.step(a, ike.Terminate{Child: "second"})
		n.run()
		n.established(1)
		n.a.step(a, ike.Terminate{})
		n.run()
		n.a.empty()
		n.b.empty()
	}
}

// Who does not want compression, or cannot, gets none, and no CPI is left.
func TestNoCompression(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a, b *conf.Connection)
		nat    bool
		fails  *string
	}{
		"only a":        {change: func(a, _ *conf.Connection) { compressAll(a) }},
		"only b":        {change: func(_, b *conf.Connection) { compressAll(b) }},
		"NAT":           {change: func(a, b *conf.Connection) { compressAll(a, b) }, nat: true},
		"forced":        {change: func(a, b *conf.Connection) { compressAll(a, b); b.ForceEncap = true }},
		"no CPI at a":   {change: func(a, b *conf.Connection) { compressAll(a, b) }, fails: new("a")},
		"no CPI at b":   {change: func(a, b *conf.Connection) { compressAll(a, b) }, fails: new("b")},
		"none anywhere": {change: func(_, _ *conf.Connection) {}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, second(t, "aes256gcm16-curve25519", "aes256gcm16-curve25519"), c.change, func(_, b *conf.Connection) { b.Gateways = conf.Gateways{{Any: true}} })
			if c.nat {
				n.nat = natA
			}
			for _, h := range []*host{n.a, n.b} {
				if c.fails != nil && *c.fails == h.name {
					h.plane.cpiErr = errors.New("compression is not built in")
				}
			}
			n.a.dial("lan", "second")
			n.run()
			n.established(2)
			for _, h := range []*host{n.a, n.b} {
				left := 0
				for _, r := range h.plane.reserved {
					left += count(r)
				}
				if len(h.plane.sas) != 4 || left != 0 {
					t.Errorf("%s: %v", h.name, h.plane.log)
				}
				for id, sa := range h.plane.sas {
					if id.Proto != esp.ProtoESP || sa.Mode != esp.Tunnel {
						t.Errorf("%+v", sa)
					}
				}
				warned := len(h.of(ike.Warning)) == 2 && strings.Contains(h.of(ike.Warning)[0].Text, "lan is not compressed: the data plane gave no CPI: compression is not built in")
				if warned != (c.fails != nil && *c.fails == h.name) {
					t.Error(n.story())
				}
			}
		})
	}
}

// What a peer answers about compression to who asked for it, or did not.
func TestCompressionAnswers(t *testing.T) {
	notify := func(data ...byte) *wire.Notify { return &wire.Notify{Kind: wire.NotifyIPCompSupported, Data: data} }
	sel := []wire.Payload{
		&wire.TS{Selectors: []wire.Selector{wireSelector("172.16.0.0/24")}}, &wire.TS{Responder: true, Selectors: []wire.Selector{wireSelector("172.17.0.0/24")}},
	}
	for name, c := range map[string]struct {
		asks bool
		more []wire.Payload
		want uint16 // CPI out, 0: none
		bad  bool
	}{
		"not asked, none":  {false, nil, 0, false},
		"not asked, there": {false, []wire.Payload{notify(0x12, 0x34, 2)}, 0, true},
		"none":             {true, nil, 0, false},
		"DEFLATE":          {true, []wire.Payload{notify(0x12, 0x34, 2)}, 0x1234, false},
		"LZS":              {true, []wire.Payload{notify(0x12, 0x34, 3)}, 0, true},
		"CPI 0":            {true, []wire.Payload{notify(0, 0, 2)}, 0, true},
		"cut":              {true, []wire.Payload{notify(0x12, 0x34)}, 0, true},
		"empty":            {true, []wire.Payload{notify()}, 0, true},
		"LZS and DEFLATE":  {true, []wire.Payload{notify(0x12, 0x34, 3), notify(0x12, 0x35, 2)}, 0x1235, false},
		"CPI in use":       {true, []wire.Payload{notify(0x77, 0x77, 2)}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"))
			a.children[0].CPIOut = 0x7777
			a.conn.Children[1].IPComp = c.asks
			asked := false
			n.intercept = func(p packet) []packet {
				h := header(t, p.data)
				if p.from != n.a || h.Exchange != wire.CreateChildSA {
					return []packet{p}
				}
				_, asked = readCompression(n.open(b, p.data))
				ps := append([]wire.Payload{
					&wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, "aes256gcm16"), be32(5))}, &wire.Nonce{Data: make([]byte, 32)},
				}, append(sel, c.more...)...)
				data := craftMessage(t, b, b.header(wire.CreateChildSA, h.MessageID, true), ps...)
				b.win.nextRecv++
				return []packet{{n.b, p.dst, p.src, data}}
			}
			n.a.step(a, ike.Initiate{Child: "second"})
			n.run()
			left := 0
			for _, r := range n.a.plane.reserved {
				left += count(r)
			}
			if asked != c.asks || left != 0 {
				t.Errorf("asked %v, reserved %v", asked, n.a.plane.reserved)
			}
			if c.bad {
				if f := n.a.failure(); f.Why.Err != errCompression.Error() || len(a.children) != 1 {
					t.Error(n.story())
				}
				return
			}
			if len(a.children) != 2 || a.children[1].CPIOut != c.want || (a.children[1].CPIIn != 0) != (c.want != 0) {
				t.Error(n.story())
			}
		})
	}
}

// The data plane does not take the SAs: neither SPI nor CPI is left.
func TestCompressionFailsHere(t *testing.T) {
	for _, atB := range []bool{false, true} {
		n, a, _ := up(t, second(t, "aes256gcm16", "aes256gcm16"), func(a, b *conf.Connection) { compressAll(a, b) })
		h := n.a
		if atB {
			h = n.b
		}
		h.plane.err = errors.New("the plane is broken")
		n.a.step(a, ike.Initiate{Child: "second"})
		n.run()
		n.established(1)
		n.compressed(0)
		for _, h := range []*host{n.a, n.b} {
			if len(h.plane.sas) != 4 || len(h.plane.reserved) != 2 {
				t.Errorf("%s: %v, reserved %v", h.name, h.plane.log, h.plane.reserved)
			}
		}
	}
}

// The IKE SA is closed while SPI and CPI are being asked for: what comes late is
// released by the engine, what came is released here.
func TestCompressionCut(t *testing.T) {
	n, a, _ := up(t, second(t, "aes256gcm16", "aes256gcm16"), func(a, b *conf.Connection) { compressAll(a, b) })
	n.intercept = func(p packet) []packet { return nil }
	n.a.step(a, ike.Initiate{Child: "second"})
	if len(n.a.plane.reserved) != 4 {
		t.Fatal(n.a.plane.reserved)
	}
	n.a.step(a, ike.Terminate{Silent: true})
	n.a.empty()
}

// The peer replaces a compressed child: the new one has CPIs of its own, by which
// nothing is sent before the old one is gone.
func TestPeerRekeysCompressed(t *testing.T) {
	n, a, b := up(t, func(a, b *conf.Connection) { compressAll(a, b) })
	old := b.children[0]
	ps := n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil, compression(0x4321)...)
	cpi, _ := readCompression(ps)
	if len(b.children) != 2 {
		t.Fatal(notifies(ps), n.story())
	}
	fresh := b.children[1]
	if cpi == 0 || cpi != fresh.CPIIn || cpi == old.CPIIn || fresh.CPIOut != 0x4321 || fresh.ReqID != old.ReqID {
		t.Errorf("CPI %x, %+v", cpi, fresh)
	}
	out := esp.SAID{Dst: addrA, SPI: 0x4321, Proto: esp.ProtoIPComp}
	if _, ok := n.b.plane.sas[out]; ok || len(n.b.plane.sas) != 6 {
		t.Error("the new child sends already", n.b.plane.log)
	}
	n.exchange(a, b, wire.Informational, deleteOf(crypto.ESP, old.SPIOut))
	n.b.settle(b)
	if _, ok := n.b.plane.sas[out]; !ok || len(n.b.plane.sas) != 4 || len(n.b.plane.policies) != 3 {
		t.Error(n.b.plane.log)
	}
	// A CPI that is in use already is not taken a second time.
	ps = n.rekeyChild(a, b, &childSA{Suite: fresh.Suite, SPIIn: fresh.SPIOut, Local: fresh.Remote, Remote: fresh.Local}, "aes256gcm16", nil, compression(0x4321)...)
	if notifies(ps) != "NO_PROPOSAL_CHOSEN" { // its SPI is the same, too
		t.Error(notifies(ps), n.story())
	}
	b.children[0].SPIOut++
	ps = n.rekeyChild(a, b, &childSA{Suite: fresh.Suite, SPIIn: fresh.SPIOut, Local: fresh.Remote, Remote: fresh.Local}, "aes256gcm16", nil, compression(0x4321)...)
	if _, seen := readCompression(ps); seen || len(b.children) != 2 || b.children[1].Compressed() {
		t.Error(notifies(ps), n.story())
	}
}

// A peer that takes no padded packets gets none (RFC 7296, 3.10.1).
func TestNoPadding(t *testing.T) {
	for _, says := range []bool{false, true} {
		var more []wire.Payload
		if says {
			more = append(more, &wire.Notify{Kind: wire.NotifyESPTFCPaddingNotSupported})
		}
		pad := func(c *conf.Connection) { c.Children[0].Kernel.TFCPad = 1300 }
		n, a, b := up(t, func(a, b *conf.Connection) { pad(a); pad(b) })
		if n.a.plane.sas[a.children[0].OutboundID()].TFCPad != 1300 {
			t.Error("no padding")
		}
		n.rekeyChild(a, b, a.children[0], "aes256gcm16", nil, more...)
		n.exchange(a, b, wire.Informational, deleteOf(crypto.ESP, a.children[0].SPIIn))
		if got := n.b.plane.sas[b.children[0].OutboundID()].TFCPad; (got == 0) != says {
			t.Errorf("padded to %d", got)
		}
	}
	sel := []wire.Payload{
		&wire.TS{Selectors: []wire.Selector{wireSelector("172.16.0.0/24")}}, &wire.TS{Responder: true, Selectors: []wire.Selector{wireSelector("172.17.0.0/24")}},
	}
	n, a, _ := createAnswers(t, "aes256gcm16", func([]wire.Payload) []wire.Payload {
		return append([]wire.Payload{
			&wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, "aes256gcm16"), be32(5))}, &wire.Nonce{Data: make([]byte, 32)},
			&wire.Notify{Kind: wire.NotifyESPTFCPaddingNotSupported},
		}, sel...)
	})
	if len(a.children) != 2 || !a.children[1].NoTFC {
		t.Error(n.story(), fmt.Sprint(ts.String(a.children[0].Local)))
	}
}
