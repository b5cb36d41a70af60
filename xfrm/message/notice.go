package message

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

func parseAcquire(b []byte) (*Acquire, error) {
	if err := atLeast(b, sizeAcquire); err != nil {
		return nil, err
	}
	sel, err := getSelector(b[40:])
	if err != nil {
		return nil, err
	}
	p, err := readPolicy(b[96:264], b[sizeAcquire:])
	if err != nil {
		return nil, err
	}
	family := wantedFamily(b, sel.Family, p.Templates)
	return &Acquire{
		ID:     getID(b, family),
		Src:    getAddr(b[24:], family),
		Packet: sel,
		Policy: *p,
		Seq:    native.Uint32(b[276:]),
	}, nil
}

// wantedFamily is the family of the wanted SA's addresses, which an acquire does not
// say: that of the template that it is for, which has its protocol and destination, or
// none. Without such a template it is that of the packet.
func wantedFamily(id []byte, packet uint16, ts []Template) uint16 {
	proto := id[20]
	for _, t := range ts {
		if t.Proto == proto && t.Dst.IsValid() && t.Dst == getAddr(id, t.Family) {
			return t.Family
		}
	}
	for _, t := range ts {
		if t.Proto == proto && t.Dst.IsUnspecified() {
			return t.Family
		}
	}
	return packet
}

func parseExpire(b []byte) (*Expire, error) {
	if err := atLeast(b, sizeExpire); err != nil {
		return nil, err
	}
	s, err := readState(b[:sizeState], b[sizeExpire:])
	if err != nil {
		return nil, err
	}
	return &Expire{State: *s, Hard: b[sizeState] != 0}, nil
}

func parseMapping(b []byte) (*Mapping, error) {
	if err := atLeast(b, sizeMapping); err != nil {
		return nil, err
	}
	id, err := getStateID(b)
	if err != nil {
		return nil, err
	}
	family := familyOf(id.Dst)
	return &Mapping{
		ID:    id,
		ReqID: native.Uint32(b[24:]),
		Old:   netip.AddrPortFrom(getAddr(b[28:], family), binary.BigEndian.Uint16(b[60:])),
		New:   netip.AddrPortFrom(getAddr(b[44:], family), binary.BigEndian.Uint16(b[62:])),
	}, nil
}

// parseDeletedState reads a notice of DelSA: the name of the SA, then what NewSA has,
// its structure as an attribute.
func parseDeletedState(b []byte) (*Deleted, error) {
	if err := atLeast(b, sizeStateID); err != nil {
		return nil, err
	}
	attrs := b[sizeStateID:]
	info, err := find(attrs, attrState, sizeState)
	if err != nil {
		return nil, err
	}
	if info != nil {
		s, err := readState(info, attrs)
		if err != nil {
			return nil, err
		}
		return &Deleted{State: s}, nil
	}
	id, err := getStateID(b)
	if err != nil {
		return nil, err
	}
	s := &State{ID: id}
	if err = readStateAttrs(s, attrs); err != nil {
		s.Zero()
		return nil, err
	}
	return &Deleted{State: s}, nil
}

// parseDeletedPolicy reads a notice of DelPolicy, which is made likewise.
func parseDeletedPolicy(b []byte) (*Deleted, error) {
	if err := atLeast(b, sizePolicyID); err != nil {
		return nil, err
	}
	attrs := b[sizePolicyID:]
	info, err := find(attrs, attrPolicy, sizePolicy)
	if err != nil {
		return nil, err
	}
	if info != nil {
		p, err := readPolicy(info, attrs)
		if err != nil {
			return nil, err
		}
		return &Deleted{Policy: p}, nil
	}
	sel, err := getSelector(b)
	if err != nil {
		return nil, err
	}
	p := &Policy{Sel: sel, Index: native.Uint32(b[56:]), Dir: Direction(b[60])}
	if err = readAll(attrs, p, policyReaders); err != nil {
		return nil, err
	}
	return &Deleted{Policy: p}, nil
}

// find returns the value of an attribute of at least size octets, nil without it.
func find(attrs []byte, want uint16, size int) (value []byte, err error) {
	err = walk(attrs, func(t uint16, v []byte) error {
		if t != want {
			return nil
		}
		value = v
		return atLeast(v, size)
	})
	return value, err
}

func parseFlushedStates(b []byte) (*Flushed, error) {
	if err := atLeast(b, sizeFlush); err != nil {
		return nil, err
	}
	return &Flushed{Proto: b[0]}, nil
}

func parseFlushedPolicies(b []byte) (*Flushed, error) {
	// The notice has the type of the policies at most, of which there is one.
	if err := walk(b, func(uint16, []byte) error { return nil }); err != nil {
		return nil, fmt.Errorf("flushed policies: %w", err)
	}
	return &Flushed{Policies: true}, nil
}
