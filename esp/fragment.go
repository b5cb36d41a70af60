package esp

import "encoding/binary"

// Fragments4 are the fragments of one IPv4 packet, one after the other.
type Fragments4 struct {
	header  [60]byte // of the fragment to come
	hlen    int
	payload []byte // what is still to be sent; it lies in the packet
	offset  int    // of payload, in octets
	more    bool   // the packet itself was not the last fragment
	mtu     int
}

// Fragment4 cuts the IPv4 packet pkt, which may be a fragment itself, into fragments of
// at most mtu octets (RFC 791, 3.2), as a gateway does before it encrypts (RFC 4301,
// 8.2.1). Next gives them; pkt must stay as it is until then. It returns ErrDrop when
// the packet must not be fragmented, or mtu has no room for a header and 8 octets,
// ErrMalformed when pkt is no sound IPv4 packet. Nothing is allocated.
func Fragment4(pkt []byte, mtu int) (Fragments4, error) {
	h, err := parseHeader(pkt)
	if err != nil || h.v6 {
		return Fragments4{}, ErrMalformed
	}
	where := binary.BigEndian.Uint16(pkt[6:])
	if where&flagDF != 0 || mtu < h.hlen+8 {
		return Fragments4{}, ErrDrop
	}
	f := Fragments4{
		hlen:    h.hlen,
		payload: pkt[h.hlen:h.total],
		offset:  int(where&offsetMask) * 8,
		more:    where&flagMF != 0,
		mtu:     mtu,
	}
	copy(f.header[:], pkt[:h.hlen])
	if f.offset+len(f.payload) > 0xffff || f.more && len(f.payload)%8 != 0 {
		return Fragments4{}, ErrMalformed
	}
	return f, nil
}

// Next writes the next fragment to dst and returns its length: 0 when there are no
// more, or dst is shorter than the fragment (mtu octets are enough).
func (f *Fragments4) Next(dst []byte) int {
	if f.hlen == 0 {
		return 0
	}
	n, last := len(f.payload), true
	if f.hlen+n > f.mtu {
		n, last = (f.mtu-f.hlen)&^7, false
	}
	size := f.hlen + n
	if len(dst) < size {
		return 0
	}
	where := uint16(f.offset / 8)
	if !last || f.more {
		where |= flagMF
	}
	binary.BigEndian.PutUint16(f.header[2:], uint16(size))
	binary.BigEndian.PutUint16(f.header[6:], where)
	setHeaderChecksum(f.header[:f.hlen])
	copy(dst, f.header[:f.hlen])
	copy(dst[f.hlen:], f.payload[:n])
	f.payload, f.offset = f.payload[n:], f.offset+n
	if last {
		f.hlen = 0
	} else {
		f.dropOptions()
	}
	return size
}

// dropOptions leaves in the header only the options that every fragment carries
// (RFC 791, 3.1: the copied flag). What is not sound from some option on goes too.
func (f *Fragments4) dropOptions() {
	const end, nop, copied = 0, 1, 0x80
	options := f.header[ip4Len:f.hlen]
	kept := 0
	for i := 0; i < len(options) && options[i] != end; {
		size := 1
		if options[i] != nop {
			if i+1 >= len(options) || options[i+1] < 2 || i+int(options[i+1]) > len(options) {
				break
			}
			size = int(options[i+1])
		}
		if options[i]&copied != 0 {
			copy(options[kept:], options[i:i+size])
			kept += size
		}
		i += size
	}
	clear(options[kept:])
	f.hlen = ip4Len + (kept+3)&^3
	f.header[0] = 4<<4 | uint8(f.hlen/4)
}
