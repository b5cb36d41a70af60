//go:build linux

package tun

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Sizes and places in headers.
const (
	ip4Header, ip6Header = 20, 40
	udpHeader, tcpHeader = 8, 20
	udpSum, tcpSum       = 6, 16 // checksums
	tcpFlags             = 13
	tcpFIN, tcpPSH       = 0x01, 0x08
	tcpCWR               = 0x80
	protoTCP, protoUDP   = 6, 17
)

var errHeader = errors.New("the kernel gave a packet with a malformed virtio header")

// header is the part of a struct virtio_net_hdr that matters (linux/virtio_net.h). Its
// hdr_len does not: for forwarded packets it is more than the headers.
type header struct {
	needsSum bool
	kind     uint8 // VIRTIO_NET_HDR_GSO_*
	seg      int   // payload of a segment
	start    int   // of the transport header
	sumAt    int   // from there
}

// parseHeader reads the header of Headroom octets.
func parseHeader(b []byte) header {
	return header{
		needsSum: b[0]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0,
		kind:     b[1] &^ unix.VIRTIO_NET_HDR_GSO_ECN,
		seg:      int(binary.NativeEndian.Uint16(b[4:])),
		start:    int(binary.NativeEndian.Uint16(b[6:])),
		sumAt:    int(binary.NativeEndian.Uint16(b[8:])),
	}
}

// complete fills in the checksum of a packet, where its place holds that of the
// pseudo header.
func complete(pkt []byte, h header) error {
	at := h.start + h.sumAt
	if at+2 > len(pkt) {
		return errHeader
	}
	binary.BigEndian.PutUint16(pkt[at:], finish(sum(0, pkt[h.start:])))
	return nil
}

// train is a TCP or UDP packet that the kernel left whole, to be cut into packets.
type train struct {
	pkt   []byte
	start int    // of the transport header
	head  int    // length of all headers
	seg   int    // payload of all packets but the last
	tcp   bool   // or UDP
	base  uint64 // sum of the pseudo header, without the length
	at    int    // payload that is next
	count int    // packets that were cut off
}

// newTrain looks at the headers of a train. It keeps pkt.
func newTrain(pkt []byte, h header) (train, error) {
	if len(pkt) == 0 {
		return train{}, errHeader
	}
	t := train{pkt: pkt, start: h.start, seg: h.seg}
	least, addrs, version := ip4Header, 12, byte(4)
	switch h.kind {
	case unix.VIRTIO_NET_HDR_GSO_TCPV4:
		t.tcp = true
	case unix.VIRTIO_NET_HDR_GSO_TCPV6:
		t.tcp, version = true, 6
	case unix.VIRTIO_NET_HDR_GSO_UDP_L4:
		version = pkt[0] >> 4
	default:
		return train{}, fmt.Errorf("the kernel gave a train of the unknown kind %d", h.kind)
	}
	if version == 6 {
		least, addrs = ip6Header, 8
	}
	proto := uint64(protoUDP)
	t.head = t.start + udpHeader
	if t.tcp {
		proto = protoTCP
		if len(pkt) < t.start+tcpHeader {
			return train{}, errHeader
		}
		t.head = t.start + max(tcpHeader, int(pkt[t.start+12]>>4)*4)
	}
	if t.seg == 0 || t.start < least || len(pkt) < t.head || pkt[0]>>4 != version || version != 4 && version != 6 {
		return train{}, errHeader
	}
	t.base = uint64(fold(sum(proto, pkt[addrs:least])))
	t.at = t.head
	return t, nil
}

func (t *train) more() bool { return t.at < len(t.pkt) }

// next cuts the next packet off and writes it to out. It returns its length: if that
// is more than out has, nothing was written.
func (t *train) next(out []byte) int {
	payload := t.pkt[t.at:min(t.at+t.seg, len(t.pkt))]
	i := t.count
	t.at += len(payload)
	t.count++
	n := t.head + len(payload)
	if n > len(out) {
		return n
	}
	out = out[:n]
	copy(out, t.pkt[:t.head])
	copy(out[t.head:], payload)
	if out[0]>>4 == 6 {
		binary.BigEndian.PutUint16(out[4:], uint16(n-ip6Header))
	} else {
		t.number4(out, i)
	}
	if t.tcp {
		t.numberTCP(out[t.start:], i)
	} else {
		binary.BigEndian.PutUint16(out[t.start+4:], uint16(n-t.start))
	}
	t.setSum(out[t.start:])
	return n
}

// number4 makes the IPv4 header that of packet i: with a length, identification and
// checksum of its own.
func (t *train) number4(out []byte, i int) {
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	binary.BigEndian.PutUint16(out[4:], binary.BigEndian.Uint16(out[4:])+uint16(i))
	out[10], out[11] = 0, 0
	binary.BigEndian.PutUint16(out[10:], finish(sum(0, out[:t.start])))
}

// numberTCP makes the TCP header that of packet i. Flags that stand for something at
// the end go with the last packet only, CWR with the first (RFC 3168, 6.1.2).
func (t *train) numberTCP(tcp []byte, i int) {
	binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(i*t.seg))
	if t.more() {
		tcp[tcpFlags] &^= tcpFIN | tcpPSH
	}
	if i > 0 {
		tcp[tcpFlags] &^= tcpCWR
	}
}

func (t *train) setSum(segment []byte) {
	at := udpSum
	if t.tcp {
		at = tcpSum
	}
	segment[at], segment[at+1] = 0, 0
	binary.BigEndian.PutUint16(segment[at:], finish(sum(t.base+uint64(len(segment)), segment)))
}
