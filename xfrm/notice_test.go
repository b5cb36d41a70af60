//go:build linux

package xfrm

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

func putSelectorOf(b []byte, s message.Selector) {
	copy(b, s.Dst.Addr().AsSlice())
	copy(b[16:], s.Src.Addr().AsSlice())
	for i, v := range []uint16{s.DstPorts.Port, s.DstPorts.Mask, s.SrcPorts.Port, s.SrcPorts.Mask} {
		binary.BigEndian.PutUint16(b[32+2*i:], v)
	}
	binary.NativeEndian.PutUint16(b[40:], familyOf(s.Dst.Addr()))
	b[42], b[43], b[44] = byte(s.Dst.Bits()), byte(s.Src.Bits()), s.Proto
}

// acquireBody is a struct xfrm_user_acquire with the template.
func acquireBody(t *testing.T, pol *message.Policy, packet message.Selector) []byte {
	t.Helper()
	whole, err := message.AppendPolicy(nil, pol)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 280)
	copy(b, there.AsSlice())
	b[20] = 50
	copy(b[24:], here.AsSlice())
	putSelectorOf(b[40:], packet)
	copy(b[96:], whole[:168])
	return append(b, whole[168:]...)
}

func expireBody(t *testing.T, k *fakeKernel, st message.State, hard bool) []byte {
	t.Helper()
	b := k.encode(&st)
	out := append(make([]byte, 0, len(b)+8), b[:sizeOfState]...)
	out = append(out, 0, 0, 0, 0, 0, 0, 0, 0)
	if hard {
		out[sizeOfState] = 1
	}
	return append(out, b[sizeOfState:]...)
}

// mappingBody is a struct xfrm_user_mapping.
func mappingBody(id message.ID, reqID uint32, from netip.AddrPort) []byte {
	b := make([]byte, 64)
	copy(b, id.Dst.AsSlice())
	binary.BigEndian.PutUint32(b[16:], id.SPI)
	binary.NativeEndian.PutUint16(b[20:], familyOf(id.Dst))
	b[22] = id.Proto
	binary.NativeEndian.PutUint32(b[24:], reqID)
	copy(b[44:], from.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[62:], from.Port())
	return b
}

func packetFrom(proto uint8, src, dst uint16) message.Selector {
	all := func(p uint16) message.Ports { return message.Ports{Port: p, Mask: 0xffff} }
	return message.Selector{
		Src: prefix("10.1.0.9/32"), Dst: prefix("10.2.0.9/32"), Proto: proto, SrcPorts: all(src), DstPorts: all(dst),
	}
}

func TestAcquire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		n := b.watch()
		trap := policies(0, 1001)
		b.apply(adds(trap)...)
		keys, _ := keysOf(&trap[0])
		m := kernelPolicy(&keys[0], &trap[0], 0)
		one := func(proto uint8, src, dst esp.PortRange) esp.Notice {
			return esp.Acquire{Policy: "gateway/office", ReqID: testReqID, Packet: esp.Selector{
				Src: prefix("10.1.0.9/32"), Dst: prefix("10.2.0.9/32"), Proto: proto, SrcPorts: src, DstPorts: dst,
			}}
		}
		for _, c := range []struct {
			packet message.Selector
			want   esp.Notice
		}{
			{packetFrom(6, 40000, 443), one(6, single(40000), single(443))},
			{packetFrom(1, 8, 0), one(1, single(0x800), single(0x800))},
			{packetFrom(1, 3, 4), one(1, single(0x304), single(0x304))},
			{packetFrom(47, 0, 0), one(47, esp.AnyPort, esp.AnyPort)},
			{packetFrom(135, 5, 0), one(135, single(0x500), single(0x500))},
		} {
			b.k.tell(netlink.Message{Type: message.AcquireMsg, Body: acquireBody(t, m, c.packet)})
			synctest.Wait()
			if got := n.take(); !slices.Equal(got, []esp.Notice{c.want}) {
				t.Errorf("told %+v, want %+v", got, c.want)
			}
		}
		// A policy that is not found by its selector is by its template.
		m.Sel.Dst = prefix("10.2.3.0/24")
		b.k.tell(netlink.Message{Type: message.AcquireMsg, Body: acquireBody(t, m, packetFrom(6, 1, 2))})
		m.Templates[0].ReqID = 9
		b.k.tell(netlink.Message{Type: message.AcquireMsg, Body: acquireBody(t, m, packetFrom(6, 1, 2))}) // another program's
		b.k.tell(netlink.Message{Type: message.AcquireMsg, Body: []byte{1}})
		synctest.Wait()
		if got := n.take(); !slices.Equal(got, []esp.Notice{one(6, single(1), single(2))}) {
			t.Errorf("told %+v", got)
		}
	})
}

func TestExpireAndMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		n := b.watch()
		in := inSA(0x5000)
		b.apply(esp.AddSA{SA: in})
		spi, err := b.AllocSPI(t.Context(), there, here, esp.ProtoESP)
		if err != nil {
			t.Fatal(err)
		}
		sas, _ := b.k.snapshot()
		st := sas[kernelID(in.ID)]
		reserved := sas[message.ID{Dst: here, SPI: spi, Proto: 50}]
		waiting := reserved
		waiting.ID.SPI = 0
		foreign := st
		foreign.ReqID = 1
		from := netip.MustParseAddrPort("203.0.113.5:1027")
		for _, m := range []netlink.Message{
			{Type: message.ExpireMsg, Body: expireBody(t, b.k, st, false)},
			{Type: message.ExpireMsg, Body: expireBody(t, b.k, reserved, true)},
			{Type: message.ExpireMsg, Body: expireBody(t, b.k, waiting, true)},
			{Type: message.ExpireMsg, Body: expireBody(t, b.k, foreign, true)},
			{Type: message.MappingMsg, Body: mappingBody(st.ID, st.ReqID, from)},
			{Type: message.MappingMsg, Body: mappingBody(reserved.ID, 0, from)},
		} {
			b.k.tell(m)
		}
		synctest.Wait()
		want := []esp.Notice{
			esp.Expire{ID: in.ID, ReqID: testReqID}, esp.Mapping{ID: in.ID, ReqID: testReqID, New: from},
		}
		if got := n.take(); !slices.Equal(got, want) {
			t.Errorf("told %+v", got)
		}
		b.k.mu.Lock()
		delete(b.k.sas, st.ID)
		b.k.mu.Unlock()
		b.k.tell(netlink.Message{Type: message.ExpireMsg, Body: expireBody(t, b.k, st, true)})
		b.k.tell(netlink.Message{Type: message.ExpireMsg, Body: expireBody(t, b.k, st, true)})
		synctest.Wait()
		if got := n.take(); !slices.Equal(got, []esp.Notice{esp.Expire{ID: in.ID, ReqID: testReqID, Hard: true}}) {
			t.Errorf("told %+v", got)
		}
		b.agree()
		b.apply(esp.DelSA{ID: in.ID})
	})
}
