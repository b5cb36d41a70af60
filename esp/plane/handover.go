package plane

import (
	"fmt"
	"time"

	"github.com/goike/goike/esp"
)

// estateTime is how long what another process has held waits to be adopted.
const estateTime = int64(time.Minute)

// HandOver ends the plane as Close does, and returns its SAs for the process that comes
// next: exactly as they are, since nothing is carried any more. The keys in it are the
// caller's to zero. Of a plane that is closed there is nothing.
func (p *Plane) HandOver() ([]esp.Held, error) { return p.end(true) }

// describe describes the SAs that are alive, those of a request ID in the order in which
// they came.
func (p *Plane) describe() []esp.Held {
	var list []esp.Held
	for _, b := range p.bundles {
		for _, s := range b.sas {
			v := s.view.Load()
			list = p.appendHeld(list, s.sender, &s.life, func(sa *esp.SA) { sa.ReqID = v.reqID })
		}
	}
	for _, s := range p.inByID {
		v := s.view.Load()
		list = p.appendHeld(list, s.receiver, &s.life, func(sa *esp.SA) { sa.ReqID, sa.Selectors = v.reqID, v.selectors })
	}
	return list
}

func (p *Plane) appendHeld(list []esp.Held, of interface{ Held() (esp.Held, error) }, l *life, see func(*esp.SA)) []esp.Held {
	if l.dead.Load() {
		return list
	}
	h, err := of.Held()
	if err != nil {
		return list // its keys are zeroed
	}
	see(&h.SA)
	h.SA.Limits = *l.limits.Load()
	h.Bytes, h.Packets, h.Age = l.bytes.Load(), l.packets.Load(), time.Duration(p.now()-l.born)
	return append(list, h)
}

// Inherit gives the plane what another process has handed over, for the AdoptSA that
// follow. What is not adopted within a minute is forgotten. The keys are the plane's.
func (p *Plane) Inherit(held []esp.Held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disinherit()
	if p.closed {
		return
	}
	p.estate = make(map[esp.SAID]*esp.Held, len(held))
	for i := range held {
		p.estate[held[i].SA.ID] = &held[i]
	}
	p.timers.set(p.estateTimer, p.now()+estateTime)
}

func (p *Plane) disinherit() {
	for _, h := range p.estate {
		h.Zero()
	}
	p.estate = nil
}

func (p *Plane) expireEstate(int64) (next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disinherit()
	return 0
}

// adopt puts an SA of another process into service as it was. One that was adopted
// already is no error.
func (p *Plane) adopt(sa esp.SA, mtu int, c *change) (*bundle, error) {
	id := sa.ID
	id.Dst = id.Dst.Unmap()
	switch out, in := p.outByID[id], p.inByID[id]; {
	case sa.Dir == esp.Out && out != nil && out.view.Load().reqID == sa.ReqID:
		return nil, nil
	case sa.Dir == esp.In && in != nil && in.view.Load().reqID == sa.ReqID:
		return nil, nil
	}
	h := p.estate[id]
	if h == nil {
		return nil, fmt.Errorf("SA %08x to %s cannot be taken over: no other process has handed it over", id.SPI, id.Dst)
	}
	delete(p.estate, id)
	defer h.Zero()
	b, err := p.revive(h, sa, mtu, c)
	if err != nil {
		return nil, fmt.Errorf("SA %08x to %s cannot be taken over: %w", id.SPI, id.Dst, err)
	}
	return b, nil
}

func (p *Plane) revive(h *esp.Held, wanted esp.SA, mtu int, c *change) (*bundle, error) {
	sa := h.SA
	if sa.Dir != wanted.Dir || sa.ReqID != wanted.ReqID {
		return nil, fmt.Errorf("it had request ID %d, not %d", sa.ReqID, wanted.ReqID)
	}
	if err := checkSA(&sa); err != nil {
		return nil, err
	}
	keys := p.fingerprint(&sa)
	if sa.Dir == esp.Out {
		sender, err := esp.ResumeSender(*h)
		if err != nil {
			return nil, err
		}
		b := p.addSender(sender, sa, mtu, keys, h.Age)
		p.outByID[sa.ID].resume(h)
		return b, nil
	}
	receiver, err := esp.ResumeReceiver(*h)
	if err != nil {
		return nil, err
	}
	p.addReceiver(receiver, sa, keys, h.Age, c)
	p.inByID[sa.ID].resume(h)
	return nil, nil
}
