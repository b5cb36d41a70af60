package message

import (
	"fmt"
	"slices"
)

// The Append functions append the body of a message to b and return the longer b. With
// an error they have written nothing.

// AppendState appends the body of NewSA, UpdSA. It has the keys of the SA: b is grown
// once at most, so that no other copy of them is made.
func AppendState(b []byte, s *State) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("SA: %w", err)
	}
	b, p := extend(slices.Grow(b, s.size()), sizeState)
	putState(p, s)
	return appendStateAttrs(b, s), nil
}

// AppendSAID appends the body of DelSA and GetSA. mark is that of the SA. An SA that
// has no SPI is not found by it.
func AppendSAID(b []byte, id ID, mark *Mark) ([]byte, error) {
	family, err := oneFamily(familyNone, id.Dst)
	if err == nil && family == familyNone {
		err = errNoAddress
	}
	if err != nil {
		return nil, fmt.Errorf("SA: %w", err)
	}
	b, p := extend(b, sizeStateID)
	putStateID(p, &id)
	return appendPlace(b, mark, 0, 0), nil
}

// AppendAllocSPI appends the body of AllocSPI: an SPI between first and last for an SA
// with the addresses, protocol, mode, request ID, sequence number of an acquire, mark,
// if_id and direction of s.
func AppendAllocSPI(b []byte, s *State, first, last uint32) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("SA: %w", err)
	}
	if first > last {
		return nil, fmt.Errorf("SPIs from %#x to %#x", first, last)
	}
	b, p := extend(b, sizeAllocSPI)
	putState(p, s)
	native.PutUint32(p[sizeState:], first)
	native.PutUint32(p[sizeState+4:], last)
	return appendPlace(b, s.Mark, s.IfID, s.Dir), nil
}

// AppendPolicy appends the body of NewPolicy and UpdPolicy.
func AppendPolicy(b []byte, p *Policy) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	b, v := extend(b, sizePolicy)
	putPolicy(v, p)
	return appendPolicyAttrs(b, p), nil
}

// AppendPolicyID appends the body of DelPolicy and GetPolicy.
func AppendPolicyID(b []byte, id *PolicyID) ([]byte, error) {
	if err := checkPolicySelector(&id.Sel); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	b, p := extend(b, sizePolicyID)
	putSelector(p, &id.Sel)
	p[60] = uint8(id.Dir)
	return appendPlace(b, id.Mark, id.IfID, 0), nil
}

// AppendDump appends the body of a dump (GetSA, GetPolicy with NLM_F_DUMP): proto
// limits one of SAs, 0: all.
func AppendDump(b []byte, t Type, proto uint8) []byte {
	if t != GetSA || proto == 0 {
		return b
	}
	return attributeUint8(b, attrProto, proto)
}
