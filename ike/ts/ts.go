// Package ts is the algebra of traffic selectors (RFC 7296, 2.9 and 3.13.1):
// narrowing, containment, and their form as policies of a data plane.
package ts

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/wire"
)

// MaxSelectors bounds how many selectors a narrowed list has: as many as a TS
// payload can count.
const MaxSelectors = 255

// Host is the selector of everything to or from one address.
func Host(a netip.Addr) wire.Selector {
	return wire.Selector{EndPort: 65535, Start: a, End: a}
}

// FromConf returns configured selectors; an empty list stands for the host self.
func FromConf(cs []conf.Selector, self netip.Addr) []wire.Selector {
	if len(cs) == 0 {
		return []wire.Selector{Host(self)}
	}
	out := make([]wire.Selector, 0, len(cs))
	for _, c := range cs {
		if c.Dynamic() {
			c.First, c.Last = self, self
		}
		out = append(out, wire.Selector{
			Proto: c.Proto, StartPort: c.PortFirst, EndPort: c.PortLast, Start: c.First, End: c.Last,
		})
	}
	return out
}

// Intersect returns what a and b have in common; ok is false when that is nothing.
func Intersect(a, b wire.Selector) (s wire.Selector, ok bool) {
	if a.Start.Is4() != b.Start.Is4() {
		return s, false
	}
	s = a
	switch {
	case a.Proto == 0:
		s.Proto = b.Proto
	case b.Proto != 0 && a.Proto != b.Proto:
		return s, false
	}
	if s.Start.Less(b.Start) {
		s.Start = b.Start
	}
	if b.End.Less(s.End) {
		s.End = b.End
	}
	if opaque(a) || opaque(b) {
		// OPAQUE covers packets whose ports cannot be seen: only OPAQUE or ANY match it.
		if !seesNoPorts(a) || !seesNoPorts(b) {
			return s, false
		}
		s.StartPort, s.EndPort = 65535, 0
		return s, !s.End.Less(s.Start)
	}
	s.StartPort, s.EndPort = max(a.StartPort, b.StartPort), min(a.EndPort, b.EndPort)
	return s, s.StartPort <= s.EndPort && !s.End.Less(s.Start)
}

// seesNoPorts tells whether packets whose ports cannot be seen may match.
func seesNoPorts(s wire.Selector) bool { return opaque(s) || anyPort(s) }

func opaque(s wire.Selector) bool  { return s.StartPort == 65535 && s.EndPort == 0 }
func anyPort(s wire.Selector) bool { return s.StartPort == 0 && s.EndPort == 65535 }

// Contains tells whether every packet that b selects is selected by a.
func Contains(a, b wire.Selector) bool {
	s, ok := Intersect(a, b)
	return ok && s == b
}

// Narrow returns the part of the offered selectors that the configured ones
// allow, in the order of the offer, without selectors that others contain.
// An empty result means TS_UNACCEPTABLE.
func Narrow(offered, configured []wire.Selector) []wire.Selector {
	var out []wire.Selector
	for _, o := range offered {
		for _, c := range configured {
			if s, ok := Intersect(o, c); ok {
				out = add(out, s)
			}
			if len(out) >= MaxSelectors {
				return out
			}
		}
	}
	return out
}

// add appends s unless out covers it, and drops what s covers.
func add(out []wire.Selector, s wire.Selector) []wire.Selector {
	kept := out[:0]
	for _, have := range out {
		if Contains(have, s) {
			return out
		}
	}
	for _, have := range out {
		if !Contains(s, have) {
			kept = append(kept, have)
		}
	}
	return append(kept, s)
}

// Within tells whether every selector of list is contained in one of outer.
func Within(list, outer []wire.Selector) bool {
	for _, s := range list {
		if !containedInAny(s, outer) {
			return false
		}
	}
	return true
}

func containedInAny(s wire.Selector, outer []wire.Selector) bool {
	for _, o := range outer {
		if Contains(o, s) {
			return true
		}
	}
	return false
}

// String writes selectors as strongSwan does: "10.1.0.0/16 10.2.0.1/32[tcp/443]".
func String(list []wire.Selector) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = Word(s)
	}
	return strings.Join(words, " ")
}

// Word writes one selector: CIDR or range, with protocol and ports behind it
// where they are limited.
func Word(s wire.Selector) string {
	addr := fmt.Sprintf("%s..%s", s.Start, s.End)
	if ps := Prefixes(s.Start, s.End); len(ps) == 1 {
		addr = ps[0].String()
	}
	if s.Proto == 0 && anyPort(s) {
		return addr
	}
	return addr + "[" + protoWord(s.Proto) + portWord(s) + "]"
}

func protoWord(p uint8) string {
	switch p {
	case 0:
		return "0"
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "ipv6-icmp"
	}
	return fmt.Sprint(p)
}

func portWord(s wire.Selector) string {
	switch {
	case anyPort(s):
		return ""
	case opaque(s):
		return "/OPAQUE"
	case s.Proto == 1 || s.Proto == 58:
		return icmpWord(s)
	case s.StartPort == s.EndPort:
		return fmt.Sprintf("/%d", s.StartPort)
	}
	return fmt.Sprintf("/%d-%d", s.StartPort, s.EndPort)
}

// icmpWord writes type and code, which the ports of ICMP selectors hold.
func icmpWord(s wire.Selector) string {
	first, last := s.StartPort>>8, s.EndPort>>8
	switch {
	case s.StartPort == s.EndPort:
		return fmt.Sprintf("/%d(%d)", first, s.StartPort&0xff)
	case first == last && s.StartPort&0xff == 0 && s.EndPort&0xff == 0xff:
		return fmt.Sprintf("/%d", first)
	}
	return fmt.Sprintf("/%d(%d)-%d(%d)", first, s.StartPort&0xff, last, s.EndPort&0xff)
}
