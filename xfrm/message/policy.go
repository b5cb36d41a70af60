package message

import (
	"fmt"
)

// check says whether the policy can be written.
func (p *Policy) check() error {
	if err := checkPolicySelector(&p.Sel); err != nil {
		return err
	}
	if len(p.Templates) > maxTemplates {
		return fmt.Errorf("%d templates, at most %d are possible", len(p.Templates), maxTemplates)
	}
	for i := range p.Templates {
		t := &p.Templates[i]
		if _, err := oneFamily(t.Family, t.Src, t.Dst); err != nil {
			return fmt.Errorf("template %d: %w", i+1, err)
		}
	}
	return nil
}

// checkPolicySelector knows that policies are kept by family.
func checkPolicySelector(s *Selector) error {
	family, err := s.family()
	if err == nil && family == familyNone {
		return fmt.Errorf("selector: %w", errNoAddress)
	}
	return err
}

// putPolicy writes a struct xfrm_userpolicy_info, without what is read only.
func putPolicy(b []byte, p *Policy) {
	putSelector(b, &p.Sel)
	putLimits(b[56:], &p.Limits)
	native.PutUint32(b[152:], p.Priority)
	native.PutUint32(b[156:], p.Index)
	b[160], b[161], b[162] = uint8(p.Dir), uint8(p.Action), p.Flags
}

func getPolicy(b []byte) (*Policy, error) {
	sel, err := getSelector(b)
	if err != nil {
		return nil, err
	}
	return &Policy{
		Sel:      sel,
		Limits:   getLimits(b[56:]),
		Used:     getUsed(b[120:]),
		Priority: native.Uint32(b[152:]),
		Index:    native.Uint32(b[156:]),
		Dir:      Direction(b[160]),
		Action:   Action(b[161]),
		Flags:    b[162],
	}, nil
}

// appendPolicyAttrs appends all attributes of a policy.
func appendPolicyAttrs(b []byte, p *Policy) []byte {
	if len(p.Templates) > 0 {
		var v []byte
		b, v = attribute(b, attrTemplates, sizeTemplate*len(p.Templates))
		for i := range p.Templates {
			putTemplate(v[sizeTemplate*i:], &p.Templates[i])
		}
	}
	if p.Type != 0 {
		var v []byte
		b, v = attribute(b, attrPolicyType, sizePolicyType)
		v[0] = p.Type
	}
	return appendPlace(appendOffload(b, p.Offload), p.Mark, p.IfID, 0)
}

var policyReaders = map[uint16]reader[Policy]{
	attrTemplates:  {0, readTemplates},
	attrPolicyType: always(sizePolicyType, func(p *Policy, v []byte) { p.Type = v[0] }),
	attrMark:       always(sizeMark, func(p *Policy, v []byte) { p.Mark = getMark(v) }),
	attrIfID:       always(4, func(p *Policy, v []byte) { p.IfID = native.Uint32(v) }),
	attrOffload:    always(sizeOffload, func(p *Policy, v []byte) { p.Offload = getOffload(v) }),
}

// readPolicy reads a policy and its attributes.
func readPolicy(info, attrs []byte) (*Policy, error) {
	p, err := getPolicy(info)
	if err != nil {
		return nil, err
	}
	if err = readAll(attrs, p, policyReaders); err != nil {
		return nil, err
	}
	return p, nil
}

// putTemplate writes a struct xfrm_user_tmpl, which lets SAs have any algorithm: which
// one it is was agreed on by IKE.
func putTemplate(b []byte, t *Template) {
	family, _ := oneFamily(t.Family, t.Src, t.Dst)
	putID(b, &ID{Dst: t.Dst, SPI: t.SPI, Proto: t.Proto})
	native.PutUint16(b[24:], family)
	putAddr(b[28:], t.Src)
	native.PutUint32(b[44:], t.ReqID)
	b[48] = uint8(t.Mode)
	if t.Optional {
		b[50] = 1
	}
	for _, at := range []int{52, 56, 60} {
		native.PutUint32(b[at:], everyAlg)
	}
}

func getTemplate(b []byte) Template {
	family := native.Uint16(b[24:])
	id := getID(b, family)
	return Template{
		Src:      getAddr(b[28:], family),
		Dst:      id.Dst,
		SPI:      id.SPI,
		Proto:    id.Proto,
		Family:   family,
		ReqID:    native.Uint32(b[44:]),
		Mode:     Mode(b[48]),
		Optional: b[50] != 0,
	}
}

func readTemplates(p *Policy, v []byte) error {
	n := len(v) / sizeTemplate
	if len(v)%sizeTemplate != 0 || n > maxTemplates {
		return fmt.Errorf("templates of %d octets", len(v))
	}
	p.Templates = make([]Template, n)
	for i := range p.Templates {
		p.Templates[i] = getTemplate(v[sizeTemplate*i:])
	}
	return nil
}
