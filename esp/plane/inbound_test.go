package plane

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// arriving turns what was sent into what the other end receives.
func arriving(u sent) udp.Packet {
	p := u.Packet
	p.Data = slices.Clone(p.Data)
	p.Local, p.Remote = p.Remote, p.Local
	return p
}

// sealed lets a seal packets for b and keeps them from arriving.
func sealed(a *host, pkts ...[]byte) []udp.Packet {
	a.t.Helper()
	a.wire.set(func(w *wire) { w.to = nil })
	a.wire.taken()
	a.send(pkts...)
	var ps []udp.Packet
	for _, u := range a.wire.taken() {
		ps = append(ps, arriving(u))
	}
	return ps
}

func TestReplayAndForgery(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.encap = true })
		p := packet(protoUDP, f.in1, f.in2, 100)
		ps := sealed(a, p, p)
		id := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}

		forged := ps[0]
		forged.Data = slices.Clone(forged.Data)
		forged.Data[40] ^= 1
		highest := ps[0] // with a sequence number far ahead it must not move the window
		highest.Data = slices.Clone(highest.Data)
		highest.Data[4] = 0x7f
		b.Receive([]udp.Packet{forged, highest}, true)
		b.hasTaken()
		b.counted(map[string]uint64{"in_auth_failed": 2})

		b.Receive([]udp.Packet{ps[0], ps[0], ps[1]}, true) // the copy comes in the same batch
		b.Receive([]udp.Packet{ps[0], ps[1]}, true)
		b.hasTaken(p, p)
		unknown := ps[0]
		unknown.Data = slices.Clone(unknown.Data)
		unknown.Data[0] = 0xee
		b.Receive([]udp.Packet{unknown, {Data: []byte{0xff}}, {Data: []byte{1, 2, 3, 4, 5}}, {}}, true)
		b.counted(map[string]uint64{"in_auth_failed": 2, "in_replayed": 3, "in_no_sa": 1, "in_malformed": 1})
		u, err := b.Query(t.Context(), id)
		if want := (esp.Usage{Bytes: 200, Packets: 2, Replayed: 3, AuthFailed: 2}); err != nil || u != want {
			t.Errorf("usage %+v (%v), want %+v", u, err, want)
		}
		time.Sleep(3 * time.Second)
		if u, _ = b.Query(t.Context(), id); u.LastUse != 3*time.Second {
			t.Errorf("last use %v ago", u.LastUse)
		}
		b.apply(esp.DelSA{ID: id})
		b.Receive(sealed(a, p), true)
		b.hasTaken()
		if _, err := b.Query(t.Context(), id); err == nil {
			t.Error("an SA that is gone has a usage")
		}
	})
}

// What may come out of an SA (RFC 4301, 5.2).
func TestInboundPolicy(t *testing.T) {
	f := families["4"]
	in := func(src, dst string, reqID uint32, change func(*esp.Policy)) esp.AddPolicy {
		p := protect(esp.In, src, dst, reqID)
		if change != nil {
			change(&p.Policy)
		}
		return p
	}
	special := func(a esp.Action) func(*esp.Policy) {
		return func(p *esp.Policy) { p.Action, p.Priority = a, 10 }
	}
	discards := func(p *esp.Policy) { p.Owner, p.Priority, p.Action = 3, 999, esp.Discard }
	owner := func(p *esp.Policy) { p.Owner, p.Priority = 3, 999 }
	dirForward := func(p *esp.Policy) { p.Dir = esp.Forward }
	for _, c := range []struct {
		name      string
		policies  []esp.Op
		selectors []esp.Selector
		src       string
		allowed   bool
	}{
		{"its policy", []esp.Op{in(f.net1, f.net2, 7, nil)}, nil, f.in1, true},
		{"its policy, forwarded", []esp.Op{in(f.net1, f.net2, 7, dirForward)}, nil, f.in1, true},
		{"no policy", nil, nil, f.in1, false},
		{"other source", []esp.Op{in(f.net1, f.net2, 7, nil)}, nil, "10.9.0.1:1", false},
		{"other reqid", []esp.Op{in(f.net1, f.net2, 8, nil)}, nil, f.in1, false},
		{"a more specific policy of another SA", []esp.Op{in(f.net1, f.net2, 7, nil), in("10.1.0.0/24", f.net2, 8, nil)}, nil, f.in1, false},
		{"an older owner", []esp.Op{in(f.net1, f.net2, 7, nil), in(f.net1, f.net2, 8, owner)}, nil, f.in1, true},
		{"discard comes first", []esp.Op{in(f.net1, f.net2, 7, nil), in("10.1.0.0/24", f.net2, 0, special(esp.Discard))}, nil, f.in1, false},
		{"bypass comes first", []esp.Op{in(f.net1, f.net2, 7, nil), in("10.1.0.0/24", f.net2, 0, special(esp.Bypass))}, nil, f.in1, false},
		{"an owner that discards", []esp.Op{in(f.net1, f.net2, 7, nil), in(f.net1, f.net2, 7, discards)}, nil, f.in1, false},
		{"selectors of the SA", nil, []esp.Selector{selector("10.7.0.0/16", f.net2), selector(f.net1, f.net2)}, f.in1, true},
		{"not in the selectors", []esp.Op{in(f.net1, f.net2, 7, nil)}, []esp.Selector{selector("10.7.0.0/16", f.net2)}, f.in1, false},
		{"selectors that are nonsense", []esp.Op{in(f.net1, f.net2, 7, nil)}, []esp.Selector{{}}, f.in1, false},
	} {
		bubble(t, func(t *testing.T, a, b *host) {
			there := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1001, reqID: 7}
			out, inSA := there.sas(t)
			inSA.Selectors = c.selectors
			a.apply(esp.AddSA{SA: out}, protect(esp.Out, "0.0.0.0/0", "0.0.0.0/0", 7))
			b.apply(esp.AddSA{SA: inSA})
			b.apply(c.policies...)
			p := packet(protoUDP, c.src, f.in2, 100)
			a.send(p)
			if c.allowed {
				b.hasTaken(p)
				b.counted(nil)
			} else if b.counted(map[string]uint64{"in_not_allowed": 1}); len(b.dev.taken()) != 0 {
				t.Error("it was let through")
			}
			if t.Failed() {
				t.Fatal(c.name)
			}
		})
	}
}

// An SPI that is used at two addresses.
func TestSPITwice(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		other := tunnel{src: f.outerA, dst: "198.51.100.77", spi: 0x1001, reqID: 7, words: "aes256gcm16"}
		_, in := other.sas(t)
		b.apply(esp.AddSA{SA: in})
		p := packet(protoUDP, f.in1, f.in2, 100)
		a.send(p)
		b.hasTaken(p)
		b.apply(esp.DelSA{ID: in.ID})
		ps := sealed(a, p)
		ps[0].Local = netip.MustParseAddrPort("203.0.113.9:0") // an address that it did not know of
		b.Receive(ps, false)
		b.hasTaken(p)
	})
}
