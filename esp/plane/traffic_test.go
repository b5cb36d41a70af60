package plane

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/goike/goike/esp"
)

// SAs and policies come, are replaced and go while packets flow in both directions
// and others ask. No packet of the constant flow gets lost. For the race detector.
func TestChangesUnderTraffic(t *testing.T) { synctest.Test(t, changesUnderTraffic) }

func changesUnderTraffic(t *testing.T) {
	a, b := twoHosts(t, func(c *Config) { c.Workers = 2 })
	f := families["4"]
	connect(t, a, b, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) {
		x.encap, x.change = true, func(sa *esp.SA) { sa.Window = 4096 }
	})
	a.wire.set(func(w *wire) { w.keep = false })
	b.wire.set(func(w *wire) { w.keep = false })
	told := a.watch()
	const rounds = 150
	p := packet(protoUDP, f.in1, f.in2, 300)
	back := packet(protoUDP, f.in2, f.in1, 300)
	other := packet(protoUDP, f.in1, "10.7.0.1:1", 300)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range rounds {
			a.dev.in <- [][]byte{p, other, p, p, p, p, p}
		}
	})
	wg.Go(func() {
		for range rounds {
			b.dev.in <- [][]byte{back, back, back}
		}
	})
	wg.Go(func() {
		for i := range rounds {
			spi := uint32(0x10000 + i)
			out, in := tunnel{src: f.outerA, dst: f.outerB, spi: spi, reqID: 7, encap: true}.sas(t)
			in.Window = 4096
			child := protect(esp.Out, f.net1, f.net2, 7)
			child.Policy.Owner = uint64(1 + i%3)
			b.apply(esp.AddSA{SA: in})
			a.apply(esp.AddSA{SA: out}, child, protect(esp.Out, f.net1, "10.7.0.0/16", 99))
			move := esp.MoveSA{ID: out.ID, Src: out.Src, Dst: out.ID.Dst, Encap: out.Encap}
			a.apply(move)
			if _, err := a.Query(context.Background(), out.ID); err != nil {
				t.Error(err)
			}
			a.Counters()
			a.apply(esp.DelPolicy(child), esp.DelSA{ID: out.ID})
		}
	})
	wg.Wait()
	want := uint64(6 * rounds)
	synctest.Wait()
	// A packet whose SA went between its look-up and its sealing is lost, as the SA is gone.
	if n, lost := b.Counters()["in_packets"], a.Counters()["out_expired"]; n+lost != want {
		t.Errorf("%d of %d packets arrived, %d were lost with their SA; %v, %v", n, want, lost, a.nonzero(), b.nonzero())
	}
	a.close()
	b.close()
	if len(told.taken()) == 0 {
		t.Error("nobody asked for the other SA")
	}
}

// For a packet nothing is allocated.
func TestNoAllocation(t *testing.T) {
	f := families["4"]
	for _, words := range []string{"aes128gcm16", "aes256-sha256", "chacha20poly1305"} {
		w := &trainWire{buf: make([]byte, 0, 1<<16)}
		A, err := New(Config{Device: newDevice(), Carrier: w, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		B, err := New(Config{Device: discarding{newDevice()}, Carrier: w, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.to = B
		ha, hb := &host{Plane: A, t: t}, &host{Plane: B, t: t}
		connect(t, ha, hb, f.outerA, f.outerB, f.net1, f.net2, func(x *tunnel) { x.words, x.encap = words, true })
		pkt := packet(protoTCP, f.in1, f.in2, 1400)
		fill(A.outPool)
		fill(B.inPool)
		out := A.outPool.get()
		step := func() {
			for i := range 40 {
				out.sizes[i] = copy(out.bufs[i][headroom:], pkt)
			}
			out.used = 40
			A.sort(out)
			A.outLine.put(out)
			out = A.outPool.get()
		}
		for range 20 {
			step()
		}
		if n := testing.AllocsPerRun(20, step); n != 0 && !raceDetector {
			t.Errorf("%s: %v allocations for a batch of 40 packets", words, n)
		}
		if n := B.Counters()["in_packets"]; n != 41*40 {
			t.Errorf("%s: %d packets arrived: %v", words, n, hb.nonzero())
		}
		ha.close()
		hb.close()
	}
}

// fill makes all batches of a pool, which else are made when packets pile up.
func fill[B batch](p *pool[B]) {
	var all []B
	for len(p.unmade) > 0 {
		all = append(all, p.get())
	}
	for _, b := range all {
		p.put(b)
	}
}

// discarding is a device that keeps nothing.
type discarding struct{ *device }

func (discarding) Write(bufs [][]byte, _ int) (int, error) { return len(bufs), nil }
