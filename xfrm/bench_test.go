//go:build linux

package xfrm

import (
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
)

// BenchmarkChild brings a child up and down: two SAs and three policies. The SAs are
// taken by a fake kernel, the policies by that of this machine.
func BenchmarkChild(b *testing.B) {
	h := newHost(b)
	p, err := New(b.Context(), Config{Kernel: h.kernel, FirstReqID: firstReqID, LastReqID: lastReqID})
	if err != nil {
		b.Fatal(err)
	}
	ps := policies(1, 1000)
	up := append([]esp.Op{esp.AddSA{SA: inSA(0x5000)}, esp.AddSA{SA: outSA(0x6000)}}, adds(ps)...)
	down := append([]esp.Op{esp.DelSA{ID: outSA(0x6000).ID}, esp.DelSA{ID: inSA(0x5000).ID}}, dels(ps)...)
	for b.Loop() {
		for _, ops := range [][]esp.Op{up, down} {
			if err := p.Apply(b.Context(), ops); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPolicies installs policies as a configuration of a thousand connections has
// them, in one go.
func BenchmarkPolicies(b *testing.B) {
	h := newHost(b)
	p, err := New(b.Context(), Config{Kernel: h.kernel, FirstReqID: firstReqID, LastReqID: lastReqID})
	if err != nil {
		b.Fatal(err)
	}
	var all []esp.Policy
	for i := range 1000 {
		for _, pol := range policies(0, 1001) {
			net := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + i/250), byte(i % 250), 0}), 24)
			if pol.Dir == esp.Out {
				pol.Sel.Dst = net
			} else {
				pol.Sel.Src = net
			}
			all = append(all, pol)
		}
	}
	n := 0
	for b.Loop() {
		for _, ops := range [][]esp.Op{adds(all), dels(all)} {
			if err := p.Apply(b.Context(), ops); err != nil {
				b.Fatal(err)
			}
		}
		n += len(all)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "policies/s")
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}
