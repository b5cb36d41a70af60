package ts

import (
	"errors"
	"math/bits"
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/wire"
)

// MaxPolicies bounds how many policies of one direction a child SA may need.
const MaxPolicies = 2048

// ErrTooMany is returned for selectors that need more than MaxPolicies policies.
var ErrTooMany = errors.New("traffic selectors need too many policies")

// Prefixes splits an inclusive range of addresses into the fewest prefixes.
func Prefixes(first, last netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for first.IsValid() && !last.Less(first) {
		p := largest(first, last)
		out = append(out, p)
		first = end(p).Next()
	}
	return out
}

// largest is the largest prefix that begins at first and does not pass last.
func largest(first, last netip.Addr) netip.Prefix {
	n := first.BitLen() - trailingZeros(first)
	for n < first.BitLen() && last.Less(end(netip.PrefixFrom(first, n))) {
		n++
	}
	return netip.PrefixFrom(first, n)
}

func trailingZeros(a netip.Addr) int {
	b := a.AsSlice()
	n := 0
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return n + bits.TrailingZeros8(b[i])
		}
		n += 8
	}
	return n
}

// end is the last address of a prefix.
func end(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Pairs returns the selectors of the outbound policies for traffic from local to
// remote: every pair of the same family whose protocols agree.
func Pairs(local, remote []wire.Selector) ([]esp.Selector, error) {
	var out []esp.Selector
	for _, l := range local {
		for _, r := range remote {
			proto, ok := commonProto(l.Proto, r.Proto)
			if !ok || l.Start.Is4() != r.Start.Is4() {
				continue
			}
			var err error
			if out, err = cross(out, l, r, proto); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func commonProto(a, b uint8) (uint8, bool) {
	if a == 0 || a == b {
		return b, true
	}
	return a, b == 0
}

func cross(out []esp.Selector, l, r wire.Selector, proto uint8) ([]esp.Selector, error) {
	remotes := Prefixes(r.Start, r.End)
	for _, lp := range Prefixes(l.Start, l.End) {
		for _, rp := range remotes {
			if len(out) >= MaxPolicies {
				return nil, ErrTooMany
			}
			out = append(out, esp.Selector{
				Src: lp, Dst: rp, Proto: proto, SrcPorts: ports(l), DstPorts: ports(r),
			})
		}
	}
	return out, nil
}

// ports is the port range of a selector. OPAQUE means packets without visible
// ports; a plane finds those only by a policy for any port.
func ports(s wire.Selector) esp.PortRange {
	if opaque(s) {
		return esp.AnyPort
	}
	return esp.PortRange{First: s.StartPort, Last: s.EndPort}
}

// Reverse is the selector of the opposite direction.
func Reverse(s esp.Selector) esp.Selector {
	s.Src, s.Dst = s.Dst, s.Src
	s.SrcPorts, s.DstPorts = s.DstPorts, s.SrcPorts
	return s
}

// FromPacket turns the selector of a packet into the two specific traffic
// selectors that go first in TSi and TSr (RFC 7296, 2.9).
func FromPacket(p esp.Selector) (local, remote wire.Selector) {
	mk := func(pre netip.Prefix, r esp.PortRange) wire.Selector {
		return wire.Selector{
			Proto: p.Proto, StartPort: r.First, EndPort: r.Last, Start: pre.Addr(), End: end(pre),
		}
	}
	return mk(p.Src, p.SrcPorts), mk(p.Dst, p.DstPorts)
}
