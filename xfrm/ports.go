//go:build linux

package xfrm

import (
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// maxParts bounds the policies of the kernel that one selector may need.
const maxParts = 64

// IP protocols with types and codes instead of ports.
const (
	protoICMP   = 1
	protoICMPv6 = 58
)

func isICMP(proto uint8) bool { return proto == protoICMP || proto == protoICMPv6 }

// parts are the kernel's selectors for sel. The kernel has a port and the bits of it
// that count, so a range may need several.
func parts(sel esp.Selector) ([]message.Selector, error) {
	sel, err := normal(sel)
	if err != nil {
		return nil, err
	}
	base := message.Selector{Src: sel.Src, Dst: sel.Dst, Proto: sel.Proto}
	if isICMP(sel.Proto) {
		return icmpParts(base, sel)
	}
	src, dst := masks(sel.SrcPorts), masks(sel.DstPorts)
	if n := len(src) * len(dst); n > maxParts {
		return nil, fmt.Errorf("its ports %s and %s need %d policies of the kernel, of at most %d: ranges like 1024-2047, that a mask can say, need one",
			portsText(sel.SrcPorts), portsText(sel.DstPorts), n, maxParts)
	}
	out := make([]message.Selector, 0, len(src)*len(dst))
	for _, s := range src {
		for _, d := range dst {
			base.SrcPorts, base.DstPorts = s, d
			out = append(out, base)
		}
	}
	return out, nil
}

// icmpParts turns type<<8|code into what the kernel has: the type where other
// protocols have their source port, the code where they have their destination port.
// Both ranges speak of the same number, so it has to be in both.
func icmpParts(base message.Selector, sel esp.Selector) ([]message.Selector, error) {
	r := esp.PortRange{
		First: max(sel.SrcPorts.First, sel.DstPorts.First), Last: min(sel.SrcPorts.Last, sel.DstPorts.Last),
	}
	if r.First > r.Last {
		return nil, fmt.Errorf("no ICMP message is of its types %s and %s", portsText(sel.SrcPorts), portsText(sel.DstPorts))
	}
	var out []message.Selector
	for _, m := range masks(r) {
		base.SrcPorts = message.Ports{Port: m.Port >> 8, Mask: widened(m.Mask >> 8)}
		base.DstPorts = message.Ports{Port: m.Port & 0xff, Mask: widened(m.Mask & 0xff)}
		out = append(out, base)
	}
	return out, nil
}

// widened is the mask of a type or code in the 16 bits of a port: those above are zero
// in every packet, and only when they count is it clear what is meant.
func widened(mask uint16) uint16 {
	if mask == 0 {
		return 0
	}
	return mask | 0xff00
}

// masks splits a range into the fewest ports with a mask.
func masks(r esp.PortRange) []message.Ports {
	var out []message.Ports
	for at, end := uint32(r.First), uint32(r.Last); at <= end; {
		size := uint32(1) << min(bits.TrailingZeros32(at), 16)
		for at+size-1 > end {
			size /= 2
		}
		out = append(out, message.Ports{Port: uint16(at), Mask: uint16(0xffff &^ (size - 1))})
		at += size
	}
	return out
}

// rangeOf is the range that a port with a mask, as masks makes them, stands for.
func rangeOf(p message.Ports) esp.PortRange {
	return esp.PortRange{First: p.Port & p.Mask, Last: p.Port | ^p.Mask}
}

func portsText(r esp.PortRange) string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// normal makes selectors of the same meaning equal.
func normal(s esp.Selector) (esp.Selector, error) {
	s.Src, s.Dst = unmapped(s.Src), unmapped(s.Dst)
	if !s.Src.IsValid() || !s.Dst.IsValid() || s.Src.Addr().Is4() != s.Dst.Addr().Is4() ||
		s.SrcPorts.First > s.SrcPorts.Last || s.DstPorts.First > s.DstPorts.Last {
		return s, fmt.Errorf("its selector is none")
	}
	return s, nil
}

func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}
