package keepalive

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
)

var (
	local  = netip.MustParseAddr("192.0.2.1")
	remote = netip.MustParseAddr("198.51.100.1")
)

func outbound(spi uint32, keepalive bool) esp.AddSA {
	return esp.AddSA{SA: esp.SA{
		ID: esp.SAID{Dst: remote, SPI: spi, Proto: esp.ProtoESP}, Src: local, Dir: esp.Out,
		Encap: &esp.Encap{Local: 4500, Remote: 4501, Keepalive: keepalive},
	}}
}

// A flow is kept alive while one of its SAs is there, once an interval.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan Flow, 10)
		k := New(func(f Flow) { sent <- f })
		pass := func(d time.Duration) []Flow {
			time.Sleep(d)
			synctest.Wait()
			got := make([]Flow, len(sent))
			for i := range got {
				got[i] = <-sent
			}
			return got
		}
		flow := Flow{Local: netip.AddrPortFrom(local, 4500), Remote: netip.AddrPortFrom(remote, 4501)}
		k.Applied([]esp.Op{outbound(1, true), outbound(2, true), outbound(3, false)})
		if got := pass(3*Interval + time.Second); !slices.Equal(got, []Flow{flow, flow, flow}) {
			t.Errorf("two SAs of one flow: %v", got)
		}
		k.Applied([]esp.Op{esp.DelSA{ID: outbound(1, true).SA.ID}})
		if got := pass(Interval); len(got) != 1 {
			t.Errorf("one of two SAs is gone: %v", got)
		}
		moved := netip.MustParseAddr("203.0.113.7")
		k.Applied([]esp.Op{esp.MoveSA{ID: outbound(2, true).SA.ID, Src: moved, Dst: remote, Encap: &esp.Encap{Local: 4500, Remote: 9, Keepalive: true}}})
		want := Flow{Local: netip.AddrPortFrom(moved, 4500), Remote: netip.AddrPortFrom(remote, 9)}
		if got := pass(Interval); !slices.Equal(got, []Flow{want}) {
			t.Errorf("moved: %v", got)
		}
		k.Applied([]esp.Op{esp.MoveSA{ID: outbound(2, true).SA.ID, Src: moved, Dst: remote}})
		if got := pass(3 * Interval); len(got) != 0 {
			t.Errorf("no NAT any more: %v", got)
		}
		k.Applied([]esp.Op{esp.MoveSA{ID: outbound(3, false).SA.ID, Src: moved, Dst: remote, Encap: &esp.Encap{Local: 4500, Remote: 9, Keepalive: true}}})
		if got := pass(Interval); !slices.Equal(got, []Flow{want}) {
			t.Errorf("behind a NAT by moving: %v", got)
		}
		k.Applied([]esp.Op{outbound(4, true)})
		k.Close()
		k.Applied([]esp.Op{outbound(5, true)})
		if got := pass(3 * Interval); len(got) != 0 {
			t.Errorf("closed: %v", got)
		}
	})
}
