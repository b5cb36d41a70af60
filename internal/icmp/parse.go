//go:build linux

package icmp

import (
	"encoding/binary"
	"net/netip"
)

// Types and codes (RFC 792, RFC 1122, 3.2.2.1, RFC 1812, 5.2.7.1, RFC 4443, 3).
const (
	v4Unreachable = 3
	v4TimeOut     = 11
	v6Unreachable = 1
	v6TooBig      = 2
	v6TimeOut     = 3
)

var v4Codes = map[byte]Kind{
	0: NoNetwork, 1: NoHost, 3: NoPort, 4: TooBig, 6: NoNetwork, 7: NoHost, 9: Prohibited, 10: Prohibited, 11: NoNetwork, 12: NoHost, 13: Prohibited,
}

var v6Codes = map[byte]Kind{0: NoNetwork, 1: Prohibited, 3: NoHost, 4: NoPort, 5: Prohibited, 6: NoNetwork}

// Lengths of headers, and the protocol UDP.
const (
	icmpHeader = 8
	v4Header   = 20
	v6Header   = 40
	udp        = 17
)

// parse4 reads an ICMP error about a UDP packet; ok is false when it is none.
func parse4(b []byte) (e Error, ok bool) {
	if len(b) < icmpHeader+v4Header {
		return e, false
	}
	switch b[0] {
	case v4Unreachable:
		if e.Kind = v4Codes[b[1]]; e.Kind == TooBig {
			e.MTU = int(binary.BigEndian.Uint16(b[6:]))
		}
	case v4TimeOut:
		e.Kind = TimeOut
	default:
		return e, false
	}
	packet := b[icmpHeader:]
	header := 4 * int(packet[0]&0xf)
	if packet[0]>>4 != 4 || header < v4Header || packet[9] != udp || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
		return e, false // a fragment but the first one has no ports
	}
	return e.between(netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20])), packet[min(header, len(packet)):])
}

// parse6 does so for ICMPv6.
func parse6(b []byte) (e Error, ok bool) {
	if len(b) < icmpHeader+v6Header {
		return e, false
	}
	switch b[0] {
	case v6Unreachable:
		e.Kind = v6Codes[b[1]]
	case v6TooBig:
		e.Kind, e.MTU = TooBig, int(min(binary.BigEndian.Uint32(b[4:]), 1<<16))
	case v6TimeOut:
		e.Kind = TimeOut
	default:
		return e, false
	}
	packet := b[icmpHeader:]
	if packet[0]>>4 != 6 || packet[6] != udp {
		return e, false
	}
	return e.between(netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40])), packet[v6Header:])
}

// between takes the ports from a UDP header.
func (e Error) between(src, dst netip.Addr, b []byte) (Error, bool) {
	if len(b) < 4 {
		return e, false
	}
	e.Local = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	e.Remote = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	return e, true
}
