//go:build linux

package xfrm

import (
	"math/rand/v2"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

func matches(p message.Ports, port uint16) bool { return port&p.Mask == p.Port&p.Mask }

// The masks of a range match each port in it once, and no other.
func TestMasks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	ranges := []esp.PortRange{esp.AnyPort, single(0), single(65535), {First: 0, Last: 65534}, {First: 1, Last: 65535}, {First: 1, Last: 65534}, {First: 1024, Last: 2047}}
	for range 300 {
		a, b := uint16(rng.Uint32()), uint16(rng.Uint32())
		ranges = append(ranges, esp.PortRange{First: min(a, b), Last: max(a, b)})
	}
	for _, r := range ranges {
		list := masks(r)
		if len(list) > 30 {
			t.Errorf("%s needs %d", portsText(r), len(list))
		}
		for port := range 1 << 16 {
			n := 0
			for _, m := range list {
				if matches(m, uint16(port)) {
					n++
				}
			}
			in := r.First <= uint16(port) && uint16(port) <= r.Last
			if in && n != 1 || !in && n != 0 {
				t.Fatalf("%s: %d masks match %d: %v", portsText(r), n, port, list)
			}
		}
	}
	for r, want := range map[esp.PortRange]message.Ports{
		esp.AnyPort: {}, single(443): {Port: 443, Mask: 0xffff}, {First: 1024, Last: 2047}: {Port: 1024, Mask: 0xfc00},
	} {
		if got := masks(r); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", portsText(r), got)
		}
		if back := rangeOf(want); back != r {
			t.Errorf("%v is %v, want %v", want, back, r)
		}
	}
}

// ICMP: the kernel compares the type with the source port and the code with the
// destination port; ranges are of type<<8|code.
func TestICMPParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	sel := selector("10.1.0.0/16", "10.2.0.0/16")
	sel.Proto = 1
	for i := range 200 {
		a, b := uint16(rng.Uint32()), uint16(rng.Uint32())
		sel.SrcPorts = esp.PortRange{First: min(a, b), Last: max(a, b)}
		switch i {
		case 0:
			sel.SrcPorts = esp.PortRange{First: 8 << 8, Last: 8<<8 | 255} // echo
		case 1:
			sel.SrcPorts = esp.AnyPort
		case 2:
			sel.SrcPorts = single(3<<8 | 4)
		case 3:
			sel.SrcPorts = single(0) // echo reply, code 0
		}
		list, err := parts(sel)
		if err != nil {
			t.Fatal(err)
		}
		if i < 4 && len(list) != 1 {
			t.Errorf("%s needs %v", portsText(sel.SrcPorts), list)
		}
		for number := range 1 << 16 {
			n := 0
			for _, p := range list {
				if matches(p.SrcPorts, uint16(number>>8)) && matches(p.DstPorts, uint16(number&0xff)) {
					n++
				}
			}
			in := sel.SrcPorts.First <= uint16(number) && uint16(number) <= sel.SrcPorts.Last
			if in && n != 1 || !in && n != 0 {
				t.Fatalf("%s: %d match %#x", portsText(sel.SrcPorts), n, number)
			}
		}
	}
	sel.SrcPorts, sel.DstPorts = esp.PortRange{First: 0x800, Last: 0x8ff}, single(0x803)
	list, err := parts(sel)
	if err != nil || len(list) != 1 || list[0].SrcPorts.Port != 8 || list[0].DstPorts.Port != 3 {
		t.Errorf("%v %v", list, err)
	}
}

func TestMappedSelectors(t *testing.T) {
	sel, err := normal(selector("::ffff:10.1.2.3/112", "10.2.0.0/16"))
	if err != nil || sel.Src != prefix("10.1.0.0/16") {
		t.Errorf("%v %v", sel, err)
	}
}
