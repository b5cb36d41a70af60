package esp

import (
	"encoding/binary"
	"math/bits"
)

// sum adds b to a sum of 16-bit words in ones' complement (RFC 1071). What is added
// in several calls has an even length in all but the last.
func sum(acc uint64, b []byte) uint64 {
	for ; len(b) >= 8; b = b[8:] {
		acc = add(acc, binary.BigEndian.Uint64(b))
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		acc = add(acc, binary.BigEndian.Uint64(rest[:]))
	}
	return acc
}

func add(a, b uint64) uint64 {
	s, carry := bits.Add64(a, b, 0)
	return s + carry
}

// finish folds a sum and complements it.
func finish(acc uint64) uint16 {
	for acc>>16 != 0 {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// updated is the checksum after one word under it changed (RFC 1624, equation 3).
func updated(checksum, before, after uint16) uint16 {
	return finish(uint64(^checksum) + uint64(^before) + uint64(after))
}

// pseudoSum starts the sum of an upper-layer packet of n octets (RFC 8200, 8.1; the
// pseudo header of IPv4 sums the same way). addrs is source and destination.
func pseudoSum(addrs []byte, proto uint8, n int) uint64 {
	return sum(uint64(proto)+uint64(n), addrs)
}

// setHeaderChecksum writes the checksum of an IPv4 header.
func setHeaderChecksum(header []byte) {
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], finish(sum(0, header)))
}

// recompute makes the checksum of a TCP, UDP or ICMPv6 packet anew. A NAT changed
// the addresses that it covered (RFC 3948, 3.1.2); the ICV has shown that the rest
// is sound. UDP without a checksum stays without one. What is too short stays.
func recompute(payload, addrs []byte, proto uint8) {
	at := 0
	switch proto {
	case protoTCP:
		at = 16
	case protoUDP:
		at = 6
	case protoICMPv6:
		at = 2
	}
	if at == 0 || len(payload) < at+2 {
		return
	}
	field := payload[at : at+2]
	if proto == protoUDP {
		n := int(binary.BigEndian.Uint16(payload[4:]))
		if n < udpLen || n > len(payload) || binary.BigEndian.Uint16(field) == 0 {
			return
		}
		payload = payload[:n]
	}
	clear(field)
	c := finish(sum(pseudoSum(addrs, proto, len(payload)), payload))
	if c == 0 && proto == protoUDP {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(field, c)
}
