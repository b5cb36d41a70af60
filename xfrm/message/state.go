package message

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errNoAddress = errors.New("neither address is given")

// check says whether the SA can be written.
func (s *State) check() error {
	family, err := oneFamily(familyNone, s.ID.Dst, s.Src, s.CoAddr)
	if err != nil {
		return err
	}
	if family == familyNone {
		return errNoAddress
	}
	if s.Encap != nil {
		if _, err = oneFamily(family, s.Encap.Original); err != nil {
			return err
		}
	}
	if _, err = s.Sel.family(); err != nil {
		return err
	}
	return errors.Join(s.checkReplay(), s.Encr.check(), s.Auth.check(), s.AEAD.check(), s.Comp.check())
}

// fixedAttrs is enough for all attributes of an SA but its algorithms and bitmap.
const fixedAttrs = 192

// size is at least that of the body with the SA.
func (s *State) size() int {
	return sizeState + fixedAttrs + 4*s.words() + s.Encr.size() + s.Auth.size() + s.AEAD.size() + s.Comp.size()
}

// putState writes a struct xfrm_usersa_info, without what is read only.
func putState(p []byte, s *State) {
	family, _ := oneFamily(familyNone, s.ID.Dst, s.Src)
	putSelector(p, &s.Sel)
	putID(p[56:], &s.ID)
	putAddr(p[80:], s.Src)
	putLimits(p[96:], &s.Limits)
	native.PutUint32(p[204:], s.Seq)
	native.PutUint32(p[208:], s.ReqID)
	native.PutUint16(p[212:], family)
	p[214] = uint8(s.Mode)
	if !s.extended() {
		p[215] = uint8(s.Window)
	}
	p[216] = uint8(s.Flags)
}

func getState(p []byte) (*State, error) {
	family := native.Uint16(p[212:])
	if family != familyIPv4 && family != familyIPv6 {
		return nil, fmt.Errorf("address family %d", family)
	}
	sel, err := getSelector(p)
	if err != nil {
		return nil, err
	}
	return &State{
		ID:     getID(p[56:], family),
		Src:    getAddr(p[80:], family),
		Sel:    sel,
		Limits: getLimits(p[96:]),
		Used:   getUsed(p[160:]),
		Stats:  getStats(p[192:]),
		Seq:    native.Uint32(p[204:]),
		ReqID:  native.Uint32(p[208:]),
		Mode:   Mode(p[214]),
		Window: uint32(p[215]),
		Flags:  Flags(p[216]),
	}, nil
}

// appendStateAttrs appends all attributes of an SA.
func appendStateAttrs(b []byte, s *State) []byte {
	b = appendAlgICV(b, attrAEAD, s.AEAD)
	b = appendAlgICV(b, attrAuthTrunc, s.Auth)
	b = appendAlg(b, attrCrypt, s.Encr)
	b = appendAlg(b, attrComp, s.Comp)
	b = appendEncap(b, s.Encap)
	b = appendReplay(b, s)
	if s.CoAddr.IsValid() {
		var p []byte
		b, p = attribute(b, attrCoAddr, sizeAddr)
		putAddr(p, s.CoAddr)
	}
	if s.SetMark != nil {
		b = attributeUint32(b, attrSetMark, s.SetMark.Value)
		b = attributeUint32(b, attrSetMarkMask, s.SetMark.Mask)
	}
	if s.ExtraFlags != 0 {
		b = attributeUint32(b, attrExtraFlags, uint32(s.ExtraFlags))
	}
	if s.TFCPad != 0 {
		b = attributeUint32(b, attrTFCPad, s.TFCPad)
	}
	return appendPlace(appendOffload(b, s.Offload), s.Mark, s.IfID, s.Dir)
}

// appendPlace appends what SAs are looked up with beside their addresses.
func appendPlace(b []byte, m *Mark, ifID uint32, dir SADir) []byte {
	if m != nil {
		var p []byte
		b, p = attribute(b, attrMark, sizeMark)
		putMark(p, m)
	}
	if ifID != 0 {
		b = attributeUint32(b, attrIfID, ifID)
	}
	if dir != 0 {
		b = attributeUint8(b, attrDir, uint8(dir))
	}
	return b
}

func appendOffload(b []byte, o *OffloadDev) []byte {
	if o == nil {
		return b
	}
	b, p := attribute(b, attrOffload, sizeOffload)
	putOffload(p, o)
	return b
}

func appendEncap(b []byte, e *Encap) []byte {
	if e == nil {
		return b
	}
	b, p := attribute(b, attrEncap, sizeEncap)
	native.PutUint16(p, encapESPInUDP)
	binary.BigEndian.PutUint16(p[2:], e.SrcPort)
	binary.BigEndian.PutUint16(p[4:], e.DstPort)
	putAddr(p[8:], e.Original)
	return b
}

// readEncap leaves encapsulation of other kinds than in UDP out.
func readEncap(s *State, p []byte) {
	if native.Uint16(p) != encapESPInUDP {
		return
	}
	s.Encap = &Encap{SrcPort: binary.BigEndian.Uint16(p[2:]), DstPort: binary.BigEndian.Uint16(p[4:])}
	if a := getAddr(p[8:], familyOf(s.ID.Dst)); !a.IsUnspecified() {
		s.Encap.Original = a
	}
}

// setMark is there when one of its two attributes is. The kernel takes all bits when
// no mask is given.
func (s *State) setMark(mask uint32) *Mark {
	if s.SetMark == nil {
		s.SetMark = &Mark{Mask: mask}
	}
	return s.SetMark
}

// readAlg makes a reader of an algorithm.
func readAlg(size int, get func([]byte) (*Alg, error), place func(*State) **Alg) reader[State] {
	return reader[State]{size, func(s *State, p []byte) error {
		a, err := get(p)
		if err != nil {
			return err
		}
		a.set(place(s))
		return nil
	}}
}

var stateReaders = map[uint16]reader[State]{
	attrCrypt:       readAlg(sizeAlg, getAlg, func(s *State) **Alg { return &s.Encr }),
	attrComp:        readAlg(sizeAlg, getAlg, func(s *State) **Alg { return &s.Comp }),
	attrAEAD:        readAlg(sizeAlgICV, getAlgICV, func(s *State) **Alg { return &s.AEAD }),
	attrAuthTrunc:   readAlg(sizeAlgICV, getAlgICV, func(s *State) **Alg { return &s.Auth }),
	attrReplayESN:   {sizeReplayESN, readReplayESN},
	attrEncap:       always(sizeEncap, readEncap),
	attrCoAddr:      always(sizeAddr, func(s *State, p []byte) { s.CoAddr = getAddr(p, familyOf(s.ID.Dst)) }),
	attrMark:        always(sizeMark, func(s *State, p []byte) { s.Mark = getMark(p) }),
	attrSetMark:     always(4, func(s *State, p []byte) { s.setMark(everyMarkBit).Value = native.Uint32(p) }),
	attrSetMarkMask: always(4, func(s *State, p []byte) { s.setMark(0).Mask = native.Uint32(p) }),
	attrExtraFlags:  always(4, func(s *State, p []byte) { s.ExtraFlags = ExtraFlags(native.Uint32(p)) }),
	attrTFCPad:      always(4, func(s *State, p []byte) { s.TFCPad = native.Uint32(p) }),
	attrIfID:        always(4, func(s *State, p []byte) { s.IfID = native.Uint32(p) }),
	attrDir:         always(1, func(s *State, p []byte) { s.Dir = SADir(p[0]) }),
	attrOffload:     always(sizeOffload, func(s *State, p []byte) { s.Offload = getOffload(p) }),
	attrLastUsed:    always(8, func(s *State, p []byte) { s.LastUsed = native.Uint64(p) }),
}

// Attributes that say less than others do of the same: these are read only when the
// others are not there.
var stateReadersOld = map[uint16]reader[State]{
	attrAuth:   readAlg(sizeAlg, getAlg, func(s *State) **Alg { return &s.Auth }),
	attrReplay: always(sizeReplay, readReplay),
}

// readState reads an SA and its attributes. Keys of what is not returned are
// overwritten.
func readState(info, attrs []byte) (*State, error) {
	s, err := getState(info)
	if err != nil {
		return nil, err
	}
	if err = readStateAttrs(s, attrs); err != nil {
		s.Zero()
		return nil, err
	}
	return s, nil
}

func readStateAttrs(s *State, attrs []byte) error {
	if err := readAll(attrs, s, stateReaders); err != nil {
		return err
	}
	old := State{ID: s.ID}
	if err := readAll(attrs, &old, stateReadersOld); err != nil {
		old.Zero()
		return err
	}
	if s.Auth == nil {
		s.Auth = old.Auth
	} else {
		old.Zero()
	}
	if s.Replay == nil {
		s.Replay = old.Replay
	}
	return nil
}
