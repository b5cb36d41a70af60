package plane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// Packets that come by an SPI that is reserved wait for the SA, a bounded number of them
// for a bounded time; by any other they are dropped.
func TestEarly(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.encap = true })
		p := packet(protoUDP, f.in1, f.in2, 100)
		_, in := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1001, encap: true, reqID: 7}.sas(t)
		reserve := func() {
			t.Helper()
			b.apply(esp.DelSA{ID: in.ID})
			b.mu.Lock()
			b.larval.add(larva{id: in.ID, expires: b.now() + larvalLife})
			b.timers.set(b.larvalTimer, b.larval.queue[0].expires)
			b.mu.Unlock()
		}

		reserve()
		ps := sealed(a, p, p, p)
		b.Receive(ps, true)
		b.hasTaken()
		forged := arriving(sent{Packet: ps[0]})
		forged.Data[40] ^= 1
		forged.Local, forged.Remote = ps[0].Local, ps[0].Remote
		b.Receive([]udp.Packet{forged}, true)
		b.apply(esp.AddSA{SA: in})
		b.hasTaken(p, p, p)
		b.counted(map[string]uint64{"in_auth_failed": 1})
		if n := b.larval.total.Load(); n != 0 || b.larval.early.n != 0 {
			t.Errorf("%d packets are left of %d SPIs", n, b.larval.early.n)
		}

		reserve() // as many as there is room for
		for range maxEarlyOfSPI + 3 {
			b.Receive(sealed(a, p), true)
		}
		b.counted(map[string]uint64{"in_auth_failed": 1, "in_no_sa": 3})
		b.apply(esp.AddSA{SA: in})
		if n := len(b.dev.taken()); n != maxEarlyOfSPI {
			t.Errorf("%d packets came out", n)
		}

		reserve() // for too long
		b.Receive(sealed(a, p), true)
		time.Sleep(time.Duration(earlyFor) + time.Second)
		b.apply(esp.AddSA{SA: in})
		b.hasTaken()

		reserve() // for nothing
		b.Receive(sealed(a, p), true)
		b.apply(esp.DelSA{ID: in.ID})
		b.Receive(sealed(a, p), true)
		reserve()
		b.Receive(sealed(a, p), true)
		time.Sleep(time.Duration(larvalLife) + time.Second)
		if n := b.larval.total.Load(); n != 0 || b.larval.early.n != 0 {
			t.Errorf("%d packets are left of %d SPIs", n, b.larval.early.n)
		}
	})
}

// All SPIs together keep no more than there is room for.
func TestEarlyIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, _, b *host) {
		dst := netip.MustParseAddr("192.0.2.1")
		kept := 0
		for range maxEarly/maxEarlyOfSPI + 10 {
			spi, err := b.AllocSPI(t.Context(), dst, dst, esp.ProtoESP)
			if err != nil {
				t.Fatal(err)
			}
			for range maxEarlyOfSPI {
				u := udp.Packet{Data: []byte{byte(spi >> 24), byte(spi >> 16), byte(spi >> 8), byte(spi), 0, 0, 0, 1}}
				if b.tooEarly(spi, &u, u.Data) {
					kept++
				}
			}
		}
		if kept != maxEarly || b.larval.total.Load() != maxEarly {
			t.Errorf("%d are kept, counted %d", kept, b.larval.total.Load())
		}
	})
}
