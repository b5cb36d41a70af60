package esp

import "encoding/binary"

const (
	ecnMask = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ce      = 3
	reject  = 0xff
)

// outerTOS is the TOS octet of the outer header: ECN is copied (RFC 6040, 4.1,
// normal mode), DSCP where wanted.
func outerTOS(inner uint8, copyDSCP bool) uint8 {
	if copyDSCP {
		return inner
	}
	return inner & ecnMask
}

// decapsulated says which ECN field leaves the tunnel, by the arriving inner and
// outer one (RFC 6040, 4.2, figure 4).
var decapsulated = [4][4]uint8{
	notECT: {notECT: notECT, ect1: notECT, ect0: notECT, ce: reject},
	ect1:   {notECT: ect1, ect1: ect1, ect0: ect1, ce: ce},
	ect0:   {notECT: ect0, ect1: ect1, ect0: ect0, ce: ce},
	ce:     {notECT: ce, ect1: ce, ect0: ce, ce: ce},
}

// combineECN sets the ECN field of the inner packet from its own and the outer
// one, and keeps the IPv4 header checksum right or wrong as it was.
func combineECN(inner []byte, h ipHeader, outer uint8) error {
	was := h.trafficClass(inner)
	ecn := decapsulated[was&ecnMask][outer&ecnMask]
	if ecn == reject {
		return ErrDrop
	}
	if ecn == was&ecnMask {
		return nil
	}
	if h.v6 {
		inner[1] = inner[1]&^(ecnMask<<4) | ecn<<4
		return nil
	}
	before := binary.BigEndian.Uint16(inner)
	inner[1] = was&^ecnMask | ecn
	after := binary.BigEndian.Uint16(inner)
	sum := binary.BigEndian.Uint16(inner[10:])
	binary.BigEndian.PutUint16(inner[10:], updated(sum, before, after))
	return nil
}
