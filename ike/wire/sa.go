package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Lengths and marks of the substructures of an SA payload (RFC 7296, 3.3.1, 3.3.2).
const (
	proposalLen   = 8
	transformLen  = 8
	attributeLen  = 4
	lastSub       = 0
	moreProposals = 2
	moreTransform = 3
)

// Transform attributes (RFC 7296, 3.3.5).
const (
	attributeShort  = 0x8000 // the AF bit: a value of two octets stands in place of the length
	attributeKeyLen = 14
)

// Type implements Payload.
func (*SA) Type() PayloadType { return PayloadSA }

// Critical implements Payload.
func (*SA) Critical() bool { return false }

func parseSA(b []byte, l Limits) (Payload, error) {
	sa := &SA{}
	for more := true; more; {
		if len(sa.Proposals) == l.Proposals {
			return nil, syntaxError("SA payload: more than %d proposals", l.Proposals)
		}
		sub, rest, err := substructure(b, "proposal", proposalLen, moreProposals)
		if err != nil {
			return nil, err
		}
		p, err := parseProposal(sub, l)
		if err != nil {
			return nil, err
		}
		sa.Proposals = append(sa.Proposals, p)
		b, more = rest, len(rest) > 0
	}
	return sa, nil
}

// substructure takes the first proposal or transform off b. Its first octet is
// more when another follows, and lastSub when none does.
func substructure(b []byte, what string, least int, more byte) (sub, rest []byte, err error) {
	if len(b) < least {
		return nil, nil, syntaxError("SA payload: %s cut off after %d octets", what, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < least || n > len(b) {
		return nil, nil, syntaxError("SA payload: %s of length %d, %d octets are left", what, n, len(b))
	}
	want := byte(lastSub)
	if n < len(b) {
		want = more
	}
	if b[0] != want {
		return nil, nil, syntaxError("SA payload: a %s is marked %d in place of %d", what, b[0], want)
	}
	return b[:n:n], b[n:], nil
}

func parseProposal(b []byte, l Limits) (Proposal, error) {
	p := Proposal{Num: b[4], Protocol: Protocol(b[5])}
	spi, count := int(b[6]), int(b[7])
	if count > l.Transforms {
		return p, syntaxError("SA payload: more than %d transforms in a proposal", l.Transforms)
	}
	if spi > len(b)-proposalLen || !spiFits(p.Protocol, spi) {
		return p, syntaxError("SA payload: SPI of %d octets in a proposal for %s", spi, p.Protocol)
	}
	p.SPI = b[proposalLen : proposalLen+spi : proposalLen+spi]
	b = b[proposalLen+spi:]
	for len(b) > 0 {
		if len(p.Transforms) == count {
			return p, syntaxError("SA payload: more transforms in a proposal than the %d that it counts", count)
		}
		sub, rest, err := substructure(b, "transform", transformLen, moreTransform)
		if err != nil {
			return p, err
		}
		t, err := parseTransform(sub)
		if err != nil {
			return p, err
		}
		p.Transforms = append(p.Transforms, t)
		b = rest
	}
	if len(p.Transforms) < count {
		return p, syntaxError("SA payload: %d transforms in a proposal that counts %d", len(p.Transforms), count)
	}
	return p, nil
}

// spiFits tells whether a proposal for the protocol may have an SPI of that size
// (RFC 7296, 3.3.1). Nothing is known of other protocols.
func spiFits(p Protocol, size int) bool {
	switch p {
	case ProtocolIKE:
		return size == 0 || size == 8
	case ProtocolAH, ProtocolESP:
		return size == 4
	}
	return true
}

func parseTransform(b []byte) (Transform, error) {
	t := Transform{Type: TransformType(b[4]), ID: binary.BigEndian.Uint16(b[6:])}
	seen := false
	for b = b[transformLen:]; len(b) > 0; {
		if len(b) < attributeLen {
			return t, syntaxError("SA payload: attribute cut off after %d octets", len(b))
		}
		kind, value := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		n := attributeLen
		if kind&attributeShort == 0 {
			n += int(value)
		}
		if n > len(b) {
			return t, syntaxError("SA payload: attribute of %d octets, %d are left", n, len(b))
		}
		b = b[n:]
		if kind != attributeShort|attributeKeyLen || seen { // two lengths mean neither
			t.Unknown = true
			continue
		}
		t.KeyLen, seen = value, true
	}
	return t, nil
}

// AppendBody implements Payload. Attributes that made a transform Unknown are not
// kept.
func (sa *SA) AppendBody(b []byte) []byte {
	for i := range sa.Proposals {
		mark := byte(moreProposals)
		if i == len(sa.Proposals)-1 {
			mark = lastSub
		}
		b = sa.Proposals[i].append(b, mark)
	}
	return b
}

func (p *Proposal) append(b []byte, mark byte) []byte {
	start := len(b)
	b = append(b, mark, 0, 0, 0, p.Num, byte(p.Protocol), byte(len(p.SPI)), byte(len(p.Transforms)))
	b = append(b, p.SPI...)
	for i, t := range p.Transforms {
		mark := byte(moreTransform)
		if i == len(p.Transforms)-1 {
			mark = lastSub
		}
		b = t.append(b, mark)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

func (t Transform) append(b []byte, mark byte) []byte {
	n := byte(transformLen)
	if t.KeyLen != 0 {
		n += attributeLen
	}
	b = append(b, mark, 0, 0, n, byte(t.Type), 0)
	b = binary.BigEndian.AppendUint16(b, t.ID)
	if t.KeyLen == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint16(b, attributeShort|attributeKeyLen)
	return binary.BigEndian.AppendUint16(b, t.KeyLen)
}

func (sa *SA) encodable() error {
	if len(sa.Proposals) == 0 {
		return fmt.Errorf("no proposal")
	}
	for _, p := range sa.Proposals {
		if err := fits("octets of SPI", len(p.SPI), 255); err != nil {
			return err
		}
		if err := fits("transforms", len(p.Transforms), 255); err != nil {
			return err
		}
	}
	return nil
}

// Clone implements Payload.
func (sa *SA) Clone() Payload {
	c := &SA{Proposals: slices.Clone(sa.Proposals)}
	for i, p := range c.Proposals {
		c.Proposals[i].SPI = bytes.Clone(p.SPI)
		c.Proposals[i].Transforms = slices.Clone(p.Transforms)
	}
	return c
}
