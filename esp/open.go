package esp

import (
	"encoding/binary"
	"net/netip"

	"github.com/goike/goike/crypto/seal"
)

// Inbound is what the outer IP header of an ESP packet carried.
type Inbound struct {
	Src, Dst netip.Addr
	TOS      uint8 // the traffic class of IPv6
	TTL      uint8 // the hop limit of IPv6
}

// OpenWorker opens the packets of one Receiver. It is not for concurrent use.
type OpenWorker struct {
	receiver *Receiver
	sealer   seal.Sealer
	shape
	transport, esn bool
	tos            tosRules
	high           [4]byte // the half of the sequence number that is not sent
}

// Open authenticates and decrypts the ESP packet buf[off:off+n] in place, from the
// SPI on, with the sequence number seq that Check gave, and returns the IP packet in
// it: a part of buf that starts at cap(buf)-cap(inner). Nothing is allocated.
//
// In tunnel mode it is the packet as it lay inside, without TFC padding, the TTL not
// counted down, with the outer DSCP if DecapDSCP, and with ECN combined from the outer
// TOS unless NoECN: ErrDrop for congestion on a packet that is not ECN-capable (RFC
// 6040, 4.2). In transport mode an IP header
// is put before the payload, which needs Headroom before off, from what in tells;
// behind a NAT the checksum that covers the addresses is made anew (RFC 3948, 3.1.2).
//
// Errors are ErrAuth, ErrMalformed (also for padding other than 1, 2, 3 ...; RFC 4303,
// 2.4), ErrDummy, ErrDrop and ErrRoom. After ErrMalformed, ErrDummy and ErrDrop the
// packet was authentic all the same: its sequence number is to be accepted.
func (w *OpenWorker) Open(buf []byte, off, n int, seq uint64, in Inbound) (inner []byte, err error) {
	if !within(buf, off, n) {
		return nil, ErrRoom
	}
	if n < espHeader {
		return nil, ErrAuth
	}
	plain, err := w.sealer.Open(buf[off:off+n], espHeader, highHalf(w.esn, &w.high, seq))
	if err != nil {
		return nil, ErrAuth
	}
	size, next, err := trailer(plain)
	switch {
	case err != nil:
		return nil, err
	case next == protoNone:
		return nil, ErrDummy
	case w.transport:
		return w.rebuild(buf, off+espHeader+w.iv, size, next, in)
	}
	return unwrap(plain[:size], next, w.tos, in.TOS)
}

// trailer finds how much of the plaintext is payload, and what it is.
func trailer(plain []byte) (size int, next uint8, err error) {
	end := len(plain) - espTrailer
	if end < 0 || int(plain[end]) > end {
		return 0, 0, ErrMalformed
	}
	size = end - int(plain[end])
	for i, b := range plain[size:end] {
		if int(b) != i+1 {
			return 0, 0, ErrMalformed
		}
	}
	return size, plain[end+1], nil
}

// unwrap takes the inner packet of tunnel mode out of the payload.
func unwrap(payload []byte, next uint8, rules tosRules, outer uint8) ([]byte, error) {
	h, err := parseHeader(payload)
	if err != nil {
		return nil, err
	}
	if h.v6 != (next == protoIPv6) || !h.v6 && next != protoIPv4 {
		return nil, ErrMalformed
	}
	inner := payload[:h.total]
	if err := rules.decapsulate(inner, h, outer); err != nil {
		return nil, err
	}
	return inner, nil
}

// rebuild puts an IP header before the payload buf[start:start+n].
func (w *OpenWorker) rebuild(buf []byte, start, n int, next uint8, in Inbound) ([]byte, error) {
	src, dst := in.Src.Unmap(), in.Dst.Unmap()
	var ip, addrs []byte
	switch {
	case src.Is4() && dst.Is4():
		if start < ip4Len || n > 0xffff-ip4Len {
			return nil, ErrRoom
		}
		ip = buf[start-ip4Len : start+n]
		putHeader4(ip, src, dst, next, in)
		addrs = ip[12:20]
	case src.Is6() && dst.Is6():
		if start < ip6Len || n > 0xffff {
			return nil, ErrRoom
		}
		ip = buf[start-ip6Len : start+n]
		putHeader6(ip, src, dst, next, in)
		addrs = ip[8:40]
	default:
		return nil, ErrMalformed
	}
	if w.receiver.sa.Load().Encap != nil {
		recompute(buf[start:start+n], addrs, next)
	}
	return ip, nil
}

// putHeader4 writes an IPv4 header for the packet ip. It is atomic, so that its
// identification says nothing (RFC 6864, 4.1).
func putHeader4(ip []byte, src, dst netip.Addr, proto uint8, in Inbound) {
	ip[0], ip[1] = 4<<4|ip4Len/4, in.TOS
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], 0)
	binary.BigEndian.PutUint16(ip[6:], flagDF)
	ip[8], ip[9] = in.TTL, proto
	s, d := src.As4(), dst.As4()
	copy(ip[12:], s[:])
	copy(ip[16:], d[:])
	setHeaderChecksum(ip[:ip4Len])
}

// putHeader6 writes an IPv6 header for the packet ip.
func putHeader6(ip []byte, src, dst netip.Addr, proto uint8, in Inbound) {
	ip[0], ip[1], ip[2], ip[3] = 6<<4|in.TOS>>4, in.TOS<<4, 0, 0
	binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ip6Len))
	ip[6], ip[7] = proto, in.TTL
	s, d := src.As16(), dst.As16()
	copy(ip[8:], s[:])
	copy(ip[24:], d[:])
}
