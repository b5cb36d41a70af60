package plane

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

const (
	udpHeader  = 8
	ip4Header  = 20
	ip6Header  = 40
	smallest6  = 1280 // what every IPv6 link carries (RFC 8200, 5)
	ipVersion4 = 4
)

// oversize treats a packet that is larger than what fits the path when sealed
// (RFC 4301, 8.2.1). One that must not be fragmented is answered; for the others
// tunnel mode seals fragments, while transport mode leaves fragmentation to the
// outer layer (RFC 4303, 3.3.4), as it does an IPv6 packet of the least size.
func (p *Plane) oversize(b *outBatch, o outPacket, limit int) {
	pkt := o.buf[o.off : o.off+o.n]
	v4 := pkt[0]>>4 == ipVersion4
	switch {
	case !v4 && o.n <= smallest6, v4 && o.view.transport && !dontFragment(pkt):
		o.cut = true
		p.accept(b, o)
	case v4 && !dontFragment(pkt):
		p.fragment(b, o, limit)
	default:
		p.count.add(outTooBig, 1)
		p.answer(b, esp.FragNeeded(b.error[headroom:], pkt, limit, destination(pkt)))
	}
}

// length is the length of an IP packet by its own header, which ParseFlow has
// checked: what lies behind it is not part of it.
func length(pkt []byte) int {
	if pkt[0]>>4 == ipVersion4 {
		return int(binary.BigEndian.Uint16(pkt[2:]))
	}
	return ip6Header + int(binary.BigEndian.Uint16(pkt[4:]))
}

// dontFragment tells whether an IPv4 packet has the DF flag.
func dontFragment(pkt []byte) bool { return pkt[6]&0x40 != 0 }

// destination is where a packet was to go. ICMP messages about it come from there,
// since the plane has no address of its own that its sender could know, and a
// message from one of the host's addresses would be taken for spoofed.
func destination(pkt []byte) netip.Addr {
	if pkt[0]>>4 == ipVersion4 {
		return netip.AddrFrom4([4]byte(pkt[16:20]))
	}
	return netip.AddrFrom16([16]byte(pkt[24:40]))
}

// answer gives the ICMP message, which lies in b.error, to the device.
func (p *Plane) answer(b *outBatch, message []byte) {
	if len(message) == 0 {
		return
	}
	b.write[0] = b.error[:headroom+len(message)]
	if _, err := p.cfg.Device.Write(b.write[:], headroom); err != nil {
		p.count.add(inWriteFailed, 1)
	}
}

// fragment cuts a packet into slots that are free.
func (p *Plane) fragment(b *outBatch, o outPacket, limit int) {
	f, err := esp.Fragment4(o.buf[o.off:o.off+o.n], limit)
	if err != nil {
		p.count.add(outRefused, 1)
		return
	}
	p.count.add(outFragmented, 1)
	for {
		if b.used == len(b.bufs) {
			p.count.add(outRefused, 1)
			return
		}
		piece := o
		piece.buf = b.bufs[b.used]
		piece.off = headroom
		if piece.n = f.Next(piece.buf[headroom : headroom+p.slot]); piece.n == 0 {
			return
		}
		b.used++
		p.accept(b, piece)
	}
}

// sent looks at the result of sending. extra is what lies between the ESP and the
// IP header.
func (p *Plane) sent(ps []udp.Packet, err error, extra int) {
	if err == nil {
		p.count.add(outPackets, len(ps))
		return
	}
	var failed *udp.PacketError
	if !errors.As(err, &failed) || failed.Index < 0 || failed.Index >= len(ps) {
		p.count.add(outSendFailed, len(ps))
		return
	}
	p.count.add(outPackets, len(ps)-1)
	p.count.add(outSendFailed, 1)
	if errors.Is(err, syscall.EMSGSIZE) {
		u := &ps[failed.Index]
		size := len(u.Data) + extra + ip4Header
		if u.Remote.Addr().Is6() {
			size = len(u.Data) + extra + ip6Header
		}
		p.tooLarge(u.Remote.Addr(), size)
	}
}
