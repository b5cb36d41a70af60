package plane

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
)

func TestTooBig(t *testing.T) {
	for _, fam := range []string{"4", "6"} {
		bubble(t, func(t *testing.T, a, b *host) {
			f := families[fam]
			connect(t, a, b, "192.0.2.1", "192.0.2.2", f.net1, f.net2, nil)
			sa := a.outByID[esp.SAID{Dst: netip.MustParseAddr("192.0.2.2"), SPI: 0x1001, Proto: esp.ProtoESP}]
			limit := sa.sender.MaxInner(1500, false)
			fits, big := packet(protoUDP, f.in1, f.in2, limit), packet(protoUDP, f.in1, f.in2, limit+1)
			if fam == "4" {
				fits, big = df(fits), df(big)
			}
			a.send(fits, big)
			b.hasTaken(fits)
			if u := a.wire.taken(); len(u) != 1 || len(u[0].Data)+20 > 1500 || len(u[0].Data)+20 < 1490 {
				t.Errorf("sent %d packets, the first of %d octets", len(u), len(u[0].Data))
			}
			checkTooBig(t, fam, a.dev.taken(), big, limit)
			a.counted(map[string]uint64{"out_too_big": 1})
		})
	}
}

// An IPv6 packet of the least size goes also where it does not fit: the outer layer
// cuts it.
func TestLeastIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, func(c *Config) { c.MTU = func(netip.Addr) int { return 1300 } })
		defer a.close()
		defer b.close()
		f := families["6"]
		connect(t, a, b, "192.0.2.1", "192.0.2.2", f.net1, f.net2, nil)
		p := packet(protoUDP, f.in1, f.in2, 1280)
		a.send(p, packet(protoUDP, f.in1, f.in2, 1281))
		b.hasTaken(p)
		if u := a.wire.taken(); len(u) != 1 || u[0].DF {
			t.Errorf("sent %d packets, DF %v", len(u), u[0].DF)
		}
		if got := a.dev.taken(); len(got) != 1 || int(got[0][46])<<8|int(got[0][47]) != 1280 {
			t.Errorf("answered %.60x", got)
		}
	})
}

// Octets behind a packet do not count.
func TestTrailingOctets(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		p := df(packet(protoUDP, f.in1, f.in2, 1400))
		a.send(append(slices.Clone(p), make([]byte, 100)...))
		b.hasTaken(p)
		a.counted(nil)
	})
}

func checkTooBig(t *testing.T, fam string, got [][]byte, big []byte, limit int) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("the device was given %d packets", len(got))
	}
	flow, err := esp.ParseFlow(got[0])
	asked, _ := esp.ParseFlow(big)
	if err != nil || flow.Src != asked.Dst || flow.Dst != asked.Src {
		t.Fatalf("answered %+v (%v)", flow, err)
	}
	icmp, typ, mtu := got[0][20:], uint16(3<<8|4), 0
	if fam == "6" {
		icmp, typ = got[0][40:], 2<<8
	}
	if mtu = int(icmp[6])<<8 | int(icmp[7]); flow.SrcPort != typ || mtu != limit {
		t.Errorf("ICMP type and code %04x, MTU %d, want %04x and %d", flow.SrcPort, mtu, typ, limit)
	}
}

func TestFragments(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.encap = true })
		a.dev.mtu = 4000
		big := packet(protoUDP, f.in1, f.in2, 2000)
		a.send(big)
		got := b.dev.taken()
		if len(got) != 2 || len(got[0])+len(got[1]) != 2020 {
			t.Fatalf("%d pieces", len(got))
		}
		payload := append(got[0][20:], got[1][20:]...)
		if string(payload) != string(big[20:]) {
			t.Error("the payload changed")
		}
		for _, u := range a.wire.taken() {
			if len(u.Data)+28 > 1500 {
				t.Errorf("an outer packet of %d octets", len(u.Data)+28)
			}
		}
		a.counted(map[string]uint64{"out_fragmented": 1})
	})
}

// A batch in which everything has to be cut: nothing gets lost, or all of a packet.
func TestManyFragments(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		var pkts [][]byte
		for range 128 {
			pkts = append(pkts, packet(protoUDP, f.in1, f.in2, 1600))
		}
		a.send(pkts[:64]...)
		if n := len(b.dev.taken()); n != 128 {
			t.Errorf("64 packets became %d pieces", n)
		}
		a.send(pkts...)
		if n := len(b.dev.taken()); n < 128 {
			t.Errorf("128 packets became %d pieces", n)
		}
	})
}

// In transport mode it is the outer layer that fragments.
func TestTransportTooBig(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := families["4"]
		connect(t, a, b, f.outerA, f.outerB, f.outerA+"/32", f.outerB+"/32", func(x *tunnel) { x.mode = esp.Transport })
		big := packet(protoUDP, f.outerA+":1", f.outerB+":2", 1490)
		a.send(big, df(big))
		u := a.wire.taken()
		if len(u) != 1 || u[0].DF {
			t.Fatalf("sent %+v", u)
		}
		if got := b.dev.taken(); len(got) != 1 || len(got[0]) != 1490 {
			t.Errorf("received %d", len(got))
		}
		a.counted(map[string]uint64{"out_too_big": 1})
	})
}

// A path that turns out narrower is remembered for ten minutes.
func TestPathMTU(t *testing.T) {
	var mtu atomic.Int64 // what the system knows
	synctest.Test(t, func(t *testing.T) {
		a, b := twoHosts(t, func(c *Config) { c.MTU = func(netip.Addr) int { return int(mtu.Load()) } })
		defer a.close()
		defer b.close()
		f := connect4(t, a, b, func(x *tunnel) { x.encap = true })
		narrow := func(n int) { a.wire.set(func(w *wire) { w.mtu = n }) }
		big := df(packet(protoUDP, f.in1, f.in2, 1400))
		a.send(big)
		b.hasTaken(big)

		narrow(1400)
		a.send(big) // 1400 and headers: EMSGSIZE, a plateau below is taken
		b.hasTaken()
		a.send(big)
		if got := a.dev.taken(); len(got) != 1 || got[0][20] != 3 {
			t.Fatalf("no ICMP message: %x", got)
		}
		a.counted(map[string]uint64{"out_send_failed": 1, "path_mtu_learned": 1, "out_too_big": 1})

		mtu.Store(1300) // now the system knows better
		narrow(1300)
		a.send(df(packet(protoUDP, f.in1, f.in2, 1300)))
		a.dev.taken()
		a.send(df(packet(protoUDP, f.in1, f.in2, 1300)))
		if got := a.dev.taken(); len(got) != 1 || int(got[0][26])<<8|int(got[0][27]) > 1300 {
			t.Fatalf("ICMP messages: %x", got)
		}
		mtu.Store(1500)
		narrow(0)
		a.send(big)
		b.hasTaken()
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		a.send(big)
		b.hasTaken(big)
	})
}

// TFC padding stays within the buffers and the path.
func TestTFC(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.encap, x.change = true, func(sa *esp.SA) { sa.TFCPad = 0xffff } })
		p := packet(protoUDP, f.in1, f.in2, 100)
		a.send(p)
		b.hasTaken(p)
		if u := a.wire.taken(); len(u) != 1 || len(u[0].Data)+28 > 1500 || len(u[0].Data)+28 < 1490 {
			t.Errorf("an ESP packet of %d octets", len(u[0].Data))
		}
		a.counted(nil)
	})
}
