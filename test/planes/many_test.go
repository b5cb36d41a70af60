//go:build linux

package planes

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/goike/goike/esp"
)

// testSPIs has many callers reserve SPIs at once: they are unique, not of the reserved
// ones (RFC 4303, 2.1), and free again when they are released.
func testSPIs(t *testing.T, p *pair) {
	const callers, each = 8, 64
	for _, s := range []*side{p.a, p.b} {
		spis := make([][]uint32, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for range each {
					spi, err := s.AllocSPI(t.Context(), p.b.outer[0], p.a.outer[0], esp.ProtoESP)
					if err != nil {
						t.Errorf("%s: %v", s.rig, err)
						return
					}
					spis[i] = append(spis[i], spi)
				}
			})
		}
		wg.Wait()
		given := make(map[uint32]bool)
		var ops []esp.Op
		for _, list := range spis {
			for _, spi := range list {
				if given[spi] || spi < 0x100 {
					t.Errorf("%s: SPI %08x is reserved or was given twice", s.rig, spi)
				}
				given[spi] = true
				ops = append(ops, esp.DelSA{ID: esp.SAID{Dst: p.a.outer[0], SPI: spi, Proto: esp.ProtoESP}})
			}
		}
		s.apply(t, ops...)
		s.apply(t, ops...) // what is gone is no error
	}
}

// testThousand sets up a thousand children, from several callers, and takes them down
// again. The suite sees to it that nothing is left.
func testThousand(t *testing.T, p *pair) {
	const children, callers, together = 1000, 8, 25
	all := make([]*tunnel, children)
	for i := range all {
		all[i] = p.newTunnel(func(x *tunnel) {
			x.owner = uint64(i + 1)
			x.local = host(netip.AddrFrom4([4]byte{10, 1, byte(100 + i/250), byte(i % 250)}))
			x.remote = host(netip.AddrFrom4([4]byte{10, 2, byte(100 + i/250), byte(i % 250)}))
		})
	}
	all[0].local, all[0].remote = host(p.a.inner[0]), host(p.b.inner[0])
	try := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	some := func(list []*tunnel, f func(x *tunnel, atA bool) []esp.Op) {
		for _, atA := range []bool{false, true} {
			var ops []esp.Op
			for _, x := range list {
				ops = append(ops, f(x, atA)...)
			}
			if atA {
				try(p.a.Apply(t.Context(), ops))
			} else {
				try(p.b.Apply(t.Context(), ops))
			}
		}
	}
	each := func(f func([]*tunnel)) {
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for k := i * together; k < len(all); k += callers * together {
					f(all[k:min(k+together, len(all))])
				}
			})
		}
		wg.Wait()
	}
	each(func(list []*tunnel) {
		for _, x := range list {
			var err error
			x.toA, err = p.a.AllocSPI(t.Context(), x.outerB, x.outerA, x.proto)
			try(err)
			x.toB, err = p.b.AllocSPI(t.Context(), x.outerA, x.outerB, x.proto)
			try(err)
		}
		some(list, (*tunnel).add)
	})
	exchange(t, p.a.inner[0], p.b.inner[0], echoPort, 0)
	if u := p.b.usage(t, all[0].idToB()); u.Packets != 1 {
		t.Errorf("%s: %+v", p.b.rig, u)
	}
	each(func(list []*tunnel) { some(list, (*tunnel).remove) })
}
