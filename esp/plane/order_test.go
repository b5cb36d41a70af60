package plane

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/goike/goike/esp"
)

// SAs go behind everything else, but for those that come again.
func TestOrder(t *testing.T) {
	dst := netip.MustParseAddr("192.0.2.1")
	id := func(spi uint32) esp.SAID { return esp.SAID{Dst: dst, SPI: spi, Proto: esp.ProtoESP} }
	del, pol := esp.DelSA{ID: id(1)}, esp.DelPolicy{}
	again, add := esp.DelSA{ID: id(2)}, esp.AddSA{SA: esp.SA{ID: id(2)}}
	moved, move := esp.DelSA{ID: esp.SAID{Dst: dst.Next(), SPI: 3, Proto: esp.ProtoESP}}, esp.MoveSA{ID: id(3), Dst: dst.Next()}
	name := func(op esp.Op) int {
		for i, o := range []any{del, pol, again, moved, move} {
			if _, ok := op.(esp.AddSA); !ok && op == o {
				return i
			}
		}
		return 9
	}
	var got []int
	for _, op := range inOrder([]esp.Op{del, again, pol, add, moved, move, del}) {
		got = append(got, name(op))
	}
	if want := []int{2, 1, 9, 3, 4, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
