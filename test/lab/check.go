//go:build linux

package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Kind is what a frame on the outer link is.
type Kind uint8

// The kinds of frame.
const (
	KindBad Kind = iota
	KindESP
	KindUDPESP
	KindIKE
	KindAlive
	KindOther
)

// Checker tells what a frame is, and whether it may be on the outer link.
type Checker struct {
	// Inner are the networks whose addresses must not be seen there.
	Inner []netip.Prefix
}

// Frame judges an Ethernet frame. The offence describes one of KindBad.
func (c Checker) Frame(data []byte) (k Kind, offence string) {
	p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	if p.Layer(layers.LayerTypeARP) != nil {
		return KindOther, ""
	}
	src, dst, proto, payload, ok := network(p)
	if !ok {
		return KindBad, fmt.Sprintf("no IP: % x", data[:min(len(data), 34)])
	}
	for _, n := range c.Inner {
		if n.Contains(src) || n.Contains(dst) {
			return KindBad, fmt.Sprintf("inner address in the clear: %s > %s, protocol %s", src, dst, proto)
		}
	}
	if c.carriesInner(payload) {
		return KindBad, fmt.Sprintf("inner packet readable in %s > %s, protocol %s", src, dst, proto)
	}
	if k = kind(proto, p); k == KindBad {
		return k, fmt.Sprintf("%s > %s, protocol %s", src, dst, proto)
	}
	return k, ""
}

// network returns what the outermost IP header says.
func network(p gopacket.Packet) (src, dst netip.Addr, proto layers.IPProtocol, payload []byte, ok bool) {
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		return src.Unmap(), dst.Unmap(), ip.Protocol, ip.Payload, true
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		proto, payload = upper(ip)
		return src, dst, proto, payload, true
	}
	return
}

// upper skips the extension headers that are seen here: hop-by-hop (of MLD),
// which the decoder has taken off already, and fragment.
func upper(ip *layers.IPv6) (layers.IPProtocol, []byte) {
	proto, b := ip.NextHeader, ip.Payload
	if ip.HopByHop != nil {
		proto = ip.HopByHop.NextHeader
	}
	if proto == layers.IPProtocolIPv6Fragment && len(b) >= 8 {
		proto, b = layers.IPProtocol(b[0]), b[8:]
	}
	return proto, b
}

// kind tells what a packet is by its protocol and ports.
func kind(proto layers.IPProtocol, p gopacket.Packet) Kind {
	switch proto {
	case layers.IPProtocolESP:
		return KindESP
	case layers.IPProtocolICMPv4, layers.IPProtocolICMPv6:
		return icmp(p)
	case layers.IPProtocolUDP:
	default:
		return KindBad
	}
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok { // a later fragment: ports are in the first, which is judged
		return KindIKE
	}
	return udpKind(udp)
}

func udpKind(udp *layers.UDP) Kind {
	switch {
	case udp.DstPort == 500 || udp.SrcPort == 500:
		return KindIKE
	case udp.DstPort != 4500 && udp.SrcPort != 4500:
		return KindBad
	case len(udp.Payload) == 1 && udp.Payload[0] == 0xff:
		return KindAlive
	case len(udp.Payload) < 8:
		return KindBad
	case binary.BigEndian.Uint32(udp.Payload) == 0:
		return KindIKE
	}
	return KindUDPESP
}

// icmp lets errors and neighbour discovery pass, not echo: a ping through the
// tunnel must not be seen.
func icmp(p gopacket.Packet) Kind {
	if v4, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		switch v4.TypeCode.Type() {
		case layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4TypeTimeExceeded:
			return KindOther
		}
		return KindBad
	}
	if v6, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		switch v6.TypeCode.Type() {
		case layers.ICMPv6TypeEchoRequest, layers.ICMPv6TypeEchoReply:
			return KindBad
		}
		return KindOther
	}
	return KindBad
}

// carriesInner looks for the header of an inner packet in what should be
// encrypted (NULL encryption, or no encryption at all). It looks only where a
// tunnelled header can begin, and wants version, length and both addresses to
// fit: chance makes that of 1 in 2^40 packets.
func (c Checker) carriesInner(b []byte) bool {
	for off := 0; off+40 <= len(b) && off <= 32; off += 4 {
		switch b[off] >> 4 {
		case 4:
			if b[off]&0xf == 5 && c.pair(b[off+12:off+16], b[off+16:off+20]) {
				return true
			}
		case 6:
			if c.pair(b[off+8:off+24], b[off+24:off+40]) {
				return true
			}
		}
	}
	return false
}

func (c Checker) pair(src, dst []byte) bool {
	if bytes.Equal(src, dst) {
		return false
	}
	return c.inner(src) && c.inner(dst)
}

func (c Checker) inner(b []byte) bool {
	a, ok := netip.AddrFromSlice(b)
	for _, n := range c.Inner {
		if ok && n.Contains(a) {
			return true
		}
	}
	return false
}
