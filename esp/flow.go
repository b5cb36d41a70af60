package esp

import (
	"encoding/binary"
	"net/netip"
)

// Flow is what policies see of a packet.
type Flow struct {
	Src, Dst netip.Addr
	// Proto is the next layer protocol: behind the extension headers of IPv6, as far
	// as they can be seen.
	Proto uint8
	// SrcPort and DstPort are the ports of TCP, UDP, UDP-Lite, SCTP and DCCP. For ICMP
	// both hold type<<8|code, for Mobility Headers type<<8 (RFC 4301, 4.4.1.1).
	SrcPort, DstPort uint16
	// Opaque: there are no ports to see, as in later fragments, cut packets and
	// protocols without ports; both are 0.
	Opaque bool
	// Fragment: the packet is a fragment, be it the first.
	Fragment bool
}

// maxExtensions bounds the chain of IPv6 extension headers that is walked.
const maxExtensions = 16

// ParseFlow reads the flow of an IP packet. Octets behind the packet's own length
// are ignored. It returns ErrMalformed for what is no IP packet, is cut short, or
// has a chain of extension headers that is cut or longer than 16.
func ParseFlow(pkt []byte) (Flow, error) {
	h, err := parseHeader(pkt)
	if err != nil {
		return Flow{}, err
	}
	if h.v6 {
		return flow6(pkt[:h.total])
	}
	f := Flow{
		Src:      netip.AddrFrom4([4]byte(pkt[12:16])),
		Dst:      netip.AddrFrom4([4]byte(pkt[16:20])),
		Proto:    pkt[9],
		Fragment: isFragment4(pkt),
	}
	if binary.BigEndian.Uint16(pkt[6:])&offsetMask != 0 {
		f.Opaque = true
	} else {
		f.readPorts(pkt[h.hlen:h.total])
	}
	return f, nil
}

func flow6(pkt []byte) (Flow, error) {
	f := Flow{
		Src: netip.AddrFrom16([16]byte(pkt[8:24])),
		Dst: netip.AddrFrom16([16]byte(pkt[24:40])),
	}
	next, rest := pkt[6], pkt[ip6Len:]
	for range maxExtensions {
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(rest) < 8 || len(rest) < 8+int(rest[1])*8 {
				return Flow{}, ErrMalformed
			}
			next, rest = rest[0], rest[8+int(rest[1])*8:]
		case protoFragment:
			if len(rest) < 8 {
				return Flow{}, ErrMalformed
			}
			where := binary.BigEndian.Uint16(rest[2:])
			f.Fragment = f.Fragment || where&^6 != 0
			next, rest = rest[0], rest[8:]
			if where>>3 != 0 {
				f.Proto, f.Opaque = next, true
				return f, nil
			}
		default:
			f.Proto = next
			f.readPorts(rest)
			return f, nil
		}
	}
	return Flow{}, ErrMalformed
}

// readPorts reads the ports at the start of an upper-layer payload.
func (f *Flow) readPorts(payload []byte) {
	switch f.Proto {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		if len(payload) >= 4 {
			f.SrcPort = binary.BigEndian.Uint16(payload)
			f.DstPort = binary.BigEndian.Uint16(payload[2:])
			return
		}
	case protoICMP, protoICMPv6:
		if len(payload) >= 2 {
			f.SrcPort = binary.BigEndian.Uint16(payload)
			f.DstPort = f.SrcPort
			return
		}
	case protoMobility:
		if len(payload) >= 3 {
			f.SrcPort = uint16(payload[2]) << 8
			f.DstPort = f.SrcPort
			return
		}
	}
	f.Opaque = true
}

// Matches tells whether the selector is for the flow. An opaque flow matches only
// selectors for any port (RFC 4301, 7).
func (s Selector) Matches(f Flow) bool {
	if s.Proto != 0 && s.Proto != f.Proto {
		return false
	}
	if f.Opaque {
		if s.SrcPorts != AnyPort || s.DstPorts != AnyPort {
			return false
		}
	} else if !s.SrcPorts.contains(f.SrcPort) || !s.DstPorts.contains(f.DstPort) {
		return false
	}
	return s.Src.Contains(f.Src) && s.Dst.Contains(f.Dst)
}

func (r PortRange) contains(port uint16) bool { return r.First <= port && port <= r.Last }
