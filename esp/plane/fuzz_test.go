package plane

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// fuzzHosts are two joined hosts for IPv4 and IPv6 inside, by raw ESP.
func fuzzHosts(f *testing.F) (a, b *host) {
	a, b = twoHosts(f, nil)
	f.Cleanup(func() { a.close(); b.close() })
	four, six := families["4"], families["6"]
	connect(f, a, b, four.outerA, four.outerB, four.net1, four.net2, nil)
	for _, h := range []*host{a, b} {
		dir := esp.Out
		if h == b {
			dir = esp.In
		}
		h.apply(protect(dir, six.net1, six.net2, 7))
	}
	return a, b
}

// deviceGives has the plane treat a packet as if its device had read it.
func (h *host) deviceGives(pkt []byte) {
	b := h.outPool.get()
	b.used, b.sizes[0] = 1, len(pkt)
	copy(b.bufs[0][headroom:], pkt)
	h.sort(b)
	h.outLine.put(b)
}

// Whatever the device gives, it arrives at the other end as it is, or does not
// arrive; nothing of it is sent in the clear.
func FuzzDevice(f *testing.F) {
	a, b := fuzzHosts(f)
	four, six := families["4"], families["6"]
	f.Add(packet(protoUDP, four.in1, four.in2, 100))
	f.Add(packet(protoTCP, six.in1, six.in2, 300))
	f.Add(df(packet(protoUDP, four.in1, four.in2, 1490)))
	f.Add(packet(protoUDP, four.in1, four.in2, 1800))
	f.Add(packet(protoUDP, six.in1, six.in2, 1490))
	f.Add(packet(44, six.in1, six.in2, 100))
	f.Add(append(packet(protoUDP, four.in1, four.in2, 1400), make([]byte, 100)...)) // trailing octets
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		a.t, b.t = t, t
		a.deviceGives(pkt)
		got := b.dev.taken()
		for _, u := range a.wire.taken() {
			if len(pkt) >= 40 && bytes.Contains(u.Data, pkt[:min(len(pkt), 40)]) {
				t.Fatalf("plaintext was sent: % x", u.Data)
			}
			if len(u.Data)+20 > 1500 && u.DF {
				t.Fatalf("an outer packet of %d octets", len(u.Data)+20)
			}
		}
		if len(got) == 1 && !bytes.HasPrefix(pkt, got[0]) {
			t.Fatalf("%.60x arrived as %.60x", pkt, got[0])
		}
		for _, answer := range a.dev.taken() {
			if _, err := esp.ParseFlow(answer); err != nil {
				t.Fatalf("answered % x", answer)
			}
		}
	})
}

// Whatever comes in, the device is given only what the peer has sealed.
func FuzzReceive(f *testing.F) {
	a, b := fuzzHosts(f)
	four := families["4"]
	a.wire.set(func(w *wire) { w.to = nil })
	a.deviceGives(packet(protoUDP, four.in1, four.in2, 100))
	a.deviceGives(packet(protoUDP, four.in1, four.in2, 100))
	ps := a.wire.taken()
	f.Add(ps[0].Data, 0, true)
	f.Add(append(bytes.Clone(ps[0].Data), ps[1].Data...), len(ps[0].Data), true)
	f.Add(ps[0].Data, 3, false)
	f.Add([]byte{0, 0, 0x10, 1, 0, 0, 0, 1}, -1, false)
	f.Add([]byte{0xff}, 0, true)
	local, remote := netip.MustParseAddrPort(four.outerB+":4500"), netip.MustParseAddrPort(four.outerA+":4500")
	f.Fuzz(func(t *testing.T, data []byte, seg int, encap bool) {
		before := bytes.Clone(data)
		b.Receive([]udp.Packet{{Data: data, Seg: seg, Local: local, Remote: remote}}, encap)
		for _, got := range b.dev.taken() {
			if !bytes.Equal(got, packet(protoUDP, four.in1, four.in2, 100)) {
				t.Fatalf("came out: % x", got)
			}
		}
		if !bytes.Equal(data, before) {
			t.Fatal("the caller's buffer was written to")
		}
	})
}

// Whatever packets come out of the tunnel, in one batch, the device is given them
// all, in their order, and with room only where there is room.
func FuzzOutlet(f *testing.F) {
	tcp := packet(protoTCP, "10.1.0.1:1", "10.2.0.1:2", 400)
	f.Add(append(bytes.Clone(tcp), tcp...), 400)
	f.Add(bytes.Repeat(packet(protoUDP, "[fd01::1]:1", "[fd02::1]:2", 300), 5), 300)
	f.Add(tcp, 20)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if size < 1 {
			return
		}
		p := &Plane{cfg: Config{Device: newDevice()}}
		o := newOutlet(128)
		var want [][]byte
		slab := make([]byte, 0, 2*len(data)+128*headroom)
		for len(data) > 0 && len(want) < 128 {
			n := min(size, len(data))
			start := len(slab) + headroom
			slab = append(slab[:start], data[:n]...)
			buf := slab[start-headroom : start+n] // with room behind, which is another packet's
			o.add(buf, buf[headroom:])
			want = append(want, bytes.Clone(data[:n]))
			data = data[n:]
		}
		for i, buf := range o.bufs {
			if free := cap(buf) - len(buf); free != 0 && free != deviceRoom+maxTrain-len(buf) {
				t.Fatalf("packet %d has %d octets of room", i, free)
			}
		}
		o.flush(p)
		got := p.cfg.Device.(*device).taken()
		if len(got) != len(want) {
			t.Fatalf("%d packets of %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("packet %d changed", i)
			}
		}
	})
}
