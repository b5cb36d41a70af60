package plane

import (
	"sync"
	"time"

	"github.com/goike/goike/esp"
)

const (
	// askAgain is how long an unanswered Acquire stands before packets ask anew.
	askAgain = int64(5 * time.Second)
	// heldFor is how long a packet waits for its SA.
	heldFor = int64(30 * time.Second)
	// maxHeld bounds the packets that wait, one for each name.
	maxHeld = 1024
)

// acquire is the question for the SA of one Name: it is asked once, and the latest
// packet that asked waits for the answer.
type acquire struct {
	name     string
	policies int // guarded by Plane.mu

	mu      sync.Mutex
	gone    bool // no policy asks any more
	asked   bool
	askedAt int64
	held    []byte // nil: none
	heldAt  int64
	drop    *timer
}

// askFor counts an outbound policy that may ask for an SA.
func (p *Plane) askFor(name string) *acquire {
	a := p.asking[name]
	if a == nil {
		a = &acquire{name: name}
		a.drop = newTimer(func(now int64) int64 { return p.dropHeld(a, now) })
		p.asking[name] = a
	}
	a.policies++
	return a
}

// noMore is the opposite of askFor.
func (p *Plane) noMore(a *acquire) {
	if a.policies--; a.policies > 0 {
		return
	}
	delete(p.asking, a.name)
	p.timers.cancel(a.drop)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	p.unhold(a)
}

// want asks for an SA for a policy and holds the packet that needs it.
func (p *Plane) want(pol *policy, f esp.Flow, pkt []byte) {
	a, now := pol.asking, p.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return
	}
	if !a.asked || now-a.askedAt >= askAgain {
		a.asked = p.notify(esp.Acquire{Policy: pol.Name, ReqID: pol.ReqID, Packet: selectorOf(f)})
		a.askedAt = now
	}
	if a.held == nil {
		if p.held.Add(1) > maxHeld {
			p.held.Add(-1)
			return
		}
		p.timers.set(a.drop, now+heldFor)
	}
	a.held = append(a.held[:0], pkt...)
	a.heldAt = now
}

// unhold takes the held packet away. a is locked.
func (p *Plane) unhold(a *acquire) []byte {
	pkt := a.held
	if pkt != nil {
		a.held = nil
		p.held.Add(-1)
	}
	return pkt
}

// dropHeld runs when a packet may have waited for too long.
func (p *Plane) dropHeld(a *acquire, now int64) (next int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		return 0
	}
	if due := a.heldAt + heldFor; due > now {
		return due
	}
	p.unhold(a)
	return 0
}

// settle notes that the SA is there: packets that find none may ask anew.
func (a *acquire) settle() {
	a.mu.Lock()
	a.asked = false
	a.mu.Unlock()
}

// answered returns the held packet when there is an SA for it now.
func (p *Plane) answered(a *acquire) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held == nil {
		return nil
	}
	f, err := esp.ParseFlow(a.held)
	if err != nil {
		return p.unhold(a)
	}
	e := p.out.lookup(f)
	if e == nil || e.inForce().Action != esp.Protect || e.inForce().bundle.current.Load() == nil {
		return nil
	}
	return p.unhold(a)
}

// selectorOf is the selector of a packet alone.
func selectorOf(f esp.Flow) esp.Selector {
	s := esp.Selector{
		Src: fullLength(f.Src), Dst: fullLength(f.Dst), Proto: f.Proto,
		SrcPorts: esp.AnyPort, DstPorts: esp.AnyPort,
	}
	if !f.Opaque {
		s.SrcPorts = esp.PortRange{First: f.SrcPort, Last: f.SrcPort}
		s.DstPorts = esp.PortRange{First: f.DstPort, Last: f.DstPort}
	}
	return s
}
