//go:build linux

package xfrm

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// policyTag marks policies as ours, those without template too: it is their soft limit
// of packets. The kernel keeps and shows the limits of policies in packets, but does
// nothing about them, so the number means nothing to it; and nobody else sets it. It
// spells "goike".
const policyTag = 0x67_6f69_6b65

// policyKey is what the kernel finds a policy with.
type policyKey struct {
	sel  message.Selector // as key makes it
	dir  message.Direction
	mark message.Mark
	ifID uint32
}

// keyOf is the key of a policy of the kernel.
func keyOf(sel message.Selector, dir message.Direction, mark *message.Mark, ifID uint32) policyKey {
	k := policyKey{sel: sel, dir: dir, ifID: ifID}
	k.sel.Family = 0
	k.sel.Src, k.sel.Dst = sel.Src.Masked(), sel.Dst.Masked()
	for _, p := range []*message.Ports{&k.sel.SrcPorts, &k.sel.DstPorts} {
		p.Port &= p.Mask
	}
	if mark != nil {
		k.mark = *mark
	}
	return k
}

func (k *policyKey) id() *message.PolicyID {
	return &message.PolicyID{Sel: k.sel, Dir: k.dir, Mark: k.kernelMark(), IfID: k.ifID}
}

func (k *policyKey) kernelMark() *message.Mark {
	if k.mark == (message.Mark{}) {
		return nil
	}
	return &message.Mark{Value: k.mark.Value, Mask: k.mark.Mask}
}

func kernelDirection(d esp.Direction) message.Direction {
	switch d {
	case esp.In:
		return message.In
	case esp.Forward:
		return message.Forward
	}
	return message.Out
}

func espDirection(d message.Direction) esp.Direction {
	switch d {
	case message.In:
		return esp.In
	case message.Forward:
		return esp.Forward
	}
	return esp.Out
}

// keysOf are the keys of the kernel's policies for a policy.
func keysOf(p *esp.Policy) ([]policyKey, error) {
	switch {
	case p.Dir > esp.Forward:
		return nil, fmt.Errorf("there is no direction %d", p.Dir)
	case p.Action > esp.Discard:
		return nil, fmt.Errorf("there is no action %d", p.Action)
	case p.Action == esp.Protect && p.Mode > esp.BEET:
		return nil, fmt.Errorf("there is no mode %d", p.Mode)
	case p.Action == esp.Protect && p.Proto != esp.ProtoESP && p.Proto != esp.ProtoAH:
		return nil, fmt.Errorf("no SA has IP protocol %d", p.Proto)
	}
	list, err := parts(p.Sel)
	if err != nil {
		return nil, err
	}
	keys := make([]policyKey, len(list))
	for i, sel := range list {
		keys[i] = keyOf(sel, kernelDirection(p.Dir), markOf(p.Mark), p.IfID)
	}
	return keys, nil
}

// kernelPolicy is the kernel's form of a policy at a key. device is that which carries
// its SAs by packet offload, 0 for none.
func kernelPolicy(k *policyKey, p *esp.Policy, device int32) *message.Policy {
	m := &message.Policy{
		Sel: k.sel, Dir: k.dir, Limits: message.NoLimits, Priority: p.Priority, Mark: k.kernelMark(), IfID: k.ifID,
	}
	m.Limits.SoftPackets = policyTag
	switch p.Action {
	case esp.Discard:
		m.Action = message.Block
	case esp.Protect:
		m.Templates = templates(p)
		if device != 0 && k.dir != message.Forward {
			m.Offload = &message.OffloadDev{IfIndex: device, Flags: message.OffloadPacket}
		}
	}
	return m
}

// templates say which SAs a packet needs; outbound the first is applied first. Behind
// an IPComp SA, which then has the mode, the other is in transport mode. Inbound the
// IPComp SA is optional: packets that do not shrink come without (RFC 3173, 2.2).
func templates(p *esp.Policy) []message.Template {
	t := message.Template{Proto: uint8(p.Proto), ReqID: p.ReqID, Mode: kernelMode(p.Mode), Family: outerFamily(p)}
	if p.Mode != esp.Transport {
		t.Src, t.Dst = outer(p.Src, t.Family), outer(p.Dst, t.Family)
	}
	if !p.IPComp {
		return []message.Template{t}
	}
	inner := t
	inner.Proto, inner.Optional = uint8(esp.ProtoIPComp), p.Dir != esp.Out
	return []message.Template{inner, {Proto: t.Proto, ReqID: t.ReqID, Mode: message.Transport, Family: t.Family}}
}

// accept makes an inbound policy accept packets of whichever SA has its addresses.
func accept(m *message.Policy) {
	for i := range m.Templates {
		m.Templates[i].ReqID = 0
	}
}

func kernelMode(m esp.Mode) message.Mode {
	switch m {
	case esp.Transport:
		return message.Transport
	case esp.BEET:
		return message.BEET
	}
	return message.Tunnel
}

// outerFamily is that of the outer addresses; where none is known yet, that of the
// packets.
func outerFamily(p *esp.Policy) uint16 {
	for _, a := range []netip.Addr{p.Dst.Unmap(), p.Src.Unmap(), p.Sel.Dst.Addr().Unmap()} {
		if known(a) {
			return familyOf(a)
		}
	}
	return familyOf(p.Sel.Dst.Addr().Unmap())
}

// outer is an outer address; one that is not known is unspecified.
func outer(a netip.Addr, family uint16) netip.Addr {
	switch {
	case known(a):
		return a.Unmap()
	case family == unix.AF_INET:
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// samePolicy tells whether the kernel would do the same by both.
func samePolicy(a, b *message.Policy) bool {
	return a.Action == b.Action && a.Priority == b.Priority && a.Limits == b.Limits &&
		slices.EqualFunc(a.Templates, b.Templates, sameTemplate) && sameOffload(a.Offload, b.Offload)
}

// sameTemplate compares a template with one that may have been read from the kernel,
// where unspecified addresses are written out.
func sameTemplate(a, b message.Template) bool {
	same := func(x, y netip.Addr) bool {
		return x == y || !known(x) && !known(y)
	}
	return a.Proto == b.Proto && a.Mode == b.Mode && a.ReqID == b.ReqID && a.Optional == b.Optional && a.SPI == b.SPI &&
		same(a.Src, b.Src) && same(a.Dst, b.Dst)
}

func known(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() }

func sameOffload(a, b *message.OffloadDev) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.IfIndex == b.IfIndex
}

// tagged tells whether a policy of the kernel is ours.
func tagged(m *message.Policy) bool { return m.Limits.SoftPackets == policyTag }

// leftoverPolicy is a policy of the kernel in our words, as far as the kernel has
// them.
func leftoverPolicy(m *message.Policy) esp.Policy {
	p := esp.Policy{
		Sel: esp.Selector{Src: m.Sel.Src, Dst: m.Sel.Dst, Proto: m.Sel.Proto, SrcPorts: rangeOf(m.Sel.SrcPorts), DstPorts: rangeOf(m.Sel.DstPorts)},
		Dir: espDirection(m.Dir), Priority: m.Priority, IfID: m.IfID, Name: "a killed instance", Owner: leftoverOwner,
	}
	if m.Mark != nil {
		p.Mark = esp.Mark{Value: m.Mark.Value, Mask: m.Mark.Mask}
	}
	switch {
	case m.Action == message.Block:
		p.Action = esp.Discard
	case len(m.Templates) == 0:
		p.Action = esp.Bypass
	default:
		t := m.Templates[0]
		last := m.Templates[len(m.Templates)-1]
		p.IPComp = len(m.Templates) > 1
		p.Proto, p.ReqID, p.Mode, p.Src, p.Dst = esp.Proto(last.Proto), last.ReqID, espMode(t.Mode), t.Src, t.Dst
	}
	return p
}

func espMode(m message.Mode) esp.Mode {
	switch m {
	case message.Transport:
		return esp.Transport
	case message.BEET:
		return esp.BEET
	}
	return esp.Tunnel
}
