package esp

import (
	"encoding/binary"

	"github.com/goike/goike/crypto/seal"
)

// Outer is what the outer IP header should carry.
type Outer struct {
	TOS uint8 // DSCP and ECN; the traffic class of IPv6
	DF  bool  // IPv4: do not fragment
	TTL uint8 // transport mode: that of the packet; tunnel mode: 0, for the host's default
}

// SealWorker seals the packets of one Sender. It is not for concurrent use.
type SealWorker struct {
	sender *Sender
	sealer seal.Sealer
	shape
	spi            uint32
	transport, esn bool
	noCopyDF       bool
	tos            tosRules
	high           [4]byte // the half of the sequence number that is not sent
}

// Seal turns the inner IP packet buf[off:off+n] in place into an ESP packet with
// the sequence number seq, which Reserve gave: none may be used twice. It needs
// Headroom before and Tailroom behind the packet, and answers ErrRoom where they lack;
// TFC padding needs room too.
//
// In tunnel mode the whole packet is sealed. Its TTL is as it came: who routes the
// packet into the tunnel counts it down, once (RFC 4301, 5.1.2.1). DSCP goes out
// with CopyDSCP, ECN unless NoECN (RFC 6040, 4.1), DF unless NoCopyDF; IPv6 inside counts
// as DF. In transport mode the IP header is taken off, and out says what of it the
// caller's has to carry. IPv4 options, fragments, and extension headers that belong
// before ESP (RFC 4303, 3.1.1) are refused there with ErrDrop.
//
// pkt is the ESP packet from its SPI on, a part of buf. Nothing is allocated.
func (w *SealWorker) Seal(buf []byte, off, n int, seq uint64) (pkt []byte, out Outer, err error) {
	if !within(buf, off, n) {
		return nil, Outer{}, ErrRoom
	}
	inner := buf[off : off+n]
	h, err := parseHeader(inner)
	if err != nil {
		return nil, Outer{}, err
	}
	if w.transport {
		return w.sealTransport(buf, off, h, seq)
	}
	out = Outer{
		TOS: w.tos.outer(h.trafficClass(inner)),
		DF:  !w.noCopyDF && h.dontFragment(inner),
	}
	next := uint8(protoIPv4)
	if h.v6 {
		next = protoIPv6
	}
	tfc := max(0, int(w.sender.padTo.Load())-h.total)
	pkt, err = w.wrap(buf, off, h.total, tfc, next, seq)
	return pkt, out, err
}

func (w *SealWorker) sealTransport(buf []byte, off int, h ipHeader, seq uint64) ([]byte, Outer, error) {
	ip := buf[off : off+h.total]
	next, ttl := ip[9], ip[8]
	if h.v6 {
		next, ttl = ip[6], ip[7]
		if next == protoHopByHop || next == protoRouting || next == protoFragment {
			return nil, Outer{}, ErrDrop
		}
	} else if h.hlen != ip4Len || isFragment4(ip) {
		return nil, Outer{}, ErrDrop
	}
	out := Outer{TOS: h.trafficClass(ip), DF: h.dontFragment(ip), TTL: ttl}
	pkt, err := w.wrap(buf, off+h.hlen, h.total-h.hlen, 0, next, seq)
	return pkt, out, err
}

// wrap seals the payload buf[start:start+n], with tfc octets of TFC padding.
func (w *SealWorker) wrap(buf []byte, start, n, tfc int, next uint8, seq uint64) ([]byte, error) {
	head := start - w.iv - espHeader
	pad := start + n + tfc
	trailer := pad + w.padding(n+tfc)
	end := trailer + espTrailer + w.icv
	if head < 0 || end > len(buf) {
		return nil, ErrRoom
	}
	clear(buf[start+n : pad])
	for i := pad; i < trailer; i++ {
		buf[i] = byte(i - pad + 1)
	}
	buf[trailer], buf[trailer+1] = byte(trailer-pad), next
	pkt := buf[head:end]
	binary.BigEndian.PutUint32(pkt, w.spi)
	binary.BigEndian.PutUint32(pkt[4:], uint32(seq))
	w.sealer.Seal(pkt, espHeader, highHalf(w.esn, &w.high, seq), seq)
	return pkt, nil
}

// highHalf writes the half of an extended sequence number that is not sent.
func highHalf(esn bool, high *[4]byte, seq uint64) []byte {
	if !esn {
		return nil
	}
	binary.BigEndian.PutUint32(high[:], uint32(seq>>32))
	return high[:]
}

// within tells whether buf[off:off+n] can be taken.
func within(buf []byte, off, n int) bool {
	return off >= 0 && n >= 0 && off <= len(buf) && n <= len(buf)-off
}
