package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// AllowedNetwork says how networks are written.
const AllowedNetwork = `"10.1.0.0/16", "10.1.0.1-10.1.0.9", "10.1.0.1", each with or without "[tcp/443]", "[udp/1024-2047]", "[icmp/8]" behind it`

// ParseSelector reads a network: CIDR, a range, or one address, with "[protocol]"
// or "[protocol/ports]" behind it. A protocol is a name, a number, or "any"; ports
// are a name, a number, a range, "any", or "opaque" (packets whose ports cannot be
// seen: RFC 7296, 3.13.1). For ICMP they are a type ("8"), a range of types, or a
// type with its code ("3(4)").
func ParseSelector(s string) (Selector, error) {
	sel := Selector{PortLast: 65535}
	addrs, suffix, has := strings.Cut(s, "[")
	var err error
	if sel.First, sel.Last, err = parseAddrs(strings.TrimSpace(addrs)); err != nil || !has {
		return sel, err
	}
	inside, ok := strings.CutSuffix(suffix, "]")
	if !ok {
		return sel, errors.New("has a [ that no ] at its end closes")
	}
	proto, ports, has := strings.Cut(inside, "/")
	if sel.Proto, err = parseProto(proto); err != nil {
		return sel, err
	}
	if has {
		sel.PortFirst, sel.PortLast, err = parsePorts(sel.Proto, ports)
	}
	return sel, err
}

func parseAddrs(s string) (first, last netip.Addr, err error) {
	if strings.Contains(s, "/") {
		p, err := parsePrefix(s)
		if err != nil {
			return first, last, err
		}
		return p.Addr(), lastOf(p), nil
	}
	from, to, ranged := strings.Cut(s, "-")
	if first, err = parseAddr(strings.TrimSpace(from)); err != nil {
		return first, last, fmt.Errorf("is no network: it %w", err)
	}
	if !ranged {
		return first, first, nil
	}
	last, err = parseAddr(strings.TrimSpace(to))
	switch {
	case err != nil:
		return first, last, fmt.Errorf("is no range of addresses: its end %w", err)
	case first.Is4() != last.Is4():
		return first, last, errors.New("is a range from one address family to the other")
	case last.Less(first):
		return first, last, errors.New("is a range that ends before it begins")
	}
	return first, last, nil
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func parseProto(word string) (uint8, error) {
	word = strings.ToLower(strings.TrimSpace(word))
	if IsAny(word) {
		return 0, nil
	}
	if n, err := strconv.ParseUint(word, 10, 8); err == nil {
		return uint8(n), nil
	}
	if p, ok := protocols[word]; ok {
		return p, nil
	}
	return 0, fmt.Errorf("has an unknown protocol; it is a number to 255, any, or %s", protocolNames())
}

func parsePorts(proto uint8, word string) (first, last uint16, err error) {
	word = strings.ToLower(strings.TrimSpace(word))
	switch {
	case IsAny(word):
		return 0, 65535, nil
	case word == "opaque":
		return 65535, 0, nil
	case proto == 0:
		return 0, 0, errors.New("has ports without a protocol: write [tcp/...] or [udp/...]")
	case isICMP(proto):
		return parseICMP(word)
	}
	// A name may hold a hyphen.
	if first, err = parsePort(word); err == nil {
		return first, first, nil
	}
	from, to, ranged := strings.Cut(word, "-")
	if !ranged {
		return 0, 0, err
	}
	first, err = parsePort(from)
	if err == nil {
		last, err = parsePort(to)
	}
	if err == nil && last < first {
		err = errors.New("has a range of ports that ends before it begins")
	}
	return first, last, err
}

func parsePort(word string) (uint16, error) {
	word = strings.TrimSpace(word)
	if n, err := strconv.ParseUint(word, 10, 16); err == nil {
		return uint16(n), nil
	}
	if p, ok := services[word]; ok {
		return p, nil
	}
	return 0, errors.New("has a bad port; it is a number to 65535, a range of them, any, opaque, or a name such as https")
}

// parseICMP reads types and codes: RFC 4301, 4.4.1.1 puts the type in the upper
// and the code in the lower octet of a port.
func parseICMP(word string) (first, last uint16, err error) {
	if typ, code, ok := strings.Cut(strings.TrimSuffix(word, ")"), "("); ok && strings.HasSuffix(word, ")") {
		t, err1 := strconv.ParseUint(typ, 10, 8)
		c, err2 := strconv.ParseUint(code, 10, 8)
		if err1 != nil || err2 != nil {
			return 0, 0, errICMP
		}
		return uint16(t<<8 | c), uint16(t<<8 | c), nil
	}
	from, to, ranged := strings.Cut(word, "-")
	if !ranged {
		to = from
	}
	a, err1 := strconv.ParseUint(from, 10, 8)
	b, err2 := strconv.ParseUint(to, 10, 8)
	if err1 != nil || err2 != nil {
		return 0, 0, errICMP
	}
	if b < a {
		return 0, 0, errors.New("has a range of ICMP types that ends before it begins")
	}
	return uint16(a << 8), uint16(b<<8 | 0xff), nil
}

var errICMP = errors.New("has a bad ICMP type; it is a number to 255, a range of them, or a type and its code as in 3(4)")

// String writes the selector as ParseSelector reads it.
func (s Selector) String() string {
	text := addrsText(s.First, s.Last)
	anyPort := s.PortFirst == 0 && s.PortLast == 65535
	if s.Proto == 0 && anyPort {
		return text
	}
	proto := strconv.Itoa(int(s.Proto))
	if s.Proto == 0 {
		proto = "any"
	} else if name, ok := protocolName(s.Proto); ok {
		proto = name
	}
	if anyPort {
		return text + "[" + proto + "]"
	}
	return text + "[" + proto + "/" + s.portsText() + "]"
}

func addrsText(first, last netip.Addr) string {
	if !first.IsValid() {
		return "dynamic"
	}
	if first == last {
		return first.String()
	}
	for bits := range first.BitLen() {
		if p, err := first.Prefix(bits); err == nil && p.Addr() == first && lastOf(p) == last {
			return p.String()
		}
	}
	return first.String() + "-" + last.String()
}

func (s Selector) portsText() string {
	first, last := int(s.PortFirst), int(s.PortLast)
	switch {
	case first == 65535 && last == 0:
		return "opaque"
	case isICMP(s.Proto) && first == last:
		return fmt.Sprintf("%d(%d)", first>>8, first&0xff)
	case isICMP(s.Proto):
		first, last = first>>8, last>>8
	}
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// Dynamic tells whether the selector stands for the address in use.
func (s Selector) Dynamic() bool { return !s.First.IsValid() }

// Dynamic tells whether a list of selectors depends on the address in use.
func Dynamic(list []Selector) bool {
	return len(list) == 0 || slices.ContainsFunc(list, Selector.Dynamic)
}

// Single tells whether the selector holds exactly one address.
func (s Selector) Single() bool { return s.First == s.Last }
