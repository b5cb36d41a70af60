package plane

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// adoption are the operations by which a host adopts what connect4 has given it.
func adoption(t testing.TB, f family) []esp.Op {
	t.Helper()
	out, _ := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1001, reqID: 7}.sas(t)
	_, in := tunnel{src: f.outerB, dst: f.outerA, spi: 0x2002, reqID: 7}.sas(t)
	for _, sa := range []*esp.SA{&out, &in} {
		sa.EncrKey, sa.IntegKey = nil, nil
	}
	return []esp.Op{
		esp.AdoptSA{SA: in}, esp.AdoptSA{SA: out}, protect(esp.Out, f.net1, f.net2, 7), protect(esp.In, f.net2, f.net1, 7),
	}
}

// Another plane takes the place of one: no sequence number is used twice, what was
// received is a replay, and the peer notices nothing.
func TestHandOver(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) {
			x.encap, x.change = true, func(sa *esp.SA) { sa.Limits.HardPackets = 300 }
		})
		p, back := packet(protoUDP, f.in1, f.in2, 100), packet(protoUDP, f.in2, f.in1, 100)
		a.send(p, p, p)
		b.hasTaken(p, p, p)
		b.send(back, back)
		a.hasTaken(back, back)
		seen := b.wire.taken()

		held, err := a.HandOver()
		if err != nil || len(held) != 2 {
			t.Fatal(held, err)
		}
		if again, err := a.HandOver(); again != nil || err != nil {
			t.Errorf("handed over again: %v, %v", again, err)
		}
		next := newHost(t, nil)
		defer next.close()
		next.wire.to = b.Plane
		b.wire.set(func(w *wire) { w.to = next.Plane })
		next.Inherit(held)
		next.apply(adoption(t, f)...)
		next.apply(adoption(t, f)...) // operations are idempotent
		for _, h := range held {
			if slices.ContainsFunc(h.SA.EncrKey, func(b byte) bool { return b != 0 }) {
				t.Error("the keys are still there")
			}
		}
		next.send(p)
		b.hasTaken(p)
		if seq := next.wire.taken()[0].Data[4:8]; seq[2] != 0 || seq[3] <= 3 {
			t.Errorf("sequence number %x", seq)
		}
		for _, s := range seen {
			next.Receive([]udp.Packet{{Data: s.Data, Local: s.Remote, Remote: s.Local}}, true)
		}
		synctest.Wait()
		next.hasTaken()
		b.send(back)
		next.hasTaken(back)
		id := adoption(t, f)[1].(esp.AdoptSA).SA.ID
		if u, err := next.Query(context.Background(), id); err != nil || u.Packets != 4 {
			t.Errorf("usage %+v, %v", u, err)
		}
		for range 300 {
			next.send(p)
		}
		if got := len(b.dev.taken()); got != 296 {
			t.Errorf("%d packets until the limit", got)
		}
	})
}

// What was not handed over cannot be adopted, nor what reads otherwise; and what nobody
// adopts is forgotten.
func TestAdoptNothing(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, nil)
		held, err := a.HandOver()
		if err != nil {
			t.Fatal(err)
		}
		copies := func() []esp.Held {
			list := slices.Clone(held)
			for i := range list {
				list[i].SA.EncrKey = slices.Clone(list[i].SA.EncrKey)
			}
			return list
		}
		for _, c := range []struct {
			name string
			do   func(next *host, op *esp.AdoptSA)
		}{
			{"nothing was handed over", func(*host, *esp.AdoptSA) {}},
			{"too late", func(next *host, _ *esp.AdoptSA) {
				next.Inherit(copies())
				time.Sleep(time.Duration(estateTime) + 1)
				synctest.Wait()
			}},
			{"another request ID", func(next *host, op *esp.AdoptSA) {
				next.Inherit(copies())
				op.SA.ReqID++
			}},
			{"another direction", func(next *host, op *esp.AdoptSA) {
				next.Inherit(copies())
				op.SA.Dir = esp.In
			}},
			{"another SA", func(next *host, op *esp.AdoptSA) {
				next.Inherit(copies())
				op.SA.ID.SPI++
			}},
			{"damaged", func(next *host, op *esp.AdoptSA) {
				list := copies()
				for i := range list {
					list[i].SA.EncrKey = list[i].SA.EncrKey[1:]
				}
				next.Inherit(list)
			}},
		} {
			next := newHost(t, nil)
			op := adoption(t, f)[1].(esp.AdoptSA)
			c.do(next, &op)
			if err := next.Apply(context.Background(), []esp.Op{op}); err == nil {
				t.Errorf("%s: adopted", c.name)
			}
			next.close()
		}
	})
}
