package plane

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// A NAT gives the peer another port: that is told once, and only by what is new.
func TestMapping(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.encap = true })
		told := b.watch()
		p := packet(protoUDP, f.in1, f.in2, 100)
		ps := sealed(a, p, p, p, p, p)
		from := func(u udp.Packet, remote string) udp.Packet {
			u.Remote = netip.MustParseAddrPort(remote)
			return u
		}
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			got := told.taken()
			if want == "" && len(got) == 0 {
				return
			}
			n := esp.Mapping{ID: esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}, ReqID: 7}
			if want != "" {
				n.New = netip.MustParseAddrPort(want)
			}
			if len(got) != 1 || got[0] != n {
				t.Errorf("told %+v, want %s", got, want)
			}
		}
		b.Receive(ps[1:2], true)
		expect("")
		forged := from(ps[2], "203.0.113.1:7")
		forged.Data = slices.Clone(forged.Data)
		forged.Data[50] ^= 1
		b.Receive([]udp.Packet{forged, from(ps[0], "203.0.113.1:8")}, true) // forged, and older than what was seen
		expect("")
		b.Receive([]udp.Packet{from(ps[2], "203.0.113.1:9"), from(ps[3], "203.0.113.1:9")}, true)
		expect("203.0.113.1:9")
		id := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}
		b.apply(esp.MoveSA{ID: id, Src: netip.MustParseAddr("203.0.113.1"), Dst: id.Dst, Encap: &esp.Encap{Local: 4500, Remote: 9}})
		b.Receive([]udp.Packet{from(ps[4], "203.0.113.1:9")}, true)
		expect("")
		b.Receive([]udp.Packet{from(sealed(a, p)[0], f.outerA+":4500")}, true)
		expect(f.outerA + ":4500")
		if n := len(b.dev.taken()); n != 6 {
			t.Errorf("%d packets were received", n)
		}
	})
}

func TestKeepalive(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) {
			x.encap = true
			if x.src == families["4"].outerA {
				x.change = func(sa *esp.SA) { sa.Encap.Keepalive = true }
			}
		})
		second := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1009, reqID: 8, encap: true, change: func(sa *esp.SA) { sa.Encap.Keepalive = true }}
		out, _ := second.sas(t)
		a.apply(esp.AddSA{SA: out})
		alive := func(after time.Duration) (n int) {
			time.Sleep(after)
			synctest.Wait()
			for _, u := range a.wire.taken() {
				if len(u.Data) == 1 {
					if u.Data[0] != 0xff || !u.encap || u.Remote != netip.MustParseAddrPort(f.outerB+":4500") || u.Local.Addr().String() != f.outerA {
						t.Errorf("keepalive %+v", u)
					}
					n++
				}
			}
			return n
		}
		if n := alive(19 * time.Second); n != 0 {
			t.Errorf("%d keepalives in 19 s", n)
		}
		if n := alive(2 * time.Second); n != 1 {
			t.Errorf("%d keepalives after 21 s", n)
		}
		a.send(packet(protoUDP, f.in1, f.in2, 100))
		if n := alive(19500 * time.Millisecond); n != 0 {
			t.Errorf("%d keepalives while packets are sent", n)
		}
		if n := alive(time.Second); n != 1 {
			t.Errorf("%d keepalives after silence", n)
		}
		if n := alive(100 * time.Second); n != 5 {
			t.Errorf("%d keepalives in 100 s", n)
		}
		a.apply(esp.DelSA{ID: out.ID})
		if n := alive(20 * time.Second); n != 1 {
			t.Errorf("%d keepalives with one SA left", n)
		}
		id := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}
		a.apply(esp.MoveSA{ID: id, Src: netip.MustParseAddr(f.outerA), Dst: id.Dst})
		if n := alive(time.Hour); n != 0 {
			t.Errorf("%d keepalives without encapsulation", n)
		}
		if n := b.Counters()["in_malformed"]; n != 0 {
			t.Errorf("%d malformed packets", n)
		}
	})
}

// An SA moves to other addresses, there and back, while its packets keep flowing.
func TestMove(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		p := packet(protoUDP, f.in1, f.in2, 100)
		id := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}
		for i, to := range []string{"2001:db8::77", f.outerB} {
			src := []string{"2001:db8::1", f.outerA}[i]
			moved := esp.SAID{Dst: netip.MustParseAddr(to), SPI: id.SPI, Proto: id.Proto}
			move := esp.MoveSA{ID: id, Src: netip.MustParseAddr(src), Dst: moved.Dst, Encap: &esp.Encap{Local: 4500, Remote: 4501}}
			b.apply(move, move)
			a.apply(move, move)
			a.send(p)
			b.hasTaken(p)
			u := a.wire.taken()
			if len(u) != 1 || !u[0].encap || u[0].Remote != netip.AddrPortFrom(moved.Dst, 4501) || u[0].Local.Addr().String() != src {
				t.Errorf("sent %+v", u)
			}
			for _, h := range []*host{a, b} {
				if usage, err := h.Query(t.Context(), moved); err != nil || usage.Packets != uint64(1+i) {
					t.Errorf("usage %+v (%v)", usage, err)
				}
				if _, err := h.Query(t.Context(), id); err == nil {
					t.Error("it is still at the old address")
				}
			}
			id = moved
		}
		if err := a.Apply(t.Context(), []esp.Op{esp.MoveSA{ID: esp.SAID{SPI: 99}, Src: id.Dst, Dst: id.Dst}}); err == nil {
			t.Error("an SA that is not there was moved")
		}
		if n := len(a.peers); n != 1 {
			t.Errorf("%d peers are left", n)
		}
	})
}

// Adding an SA again changes it in place: sequence numbers, replay window and
// counters go on. With other keys it is a new one.
func TestAddAgain(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		p := packet(protoUDP, f.in1, f.in2, 100)
		a.send(p)
		b.hasTaken(p)
		seen := arriving(a.wire.taken()[0])
		there := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1001, reqID: 7}
		out, in := there.sas(t)
		a.apply(esp.AddSA{SA: out})
		b.apply(esp.AddSA{SA: in})
		a.send(p)
		b.hasTaken(p)
		if u := a.wire.taken(); fmt.Sprintf("%x", u[0].Data[4:8]) != "00000002" {
			t.Errorf("its sequence number is %x", u[0].Data[4:8])
		}
		b.Receive([]udp.Packet{seen}, false)
		b.counted(map[string]uint64{"in_replayed": 1})
		changed := out
		changed.ESN = true
		if err := a.Apply(t.Context(), []esp.Op{esp.AddSA{SA: changed}}); err == nil {
			t.Error("another transform under the same keys was accepted")
		}
		if u, err := a.Query(t.Context(), out.ID); err != nil || u.Packets != 2 {
			t.Errorf("usage %+v (%v)", u, err)
		}
		out.EncrKey, in.EncrKey = key(len(out.EncrKey), 99), key(len(in.EncrKey), 99)
		a.apply(esp.AddSA{SA: out})
		b.apply(esp.AddSA{SA: in})
		a.send(p)
		b.hasTaken(p)
		if u := a.wire.taken(); fmt.Sprintf("%x", u[0].Data[4:8]) != "00000001" {
			t.Errorf("its sequence number is %x", u[0].Data[4:8])
		}
	})
}
