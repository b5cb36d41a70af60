package message

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// family is that which the selector is written with.
func (s *Selector) family() (uint16, error) {
	f, err := oneFamily(s.Family, s.Src.Addr(), s.Dst.Addr())
	if err != nil {
		return 0, fmt.Errorf("selector: %w", err)
	}
	return f, nil
}

// putSelector writes a selector whose family is known to be good.
func putSelector(p []byte, s *Selector) {
	family, _ := s.family()
	putAddr(p, s.Dst.Addr())
	putAddr(p[16:], s.Src.Addr())
	putPorts(p[32:], s.DstPorts)
	putPorts(p[36:], s.SrcPorts)
	native.PutUint16(p[40:], family)
	p[42] = uint8(max(s.Dst.Bits(), 0))
	p[43] = uint8(max(s.Src.Bits(), 0))
	p[44] = s.Proto
	native.PutUint32(p[48:], uint32(s.IfIndex))
	native.PutUint32(p[52:], s.User)
}

func getSelector(p []byte) (Selector, error) {
	s := Selector{
		SrcPorts: getPorts(p[36:]),
		DstPorts: getPorts(p[32:]),
		Proto:    p[44],
		IfIndex:  int32(native.Uint32(p[48:])),
		User:     native.Uint32(p[52:]),
		Family:   native.Uint16(p[40:]),
	}
	var err error
	if s.Dst, err = getPrefix(p, s.Family, p[42]); err != nil {
		return Selector{}, err
	}
	s.Src, err = getPrefix(p[16:], s.Family, p[43])
	return s, err
}

// getPrefix keeps the bits beyond the length, as the kernel does.
func getPrefix(p []byte, family uint16, bits uint8) (netip.Prefix, error) {
	a := getAddr(p, family)
	if !a.IsValid() {
		return netip.Prefix{}, nil
	}
	if int(bits) > a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("selector: %s with a prefix of %d bits", a, bits)
	}
	return netip.PrefixFrom(a, int(bits)), nil
}

func putPorts(p []byte, v Ports) {
	if v.Mask == 0 {
		return
	}
	binary.BigEndian.PutUint16(p, v.Port)
	binary.BigEndian.PutUint16(p[2:], v.Mask)
}

func getPorts(p []byte) Ports {
	v := Ports{Port: binary.BigEndian.Uint16(p), Mask: binary.BigEndian.Uint16(p[2:])}
	if v.Mask == 0 {
		return Ports{}
	}
	return v
}
