package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Traffic selector types (RFC 7296, 3.13.1), and the length of what comes before
// the addresses.
const (
	tsIPv4      = 7
	tsIPv6      = 8
	selectorLen = 8
)

// Type implements Payload: PayloadTSi or PayloadTSr.
func (t *TS) Type() PayloadType {
	if t.Responder {
		return PayloadTSr
	}
	return PayloadTSi
}

// Critical implements Payload.
func (*TS) Critical() bool { return false }

func parseTSi(b []byte, l Limits) (Payload, error) { return parseTS(b, false, l) }
func parseTSr(b []byte, l Limits) (Payload, error) { return parseTS(b, true, l) }

// parseTS leaves out selectors of unknown types (RFC 7296, 2.9): what is left may
// be nothing.
func parseTS(b []byte, responder bool, l Limits) (Payload, error) {
	const fixed = 4
	t := &TS{Responder: responder}
	if len(b) < fixed {
		return nil, tooShort(t.Type(), b, fixed)
	}
	count := int(b[0])
	if count > l.Selectors {
		return nil, syntaxError("%s payload: more than %d selectors", t.Type(), l.Selectors)
	}
	b = b[fixed:]
	for range count {
		s, known, rest, err := cutSelector(b)
		if err != nil {
			return nil, syntaxError("%s payload: %s", t.Type(), err)
		}
		if known {
			t.Selectors = append(t.Selectors, s)
		}
		b = rest
	}
	if len(b) > 0 {
		return nil, syntaxError("%s payload: %d octets behind the last of %d selectors", t.Type(), len(b), count)
	}
	return t, nil
}

// cutSelector takes the first selector off b.
func cutSelector(b []byte) (s Selector, known bool, rest []byte, err error) {
	const least = 4 // type, protocol, length
	if len(b) < least {
		return s, false, nil, fmt.Errorf("selector cut off after %d octets", len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < least || n > len(b) {
		return s, false, nil, fmt.Errorf("selector of length %d, %d octets are left", n, len(b))
	}
	var addr int
	switch b[0] {
	case tsIPv4:
		addr = 4
	case tsIPv6:
		addr = 16
	default:
		return s, false, b[n:], nil
	}
	if n != selectorLen+2*addr {
		return s, false, nil, fmt.Errorf("selector of type %d has length %d", b[0], n)
	}
	s = Selector{Proto: b[1], StartPort: binary.BigEndian.Uint16(b[4:]), EndPort: binary.BigEndian.Uint16(b[6:])}
	s.Start, _ = netip.AddrFromSlice(b[selectorLen : selectorLen+addr])
	s.End, _ = netip.AddrFromSlice(b[selectorLen+addr : n])
	return s, true, b[n:], s.check()
}

// check tells what makes a selector meaningless.
func (s *Selector) check() error {
	opaque := s.StartPort == 65535 && s.EndPort == 0
	if s.StartPort > s.EndPort && !opaque {
		return fmt.Errorf("ports from %d to %d", s.StartPort, s.EndPort)
	}
	if !s.Start.IsValid() || s.Start.BitLen() != s.End.BitLen() || s.End.Less(s.Start) {
		return fmt.Errorf("addresses from %s to %s", s.Start, s.End)
	}
	return nil
}

// AppendBody implements Payload.
func (t *TS) AppendBody(b []byte) []byte {
	b = append(b, byte(len(t.Selectors)), 0, 0, 0)
	for _, s := range t.Selectors {
		b = s.append(b)
	}
	return b
}

func (s Selector) append(b []byte) []byte {
	kind := byte(tsIPv4)
	if s.Start.Is6() {
		kind = tsIPv6
	}
	n := selectorLen + 2*s.Start.BitLen()/8
	b = append(b, kind, s.Proto, 0, byte(n))
	b = binary.BigEndian.AppendUint16(b, s.StartPort)
	b = binary.BigEndian.AppendUint16(b, s.EndPort)
	b = append(b, s.Start.AsSlice()...)
	return append(b, s.End.AsSlice()...)
}

func (t *TS) encodable() error {
	for _, s := range t.Selectors {
		if err := s.check(); err != nil {
			return err
		}
	}
	return fits("selectors", len(t.Selectors), 255)
}

// Clone implements Payload.
func (t *TS) Clone() Payload {
	return &TS{Responder: t.Responder, Selectors: slices.Clone(t.Selectors)}
}
