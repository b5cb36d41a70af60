package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// familyOf is the family of an address, familyNone of an invalid one.
func familyOf(a netip.Addr) uint16 {
	switch {
	case a.Is4():
		return familyIPv4
	case a.IsValid():
		return familyIPv6
	}
	return familyNone
}

var errFamilies = errors.New("addresses of IPv4 and of IPv6")

// oneFamily is the family of the addresses that are valid and of family, unless that
// is familyNone.
func oneFamily(family uint16, addrs ...netip.Addr) (uint16, error) {
	if family != familyNone && family != familyIPv4 && family != familyIPv6 {
		return 0, fmt.Errorf("address family %d", family)
	}
	for _, a := range addrs {
		f := familyOf(a)
		switch {
		case a.Is4In6():
			return 0, fmt.Errorf("the address %s is IPv4 in IPv6", a)
		case f == familyNone || f == family:
		case family == familyNone:
			family = f
		default:
			return 0, errFamilies
		}
	}
	return family, nil
}

// putAddr writes into zero octets.
func putAddr(p []byte, a netip.Addr) {
	switch familyOf(a) {
	case familyIPv4:
		a4 := a.As4()
		copy(p, a4[:])
	case familyIPv6:
		a16 := a.As16()
		copy(p, a16[:])
	}
}

func getAddr(p []byte, family uint16) netip.Addr {
	switch family {
	case familyIPv4:
		return netip.AddrFrom4([4]byte(p))
	case familyIPv6:
		return netip.AddrFrom16([16]byte(p))
	}
	return netip.Addr{}
}

func putID(p []byte, id *ID) {
	putAddr(p, id.Dst)
	binary.BigEndian.PutUint32(p[16:], id.SPI)
	p[20] = id.Proto
}

func getID(p []byte, family uint16) ID {
	return ID{Dst: getAddr(p, family), SPI: binary.BigEndian.Uint32(p[16:]), Proto: p[20]}
}

// putStateID writes a struct xfrm_usersa_id.
func putStateID(p []byte, id *ID) {
	putAddr(p, id.Dst)
	binary.BigEndian.PutUint32(p[16:], id.SPI)
	native.PutUint16(p[20:], familyOf(id.Dst))
	p[22] = id.Proto
}

func getStateID(p []byte) (ID, error) {
	family := native.Uint16(p[20:])
	if family != familyIPv4 && family != familyIPv6 {
		return ID{}, fmt.Errorf("address family %d", family)
	}
	return ID{Dst: getAddr(p, family), SPI: binary.BigEndian.Uint32(p[16:]), Proto: p[22]}, nil
}

func putMark(p []byte, m *Mark) {
	native.PutUint32(p, m.Value)
	native.PutUint32(p[4:], m.Mask)
}

func getMark(p []byte) *Mark { return &Mark{Value: native.Uint32(p), Mask: native.Uint32(p[4:])} }

func putOffload(p []byte, o *OffloadDev) {
	native.PutUint32(p, uint32(o.IfIndex))
	p[4] = uint8(o.Flags)
}

func getOffload(p []byte) *OffloadDev {
	return &OffloadDev{IfIndex: int32(native.Uint32(p)), Flags: OffloadFlags(p[4])}
}

func putLimits(p []byte, l *Limits) {
	for i, v := range [...]uint64{l.SoftBytes, l.HardBytes, l.SoftPackets, l.HardPackets, l.SoftAdd, l.HardAdd, l.SoftUse, l.HardUse} {
		native.PutUint64(p[8*i:], v)
	}
}

func getLimits(p []byte) (l Limits) {
	for i, v := range [...]*uint64{&l.SoftBytes, &l.HardBytes, &l.SoftPackets, &l.HardPackets, &l.SoftAdd, &l.HardAdd, &l.SoftUse, &l.HardUse} {
		*v = native.Uint64(p[8*i:])
	}
	return l
}

func getUsed(p []byte) Used {
	return Used{native.Uint64(p), native.Uint64(p[8:]), native.Uint64(p[16:]), native.Uint64(p[24:])}
}

func getStats(p []byte) Stats {
	return Stats{native.Uint32(p), native.Uint32(p[4:]), native.Uint32(p[8:])}
}
