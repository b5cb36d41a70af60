package esp

import (
	"encoding/binary"
	"net/netip"
)

// ICMP types and codes of the messages that a gateway sends (RFC 792, RFC 1191,
// RFC 1812, 5.2.7.1; RFC 4443, 3.1, 3.2).
const (
	icmp4Unreachable = 3
	icmp4FragNeeded  = 4
	icmp6Unreachable = 1
	icmp6TooBig      = 2
	icmp6Redirect    = 137
	icmp6FirstInfo   = 128 // ICMPv6 types below are errors

	icmpLen = 8
	// maxError4 and maxError6 bound an ICMP error (RFC 1812, 4.3.2.3; RFC 4443, 2.4).
	maxError4 = 576
	maxError6 = 1280
	// What an ICMP error must quote for its receiver to make use of it: the IP header
	// without options and 8 octets.
	minQuote = ip4Len + 8
	// internetControl is the precedence of ICMP errors (RFC 1812, 4.3.2.5).
	internetControl = 6 << 5
	minMTU4         = 68 // RFC 791, 3.2
	minMTU6         = 1280
)

// Reason says why a destination is unreachable.
type Reason uint8

// The reasons.
const (
	NoRoute    Reason = iota // nothing leads there
	Prohibited               // policy forbids it (RFC 4301, 6)
)

// code4 and code6 are the ICMP codes of the reasons.
var (
	code4 = [...]uint8{NoRoute: 0, Prohibited: 13}
	code6 = [...]uint8{NoRoute: 0, Prohibited: 1}
)

// FragNeeded writes to buf the ICMP message that tells the sender of pkt the largest
// packet that fits the tunnel, mtu octets: fragmentation needed for IPv4 (RFC 1191, 4),
// packet too big for IPv6 (RFC 4443, 3.2). It is a whole IP packet from the address
// from, of pkt's family, and a part of buf, which shares no memory with pkt; 1280
// octets are enough for every message.
//
// It returns nil when there is nothing to say, or it must not be said: pkt fits mtu,
// may be fragmented, is a fragment other than the first, an ICMP error, from no
// single host, or for IPv4 to more than one (RFC 1122, 3.2.2; RFC 4443, 2.4). No MTU
// below 68, for IPv6 below 1280, is told: tunnels that are narrower fragment outside.
func FragNeeded(buf, pkt []byte, mtu int, from netip.Addr) []byte {
	h, err := parseHeader(pkt)
	if err != nil || !h.dontFragment(pkt) || !mayComplain(pkt, h.v6) {
		return nil
	}
	if h.v6 {
		mtu = max(mtu, minMTU6)
	} else {
		mtu = max(mtu, minMTU4)
	}
	if h.total <= mtu {
		return nil
	}
	if h.v6 {
		return putICMP(buf, pkt[:h.total], from, icmp6TooBig, 0, uint32(mtu))
	}
	return putICMP(buf, pkt[:h.total], from, icmp4Unreachable, icmp4FragNeeded, uint32(mtu))
}

// Unreachable writes to buf the ICMP message destination unreachable about pkt. What
// is said of FragNeeded goes for it too, but for the MTU; about IPv6 multicast it
// says nothing either.
func Unreachable(buf, pkt []byte, why Reason, from netip.Addr) []byte {
	h, err := parseHeader(pkt)
	if err != nil || int(why) >= len(code4) || !mayComplain(pkt, h.v6) {
		return nil
	}
	if !h.v6 {
		return putICMP(buf, pkt[:h.total], from, icmp4Unreachable, code4[why], 0)
	}
	if pkt[24] == 0xff {
		return nil
	}
	return putICMP(buf, pkt[:h.total], from, icmp6Unreachable, code6[why], 0)
}

// mayComplain tells whether an ICMP error about pkt is allowed.
func mayComplain(pkt []byte, v6 bool) bool {
	f, err := ParseFlow(pkt)
	if err != nil || f.Fragment && f.Opaque || !singleHost(f.Src) {
		return false
	}
	if v6 {
		return f.Proto != protoICMPv6 || !f.Opaque && f.SrcPort>>8 >= icmp6FirstInfo && f.SrcPort>>8 != icmp6Redirect
	}
	if f.Dst.IsMulticast() || f.Dst == broadcast4 {
		return false
	}
	return f.Proto != protoICMP || !f.Opaque && !isError4(uint8(f.SrcPort>>8))
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// singleHost tells whether an address can be that of one host elsewhere.
func singleHost(a netip.Addr) bool {
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
		return false
	}
	return !a.Is4() || a.As4()[0] != 0 && a.As4()[0] < 224
}

// isError4 tells whether an ICMP type is an error (RFC 1122, 3.2.2).
func isError4(typ uint8) bool {
	switch typ {
	case 3, 4, 5, 11, 12:
		return true
	}
	return false
}

// putICMP writes the message about pkt to its sender; rest is what follows the
// checksum.
func putICMP(buf, pkt []byte, from netip.Addr, typ, code uint8, rest uint32) []byte {
	from = from.Unmap().WithZone("")
	v6 := pkt[0]>>4 == 6
	hlen, limit := ip4Len, maxError4
	if v6 {
		hlen, limit = ip6Len, maxError6
	}
	quote := min(len(pkt), min(limit, len(buf))-hlen-icmpLen)
	if !from.IsValid() || from.Is6() != v6 || quote < min(len(pkt), minQuote+hlen-ip4Len) {
		return nil
	}
	ip := buf[:hlen+icmpLen+quote]
	msg := ip[hlen:]
	msg[0], msg[1], msg[2], msg[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(msg[4:], rest)
	copy(msg[icmpLen:], pkt[:quote])
	var start uint64
	if v6 {
		dst := netip.AddrFrom16([16]byte(pkt[8:24]))
		putHeader6(ip, from, dst, protoICMPv6, Inbound{TTL: maxTTL})
		start = pseudoSum(ip[8:40], protoICMPv6, len(msg))
	} else {
		dst := netip.AddrFrom4([4]byte(pkt[12:16]))
		putHeader4(ip, from, dst, protoICMP, Inbound{TTL: maxTTL, TOS: internetControl})
	}
	binary.BigEndian.PutUint16(msg[2:], finish(sum(start, msg)))
	return ip
}
