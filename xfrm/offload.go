//go:build linux

package xfrm

import (
	"fmt"
	"math"
	"net/netip"
	"syscall"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// offloads are the kinds of offload to try for an SA, the best first; nil is none.
func (a *application) offloads(sa *esp.SA) ([]*message.OffloadDev, error) {
	if sa.Offload == esp.OffloadNone {
		return []*message.OffloadDev{nil}, nil
	}
	at := sa.Src
	if sa.Dir == esp.In {
		at = sa.ID.Dst
	}
	index := a.p.device(at)
	if index == 0 {
		if sa.Offload == esp.OffloadAuto {
			return []*message.OffloadDev{nil}, nil
		}
		return nil, fmt.Errorf("there is no network interface with the address %s that could do %s offload: %w",
			at, offloadText(sa.Offload), syscall.ENODEV)
	}
	crypto := &message.OffloadDev{IfIndex: index}
	if !at.Is4() {
		crypto.Flags |= message.OffloadIPv6
	}
	if sa.Dir == esp.In {
		crypto.Flags |= message.OffloadInbound
	}
	packet := &message.OffloadDev{IfIndex: index, Flags: crypto.Flags | message.OffloadPacket}
	switch sa.Offload {
	case esp.OffloadCrypto:
		return []*message.OffloadDev{crypto}, nil
	case esp.OffloadPacket:
		return []*message.OffloadDev{packet}, nil
	}
	if !a.takesPolicies(index) {
		return []*message.OffloadDev{crypto, nil}, nil
	}
	return []*message.OffloadDev{packet, crypto, nil}, nil
}

// takesPolicies tells whether an interface does packet offload, for which it has to
// take policies as well as SAs. It is tried once, with a policy that is for no packet.
func (a *application) takesPolicies(index int32) bool {
	takes, tried := a.p.packetOffload[index]
	if tried {
		return takes
	}
	probe := &esp.Policy{
		Sel: esp.Selector{
			Src: netip.MustParsePrefix("192.0.2.253/32"), Dst: netip.MustParsePrefix("192.0.2.254/32"),
			Proto: math.MaxUint8, SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort,
		},
		Priority: math.MaxInt32, Proto: esp.ProtoESP, Mode: esp.Transport, ReqID: a.p.cfg.LastReqID,
	}
	keys, err := keysOf(probe)
	if err != nil {
		return false
	}
	x := exchange{ctx: a.ctx, kernel: a.kernel}
	x.putPolicy(message.NewPolicy, kernelPolicy(&keys[0], probe, index), func(r netlink.Reply) { takes = r.Err == nil })
	x.delPolicy(&keys[0], ignore)
	if x.flush() != nil {
		return false
	}
	a.p.packetOffload[index] = takes
	return takes
}

// device is the index of the interface that has a local address, 0 if unknown.
func (p *Plane) device(at netip.Addr) int32 {
	if p.cfg.OffloadDevice == nil {
		return 0
	}
	return int32(p.cfg.OffloadDevice(at))
}

// local is the outer address of an SA on this side.
func local(s *sa) netip.Addr {
	if s.dir == esp.In {
		return s.id.Dst
	}
	return s.src
}

// packetDevice is the interface that carries the SAs of a request ID by packet
// offload: their policies have to be there, too.
func (p *Plane) packetDevice(reqID uint32) int32 {
	for _, s := range p.byReqID[reqID] {
		if s.device != 0 {
			return s.device
		}
	}
	return 0
}
