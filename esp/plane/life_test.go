package plane

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goike/goike/esp"
)

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits esp.Limits
		passed int // of 5 packets of 100 octets
		told   []bool
	}{
		{"none", esp.Limits{}, 5, nil},
		{"soft packets", esp.Limits{SoftPackets: 2}, 5, []bool{false}},
		{"hard packets", esp.Limits{SoftPackets: 2, HardPackets: 4}, 4, []bool{false, true}},
		{"soft octets", esp.Limits{SoftBytes: 250}, 5, []bool{false}},
		{"hard octets", esp.Limits{HardBytes: 300}, 3, []bool{true}},
		{"hard octets between packets", esp.Limits{HardBytes: 399}, 3, []bool{true}},
	} {
		for _, dir := range []esp.Direction{esp.Out, esp.In} {
			bubble(t, func(t *testing.T, a, b *host) {
				f := families["4"]
				there := tunnel{src: f.outerA, dst: f.outerB, spi: 0x1001, reqID: 7}
				out, in := there.sas(t)
				limited, counter := a, "out_expired"
				if dir == esp.Out {
					out.Limits = c.limits
				} else {
					in.Limits = c.limits
					limited, counter = b, "in_expired"
				}
				told := limited.watch()
				a.apply(esp.AddSA{SA: out}, protect(esp.Out, f.net1, f.net2, 7))
				b.apply(esp.AddSA{SA: in}, protect(esp.In, f.net1, f.net2, 7))
				p := packet(protoUDP, f.in1, f.in2, 100)
				a.send(p, p, p, p, p)
				if got := len(b.dev.taken()); got != c.passed {
					t.Errorf("%d packets passed, want %d", got, c.passed)
				}
				var want []esp.Notice
				for _, hard := range c.told {
					want = append(want, esp.Expire{ID: out.ID, ReqID: 7, Hard: hard})
				}
				got := told.taken()
				if len(want) == 2 { // in one batch the hard one may be all that is seen
					want, got = want[1:], got[len(got)-1:]
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("told %+v, want %+v", got, want)
				}
				limited.counted(map[string]uint64{counter: uint64(5 - c.passed)})
				u, err := limited.Query(t.Context(), out.ID)
				if err != nil || u.Packets != uint64(c.passed) || u.Bytes != uint64(100*c.passed) {
					t.Errorf("usage %+v (%v)", u, err)
				}
				if t.Failed() {
					t.Fatalf("%s, direction %d", c.name, dir)
				}
			})
		}
	}
}

func TestTimeLimits(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) {
			x.change = func(sa *esp.SA) { sa.Limits = esp.Limits{SoftTime: 40 * time.Second, HardTime: time.Minute} }
		})
		told := a.watch()
		p := packet(protoUDP, f.in1, f.in2, 100)
		at := func(d time.Duration, want ...esp.Notice) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			got := told.taken()
			if len(got) != len(want) {
				t.Fatalf("told %+v, want %+v", got, want)
			}
			for _, n := range want {
				if !slices.Contains(got, n) {
					t.Fatalf("told %+v, want %+v", got, want)
				}
			}
		}
		outID := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}
		inID := esp.SAID{Dst: netip.MustParseAddr(f.outerA), SPI: 0x2002, Proto: esp.ProtoESP}
		at(39 * time.Second)
		at(time.Second, esp.Expire{ID: outID, ReqID: 7}, esp.Expire{ID: inID, ReqID: 7})
		a.send(p)
		b.hasTaken(p)
		at(20*time.Second, esp.Expire{ID: outID, ReqID: 7, Hard: true}, esp.Expire{ID: inID, ReqID: 7, Hard: true})
		a.send(p) // asks for a new one
		b.hasTaken()
		if got := told.taken(); len(got) != 1 || got[0].(esp.Acquire).Policy != "net/child" {
			t.Errorf("told %+v", got)
		}
		at(time.Hour)
	})
}

// An SA that is removed tells nothing any more.
func TestRemovedTellsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		connect4(t, a, b, func(x *tunnel) { x.change = func(sa *esp.SA) { sa.Limits.HardTime = time.Minute } })
		told := a.watch()
		for id := range a.outByID {
			a.apply(esp.DelSA{ID: id})
		}
		for id := range a.inByID {
			a.apply(esp.DelSA{ID: id})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := told.taken(); len(got) != 0 {
			t.Errorf("told %+v", got)
		}
		if n := len(a.timers.due); n != 0 {
			t.Errorf("%d timers are left", n)
		}
	})
}

// A notice of a limit that found no room comes later.
func TestExpireIsToldLater(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		connect4(t, a, b, func(x *tunnel) { x.change = func(sa *esp.SA) { sa.Limits.HardTime = time.Minute } })
		for range maxNotices {
			a.notify(esp.Acquire{})
		}
		time.Sleep(2 * time.Minute)
		told := a.watch()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := told.taken(); len(got) != maxNotices+2 {
			t.Errorf("%d notices", len(got))
		}
	})
}

// The last sequence number is the end of an SA.
func TestSequenceNumbersEnd(t *testing.T) {
	bubble(t, func(t *testing.T, a, b *host) {
		f := connect4(t, a, b, func(x *tunnel) { x.change = func(sa *esp.SA) { sa.Window = 0 } })
		told := a.watch()
		id := esp.SAID{Dst: netip.MustParseAddr(f.outerB), SPI: 0x1001, Proto: esp.ProtoESP}
		a.mu.Lock()
		sa := a.outByID[id]
		a.mu.Unlock()
		if _, ok := sa.sender.Reserve(1<<32 - 3); !ok {
			t.Fatal("cannot reserve")
		}
		sa.packets.Store(1<<32 - endOfNumbers - 1)
		p := packet(protoUDP, f.in1, f.in2, 100)
		a.send(p, p)
		b.hasTaken(p, p)
		if got := told.taken(); len(got) != 1 || got[0] != (esp.Expire{ID: id, ReqID: 7}) {
			t.Errorf("told %+v", got)
		}
		a.send(p)
		b.hasTaken()
		if got := told.taken(); len(got) != 1 || got[0] != (esp.Expire{ID: id, ReqID: 7, Hard: true}) {
			t.Errorf("told %+v", got)
		}
		a.counted(map[string]uint64{"out_expired": 1})
	})
}
