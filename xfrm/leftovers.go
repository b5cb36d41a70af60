//go:build linux

package xfrm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
)

// takeOver enters what a killed instance has left, so that its tunnels go on until
// they are negotiated anew. Reserved SPIs that nobody will use are removed.
func (p *Plane) takeOver(ctx context.Context) error {
	is, err := p.look(ctx)
	if err != nil {
		return err
	}
	a := p.newApplication(ctx, nil)
	for _, st := range is.states {
		if st.Dir != 0 {
			p.directed.Store(true)
		}
		switch id := espID(st.ID); {
		case !p.ours(st.ReqID):
		case larval(st) || st.ReqID == p.cfg.LastReqID:
			if id.SPI != 0 {
				a.delSA(id, st.Mark, ignore)
			}
		default:
			p.enterSA(leftoverSA(st))
		}
	}
	for k, m := range is.policies {
		if tagged(m) {
			p.table.adopt(k, m)
		}
	}
	for _, e := range p.table.take() {
		a.inForce(e, e.image, e.wanted())
	}
	if err := a.sweep(); err != nil {
		return err
	}
	if len(p.sas)+len(p.table.entries) > 0 {
		p.startGrace()
	}
	return nil
}

func leftoverSA(st *message.State) *sa {
	s := &sa{id: espID(st.ID), src: st.Src, dir: esp.Out, reqID: st.ReqID, mark: st.Mark, leftover: true}
	if st.Dir == message.SADirIn {
		s.dir = esp.In
	}
	return s
}

// startGrace lets what nothing takes the place of end in time.
func (p *Plane) startGrace() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.grace = time.AfterFunc(p.cfg.Grace, func() { p.endGrace(ctx) })
	context.AfterFunc(ctx, func() { p.grace.Stop() })
}

// endGrace removes what is still there of a killed instance.
func (p *Plane) endGrace(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	a := p.newApplication(ctx, nil)
	for _, e := range p.table.entries {
		if c := e.leftoverOf(); c != nil {
			p.table.dropLeftover(e, c)
			p.table.touch(e)
		}
	}
	err := a.settle()
	if err == nil {
		err = a.sweep()
	}
	if err != nil {
		p.stale = true
		a.errs = append(a.errs, err)
	}
	if err := p.setRoutes(ctx); err != nil {
		a.errs = append(a.errs, err)
	}
	for _, err := range a.errs {
		p.cfg.Warn(fmt.Sprintf("what an earlier instance has left: %v", err))
	}
}

// sweep removes the SAs of a killed instance that serve no policy any more, or whose
// request ID has an SA of this one. Policies that it has left with such a request ID
// get one without SAs: the new ones are not for their packets. It flushes.
func (a *application) sweep() error {
	if a.p.leftoverSAs == 0 {
		return a.flush()
	}
	taken := make(map[uint32]bool)
	for reqID, list := range a.p.byReqID {
		if a.p.table.leftovers[reqID] > 0 {
			if !shared(list) {
				continue
			}
			taken[reqID] = true
		}
		for _, s := range slices.Clone(list) {
			if s.leftover {
				a.dropSA(s.id)
			}
		}
	}
	if len(taken) == 0 {
		return a.flush()
	}
	a.p.table.disown(taken, a.p.cfg.LastReqID)
	return a.settle()
}

// disown gives leftover policies with these request IDs another one.
func (t *table) disown(taken map[uint32]bool, reqID uint32) {
	for _, e := range t.entries {
		if c := e.leftoverOf(); c != nil && taken[c.ReqID] {
			t.leftovers[c.ReqID]--
			c.ReqID = reqID
			t.leftovers[reqID]++
			t.touch(e)
		}
	}
	for id := range taken {
		delete(t.leftovers, id)
	}
}

func shared(list []*sa) bool {
	for _, s := range list {
		if !s.leftover {
			return true
		}
	}
	return false
}

// revive asks for the tunnel of a trap that stays behind the policy of a killed
// instance: packets find that one's SAs, and would never ask.
func (p *Plane) revive(c *claim) {
	if c.Dir != esp.Out || c.Action != esp.Protect || c.Owner != 0 || p.revived[c.Name] {
		return
	}
	for _, k := range c.keys {
		if e := p.table.entries[k]; e != nil && e.wanted().leftover() && e.wanted().Action == esp.Protect {
			p.revived[c.Name] = true
			p.told.put(esp.Acquire{Policy: c.Name, ReqID: c.ReqID})
			return
		}
	}
}
