package udp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// oobLen holds the control messages of one packet: packet info of IPv6 (36 octets
// with header), traffic class and segment size (24 each).
const oobLen = 128

var errControl = errors.New("malformed control message")

// parseControl reads local address, interface, traffic class and segment size.
func parseControl(oob []byte, p *Packet) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := parseOne(oob)
		if err != nil {
			return
		}
		oob = rest
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			p.IfIndex = int(int32(binary.NativeEndian.Uint32(data)))
			p.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(data[8:12])), p.Local.Port())
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			p.IfIndex = int(int32(binary.NativeEndian.Uint32(data[16:])))
			p.Local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(data[:16])), p.Local.Port())
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			p.TOS = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			p.TOS = byte(binary.NativeEndian.Uint32(data))
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			p.Seg = trainSeg(binary.NativeEndian.Uint32(data), len(p.Data))
		}
	}
}

// trainSeg is the segment size of a packet of n octets, 0 if it is a single one.
func trainSeg(seg uint32, n int) int {
	if int64(seg) >= int64(n) {
		return 0
	}
	return int(seg)
}

// parseOne takes one control message off; unlike the library's it bounds what the
// header claims by itself and so needs no trust in its caller.
func parseOne(b []byte) (unix.Cmsghdr, []byte, []byte, error) {
	h := *(*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	n := uint64(h.Len)
	if n < unix.SizeofCmsghdr || n > uint64(len(b)) {
		return h, nil, nil, errControl
	}
	end := min(unix.CmsgSpace(int(n)-unix.SizeofCmsghdr), len(b))
	return h, b[unix.CmsgLen(0):n], b[end:], nil
}

// appendControl appends what goes with a packet to send: the address that it is to
// leave from, its TOS and, when positive, the segment size of a train.
func appendControl(oob []byte, p *Packet, seg int, v6 bool) []byte {
	from := p.Local.Addr()
	if from.IsValid() && !from.Unmap().IsUnspecified() {
		oob = appendSource(oob, from, v6)
	}
	if p.TOS != 0 {
		level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
		if v6 {
			level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		var data []byte
		oob, data = appendOne(oob, level, kind, 4)
		binary.NativeEndian.PutUint32(data, uint32(p.TOS))
	}
	if seg > 0 {
		var data []byte
		oob, data = appendOne(oob, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, uint16(seg))
	}
	return oob
}

// appendSource appends the address that a packet is to leave from.
func appendSource(oob []byte, from netip.Addr, v6 bool) []byte {
	var data []byte
	if v6 {
		oob, data = appendOne(oob, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		a := from.As16()
		copy(data, a[:])
		binary.NativeEndian.PutUint32(data[16:], scope(from))
		return oob
	}
	oob, data = appendOne(oob, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	a := from.Unmap().As4()
	copy(data[4:8], a[:])
	return oob
}

// appendOne appends a control message with n zero octets of data, and returns these.
func appendOne(oob []byte, level, kind int32, n int) ([]byte, []byte) {
	at := len(oob)
	oob = oob[:at+unix.CmsgSpace(n)]
	clear(oob[at:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[at]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	data := oob[at+unix.CmsgLen(0):]
	return oob, data[:n]
}
