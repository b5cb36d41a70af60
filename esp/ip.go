package esp

import "encoding/binary"

// IP protocol numbers that the transform knows.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoDCCP     = 33
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoSCTP     = 132
	protoMobility = 135
	protoUDPLite  = 136
)

const (
	ip4Len = 20 // IPv4 header without options
	ip6Len = 40
	udpLen = 8
	maxTTL = 64 // of the packets that are made here

	flagDF     = 0x4000 // in the IPv4 flags and fragment offset
	flagMF     = 0x2000
	offsetMask = 0x1fff
)

// ipHeader is where an IP packet's parts lie.
type ipHeader struct {
	v6    bool
	hlen  int // IPv4: with options; IPv6: without extension headers
	total int // header and payload
}

// parseHeader checks the lengths of an IP packet against each other. What lies
// behind the total length is not part of the packet. Jumbograms are malformed.
func parseHeader(pkt []byte) (ipHeader, error) {
	if len(pkt) < ip4Len {
		return ipHeader{}, ErrMalformed
	}
	var h ipHeader
	switch pkt[0] >> 4 {
	case 4:
		h.hlen = int(pkt[0]&15) * 4
		h.total = int(binary.BigEndian.Uint16(pkt[2:]))
		if h.hlen < ip4Len {
			return ipHeader{}, ErrMalformed
		}
	case 6:
		if len(pkt) < ip6Len {
			return ipHeader{}, ErrMalformed
		}
		h.v6, h.hlen = true, ip6Len
		h.total = ip6Len + int(binary.BigEndian.Uint16(pkt[4:]))
	default:
		return ipHeader{}, ErrMalformed
	}
	if h.total < h.hlen || h.total > len(pkt) {
		return ipHeader{}, ErrMalformed
	}
	return h, nil
}

// trafficClass is the TOS octet of IPv4, the traffic class of IPv6.
func (h ipHeader) trafficClass(pkt []byte) uint8 {
	if h.v6 {
		return pkt[0]<<4 | pkt[1]>>4
	}
	return pkt[1]
}

// dontFragment tells whether routers must not fragment the packet.
func (h ipHeader) dontFragment(pkt []byte) bool {
	return h.v6 || binary.BigEndian.Uint16(pkt[6:])&flagDF != 0
}

// isFragment4 tells whether an IPv4 packet is a fragment, the first one included.
func isFragment4(pkt []byte) bool {
	return binary.BigEndian.Uint16(pkt[6:])&(flagMF|offsetMask) != 0
}
