package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/ike"
)

// packet is what is on its way: an IKE message or, with a probe, ESP.
type packet struct {
	from, to netip.AddrPort // ports 0: ESP that is not in UDP
	data     []byte
	probe    *probe
}

// Link is what is special about the way from one host to another.
type Link struct {
	Faults Faults
	MTU    int // of an IP datagram, 0: any
	Cut    bool
}

// Link returns the way from one host to another, by the addresses that they had first,
// to be changed: it is as the world's faults say at first.
func (w *World) Link(from, to netip.Addr) *Link {
	key := [2]netip.Addr{from, to}
	if w.links[key] == nil {
		w.links[key] = &Link{Faults: w.Faults}
	}
	return w.links[key]
}

// way is the link between two addresses as they are on the wire.
func (w *World) way(from, to netip.Addr) Link {
	if l := w.links[[2]netip.Addr{w.home(from), w.home(to)}]; l != nil {
		return *l
	}
	return Link{Faults: w.Faults}
}

// home is the first address of the host at an address, or behind it; those that a host has
// joined have links of their own.
func (w *World) home(a netip.Addr) netip.Addr {
	a = w.inside(a)
	if h := w.hosts[a]; h != nil && a == h.Addr {
		return h.home
	}
	return a
}

// headers is what IP and UDP add to a message.
const headers = 28

// send takes a packet to its destination, or not.
func (w *World) send(p packet) {
	l := w.way(p.from.Addr(), p.to.Addr())
	sender, digest := p.from.Addr(), ""
	if !w.Quiet {
		sum := sha256.Sum256(p.data)
		digest = hex.EncodeToString(sum[:4])
	}
	var through bool
	if p.from, through = w.leave(p.from, p.to); !through {
		p.probe.lose("a NAT does not translate what is not UDP")
		return
	}
	if p.probe == nil {
		w.recorded[w.sent%len(w.recorded)] = p
		w.sent++
	}
	lost := l.Cut || l.MTU > 0 && len(p.data)+headers > l.MTU || p.probe == nil && w.Drop != nil && w.Drop(p.from, p.to, p.data)
	if lost || w.chance(l.Faults.Loss) {
		w.draw(w.home(sender), w.home(p.to.Addr()), p, 0, "lost")
		w.trace(p, digest, "lost")
		p.probe.fate(lawful)
		return
	}
	w.carry(l.Faults, p, digest)
	if w.chance(l.Faults.Duplicate) {
		w.carry(l.Faults, p, digest)
	}
}

// carry brings a copy of a packet to where it is to go, some time later.
func (w *World) carry(f Faults, p packet, digest string) {
	fate := ""
	p.data = slices.Clone(p.data)
	if w.chance(f.Corrupt) && len(p.data) > 0 {
		p.data[w.rng.IntN(len(p.data))] ^= 1 << w.rng.IntN(8)
		fate = " corrupted"
		p.probe.fate(lawful)
	}
	delay := f.Delay
	if f.Jitter > 0 {
		delay += time.Duration(w.rng.Int64N(int64(f.Jitter)))
	}
	w.draw(w.home(p.from.Addr()), w.home(p.to.Addr()), p, delay, fate)
	w.After(delay, func() { w.deliver(p, digest+fate) })
}

// trace notes what has become of a packet.
func (w *World) trace(p packet, digest, fate string) {
	if !w.Quiet {
		w.note("%s > %s %s %d octets %s", p.from, p.to, digest, len(p.data), fate)
	}
}

func (w *World) deliver(p packet, digest string) {
	dst, ok := w.arrive(p.from, p.to)
	h := w.hosts[dst.Addr()]
	if h == nil || h.dead {
		p.probe.fate(lawful)
	}
	if !ok || h == nil || h.dead {
		w.trace(p, digest, "nobody there")
		p.probe.lose("a NAT keeps %s > %s out", p.from, p.to)
		return
	}
	if p.to = dst; p.probe != nil {
		h.open(p)
		return
	}
	w.trace(p, digest, "")
	h.receive(ike.Datagram{Path: ike.Path{Local: dst, Remote: p.from}, Data: p.data})
}
