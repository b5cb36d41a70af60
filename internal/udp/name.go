package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fits tells whether a socket of a family can send from and to these addresses.
func fits(p *Packet, v6 bool) bool {
	from, to := p.Local.Addr(), p.Remote.Addr()
	return to.IsValid() && isV6(to) == v6 && (!from.IsValid() || isV6(from) == v6)
}

// putName writes a socket address and returns its length.
func putName(name *unix.RawSockaddrInet6, to netip.Addr, port uint16, v6 bool) uint32 {
	if !v6 {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Unmap().As4()}
		putPort(&sa.Port, port)
		return unix.SizeofSockaddrInet4
	}
	*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.As16(), Scope_id: scope(to)}
	putPort(&name.Port, port)
	return unix.SizeofSockaddrInet6
}

// getName reads the source address of a received packet.
func getName(name *unix.RawSockaddrInet6, v6 bool) netip.AddrPort {
	if !v6 {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), getPort(&sa.Port))
	}
	a := netip.AddrFrom16(name.Addr)
	if name.Scope_id != 0 {
		a = withScope(a, int(name.Scope_id))
	}
	return netip.AddrPortFrom(a, getPort(&name.Port))
}

// getPort and putPort convert from and to the order of the network.
func getPort(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}

func putPort(p *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], port)
}

func isLinkLocal(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// withScope is an address with the index of its interface as zone.
func withScope(a netip.Addr, index int) netip.Addr { return a.WithZone(strconv.Itoa(index)) }

// scope is the index of the interface in the zone of an address, 0 if it has none.
func scope(a netip.Addr) uint32 {
	zone := a.Zone()
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(iface.Index)
}
