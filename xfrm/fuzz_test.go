//go:build linux

package xfrm

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// FuzzNotice: whatever comes as a notice, nothing breaks, and only what is ours is told.
func FuzzNotice(f *testing.F) {
	k := newFake(f)
	p, err := New(f.Context(), Config{Kernel: k, Notices: k, FirstReqID: firstReqID, LastReqID: lastReqID})
	if err != nil {
		f.Fatal(err)
	}
	in := inSA(0x5000)
	ops := append([]esp.Op{esp.AddSA{SA: in}}, adds(policies(0, 1001))...)
	if err := p.Apply(f.Context(), ops); err != nil {
		f.Fatal(err)
	}
	trap := policies(0, 1001)[0]
	keys, err := keysOf(&trap)
	if err != nil {
		f.Fatal(err)
	}
	whole, err := message.AppendPolicy(nil, kernelPolicy(&keys[0], &trap, 0))
	if err != nil {
		f.Fatal(err)
	}
	acquire := make([]byte, 280)
	copy(acquire[96:], whole[:168])
	putSelectorOf(acquire[40:], packetFrom(17, 1, 2))
	body := k.encode(&k.sas[kernelID(in.ID)].State)
	f.Add(uint16(message.AcquireMsg), append(acquire, whole[168:]...))
	f.Add(uint16(message.NewPolicy), whole)
	f.Add(uint16(message.NewSA), body)
	f.Add(uint16(message.ExpireMsg), slices.Concat(body[:sizeOfState], make([]byte, 8), body[sizeOfState:]))
	f.Add(uint16(message.FlushPolicy), []byte{})
	f.Add(uint16(message.FlushSA), []byte{50, 0, 0, 0})
	f.Add(uint16(message.MappingMsg), mappingBody(kernelID(in.ID), testReqID, netip.MustParseAddrPort("203.0.113.5:1027")))
	f.Fuzz(func(t *testing.T, typ uint16, body []byte) {
		n, _ := p.notice(netlink.Message{Type: message.Type(typ), Body: body})
		switch n := n.(type) {
		case esp.Acquire:
			if n.Policy != "gateway/office" {
				t.Errorf("%+v", n)
			}
		case esp.Expire:
			if n.ID != in.ID || n.ReqID != testReqID {
				t.Errorf("%+v", n)
			}
			if n.Hard {
				p.mu.Lock()
				p.enterSA(&sa{id: in.ID, reqID: testReqID, dir: esp.In, src: there})
				p.mu.Unlock()
			}
		case esp.Mapping:
			if n.ID != in.ID || !n.New.IsValid() {
				t.Errorf("%+v", n)
			}
		}
	})
}
