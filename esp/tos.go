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

// tosRules say what of the TOS octet goes over from one header to the other in tunnel
// mode (RFC 4301, 5.1.2.1; RFC 2983).
type tosRules struct {
	copyDSCP  bool // out
	decapDSCP bool // in
	noECN     bool
}

func tosRulesOf(sa *SA) tosRules {
	return tosRules{copyDSCP: sa.CopyDSCP, decapDSCP: sa.DecapDSCP, noECN: sa.NoECN}
}

// outer is the TOS octet of the outer header: ECN is copied (RFC 6040, 4.1, normal
// mode) unless it is kept out (compatibility mode), DSCP where wanted.
func (r tosRules) outer(inner uint8) uint8 {
	var copied uint8
	if r.copyDSCP {
		copied = ^uint8(ecnMask)
	}
	if !r.noECN {
		copied |= ecnMask
	}
	return inner & copied
}

// decapsulated says which ECN field leaves the tunnel, by the arriving inner and
// outer one (RFC 6040, 4.2, figure 4).
var decapsulated = [4][4]uint8{
	notECT: {notECT: notECT, ect1: notECT, ect0: notECT, ce: reject},
	ect1:   {notECT: ect1, ect1: ect1, ect0: ect1, ce: ce},
	ect0:   {notECT: ect0, ect1: ect1, ect0: ect0, ce: ce},
	ce:     {notECT: ce, ect1: ce, ect0: ce, ce: ce},
}

// decapsulate sets the TOS octet of the inner packet from its own and the outer
// one, and keeps the IPv4 header checksum right or wrong as it was. It returns ErrDrop
// for congestion marked on a packet that cannot carry the mark (RFC 6040, 4.2).
func (r tosRules) decapsulate(inner []byte, h ipHeader, outer uint8) error {
	was := h.trafficClass(inner)
	tos := was
	if !r.noECN {
		ecn := decapsulated[was&ecnMask][outer&ecnMask]
		if ecn == reject {
			return ErrDrop
		}
		tos = was&^ecnMask | ecn
	}
	if r.decapDSCP {
		tos = outer&^ecnMask | tos&ecnMask
	}
	if tos != was {
		h.setTrafficClass(inner, tos)
	}
	return nil
}

// setTrafficClass changes the TOS octet, and the checksum of an IPv4 header with it.
func (h ipHeader) setTrafficClass(pkt []byte, tos uint8) {
	if h.v6 {
		pkt[0], pkt[1] = 6<<4|tos>>4, tos<<4|pkt[1]&0xf
		return
	}
	before := binary.BigEndian.Uint16(pkt)
	pkt[1] = tos
	after := binary.BigEndian.Uint16(pkt)
	sum := binary.BigEndian.Uint16(pkt[10:])
	binary.BigEndian.PutUint16(pkt[10:], updated(sum, before, after))
}
