package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/engine"
)

// halves are what seals or opens the packets of an SA.
type halves struct {
	sender   *esp.Sender
	seal     *esp.SealWorker
	receiver *esp.Receiver
	opener   *esp.OpenWorker
	packets  uint64 // carried
}

// outcome is what became of a probe.
type outcome uint8

const (
	underWay outcome = iota
	arrived
	lawful // the network has lost it
	lost   // it came, and the host could not take it
)

// probe is a packet through a tunnel.
type probe struct {
	flow esp.Flow
	spi  uint32
	kind esp.Proto
	seen outcome
	why  string
	done func(p *probe) // called when it has arrived, or was lost
}

func (p *probe) fate(o outcome) {
	if p != nil && p.seen == underWay {
		p.seen = o
		p.done(p)
	}
}

func (p *probe) lose(format string, args ...any) {
	if p == nil {
		return
	}
	p.why = fmt.Sprintf(format, args...)
	p.fate(lost)
}

// Ping sends a packet from this host through the tunnel that is for it. Without an SA
// the policy asks for one. done learns what became of it, unless it is lost on its way.
func (h *Host) Ping(f esp.Flow, done func(p *probe)) {
	if h.dead {
		return
	}
	p := &probe{flow: f, done: done}
	sa, found := h.Plane.outbound(f)
	switch {
	case !found:
		p.lose("%s has no policy for %v > %v", h.Name, f.Src, f.Dst)
	case sa == nil:
		h.Acquire(h.Plane.policy(f).Name, esp.Selector{Src: netip.PrefixFrom(f.Src, 32), Dst: netip.PrefixFrom(f.Dst, 32), Proto: f.Proto,
			SrcPorts: esp.PortRange{First: f.SrcPort, Last: f.SrcPort}, DstPorts: esp.PortRange{First: f.DstPort, Last: f.DstPort}})
		p.lose("%s has no SA for %v > %v", h.Name, f.Src, f.Dst)
	case h.use(sa):
		h.sealed(sa, p)
	default:
		p.lose("%s: SPI %08x has reached its limit", h.Name, sa.ID.SPI)
	}
}

// use counts a packet; it is false behind the hard limit.
func (h *Host) use(sa *held) bool {
	sa.packets++
	l := sa.Limits
	if n := sa.packets; n == l.SoftPackets || n == l.HardPackets {
		h.notice(sa, esp.Expire{ID: sa.ID, ReqID: sa.ReqID, Hard: n == l.HardPackets})
	}
	return l.HardPackets == 0 || sa.packets <= l.HardPackets
}

func (h *Host) notice(sa *held, n esp.Notice) {
	h.later(wordTime, func() { h.give(engine.Noticed{ReqID: sa.ReqID, Notice: n}) })
}

// sealed sends a packet by an SA. AH and IPComp are carried without sealing.
func (h *Host) sealed(sa *held, p *probe) {
	p.spi, p.kind = sa.ID.SPI, sa.ID.Proto
	out := packet{from: netip.AddrPortFrom(sa.Src, 0), to: netip.AddrPortFrom(sa.ID.Dst, 0), probe: p}
	if sa.Encap != nil {
		out.from, out.to = netip.AddrPortFrom(sa.Src, sa.Encap.Local), netip.AddrPortFrom(sa.ID.Dst, sa.Encap.Remote)
	}
	if out.from.Addr() != h.Addr {
		p.lose("%s sends SPI %08x from %s", h.Name, sa.ID.SPI, out.from)
		return
	}
	if !p.plain(h) {
		var err error
		if out.data, err = sa.sealPacket(p.flow); err != nil {
			p.lose("%s: %v", h.Name, err)
			return
		}
	}
	h.world.send(out)
}

// plain tells whether a packet is not sealed.
func (p *probe) plain(h *Host) bool {
	pol := h.Plane.policyOf(esp.Out, p.flow)
	return p.kind != esp.ProtoESP || pol != nil && pol.IPComp
}

func (x *held) sealPacket(f esp.Flow) ([]byte, error) {
	if x.sender == nil {
		var err error
		if x.sender, err = esp.NewSender(x.SA); err != nil {
			return nil, err
		}
		if x.seal, err = x.sender.NewWorker(); err != nil {
			return nil, err
		}
	}
	seq, ok := x.sender.Reserve(1)
	if !ok {
		return nil, fmt.Errorf("SPI %08x has no sequence number left", x.ID.SPI)
	}
	ip := datagram(f)
	buf := make([]byte, esp.Headroom+len(ip)+esp.Tailroom)
	copy(buf[esp.Headroom:], ip)
	out, _, err := x.seal.Seal(buf, esp.Headroom, len(ip), seq)
	return out, err
}

// datagram is an IPv4 packet of a flow, without checksums.
func datagram(f esp.Flow) []byte {
	ip := make([]byte, 40)
	ip[0], ip[8], ip[9] = 0x45, 64, f.Proto
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	src, dst := f.Src.As4(), f.Dst.As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[20:], f.SrcPort)
	binary.BigEndian.PutUint16(ip[22:], f.DstPort)
	return ip
}

// open takes a packet of a tunnel as a data plane does.
func (h *Host) open(in packet) {
	p := in.probe
	sa := h.Plane.inbound(p.spi, p.kind)
	switch {
	case sa == nil:
		p.lose("%s does not know SPI %08x", h.Name, p.spi)
		return
	case sa.ID.Dst != in.to.Addr() || (sa.Encap == nil) != (in.to.Port() == 0):
		p.lose("%s knows SPI %08x at another address, or encapsulated otherwise", h.Name, p.spi)
		return
	}
	if in.data != nil {
		if why := sa.openPacket(in); why != "" {
			p.lose("%s: SPI %08x: %s", h.Name, p.spi, why)
			return
		}
	}
	if !h.Plane.admits(sa, p.flow) {
		p.lose("%s has no policy that lets %v > %v in by SPI %08x", h.Name, p.flow.Src, p.flow.Dst, p.spi)
		return
	}
	sa.carried, sa.used = h.now(), true
	if e := sa.Encap; e != nil && in.from != netip.AddrPortFrom(sa.Src, e.Remote) {
		h.notice(sa, esp.Mapping{ID: sa.ID, ReqID: sa.ReqID, New: in.from})
	}
	p.fate(arrived)
}

// openPacket authenticates and decrypts; it tells what was wrong. A copy of what came
// before is no loss.
func (x *held) openPacket(in packet) string {
	if x.receiver == nil {
		var err error
		if x.receiver, err = esp.NewReceiver(x.SA); err != nil {
			return err.Error()
		}
		if x.opener, err = x.receiver.NewWorker(); err != nil {
			return err.Error()
		}
	}
	seq, ok := x.receiver.Check(in.data)
	if !ok {
		return "the packet is a replay"
	}
	buf := make([]byte, esp.Headroom+len(in.data)+esp.Tailroom)
	copy(buf[esp.Headroom:], in.data)
	ip, err := x.opener.Open(buf, esp.Headroom, len(in.data), seq, esp.Inbound{Src: in.from.Addr(), Dst: in.to.Addr(), TTL: 64})
	switch {
	case err != nil:
		return err.Error()
	case !x.receiver.Accept(seq):
		return "the packet is a replay"
	case x.Mode == esp.Tunnel && string(ip) != string(datagram(in.probe.flow)):
		return "another packet comes out than went in"
	}
	return ""
}

// admits tells whether a policy lets a packet in by an SA.
func (p *Plane) admits(sa *held, f esp.Flow) bool {
	for i := range p.policies {
		q := &p.policies[i].Policy
		if q.Dir != esp.Out && q.Action == esp.Protect && q.ReqID == sa.ReqID && q.Sel.Matches(f) {
			return true
		}
	}
	return false
}

func (p *probe) String() string { return fmt.Sprintf("%v > %v: %s", p.flow.Src, p.flow.Dst, p.why) }
