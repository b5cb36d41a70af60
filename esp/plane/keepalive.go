package plane

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/goike/goike/internal/udp"
)

// keepaliveAfter is the silence after which the NAT is reminded of us (RFC 3948, 4).
const keepaliveAfter = int64(20 * time.Second)

// flowOut is what a NAT knows a mapping by, as far as it is ours.
type flowOut struct{ local, remote netip.AddrPort }

// mapping is a NAT mapping that must not be forgotten, shared by the SAs whose
// packets go through it.
type mapping struct {
	flow  flowOut
	last  atomic.Int64 // when a packet was sent last
	sas   int          // guarded by Plane.mu
	alive *timer
}

// keepAlive counts an SA that is behind a NAT.
func (p *Plane) keepAlive(local, remote netip.AddrPort) *mapping {
	f := flowOut{local, remote}
	m := p.mappings[f]
	if m == nil {
		m = &mapping{flow: f}
		m.last.Store(p.now())
		m.alive = newTimer(func(now int64) int64 { return p.remind(m, now) })
		p.mappings[f] = m
		p.timers.set(m.alive, p.now()+keepaliveAfter)
	}
	m.sas++
	return m
}

// letGo is the opposite of keepAlive; m may be nil.
func (p *Plane) letGo(m *mapping) {
	if m == nil {
		return
	}
	if m.sas--; m.sas == 0 {
		delete(p.mappings, m.flow)
		p.timers.cancel(m.alive)
	}
}

var keepalive = []byte{0xff}

// remind sends a keepalive when nothing else was sent for a while (RFC 3948, 2.3).
func (p *Plane) remind(m *mapping, now int64) (next int64) {
	if due := m.last.Load() + keepaliveAfter; due > now {
		return due
	}
	m.last.Store(now)
	err := p.cfg.Carrier.WriteUDP([]udp.Packet{{Data: keepalive, Local: m.flow.local, Remote: m.flow.remote}})
	if err != nil {
		p.count.add(outSendFailed, 1)
	} else {
		p.count.add(keepalivesSent, 1)
	}
	return now + keepaliveAfter
}
