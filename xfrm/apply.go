//go:build linux

package xfrm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/netlink"
)

// application is one Apply: first SAs come and change, in the order of the operations,
// then policies; at last go SAs, and then the policies of which nothing is left. So a
// policy never comes before its SA nor goes before it, and where another one takes its
// place that does so before the SA is gone.
type application struct {
	exchange
	p      *Plane
	ops    []esp.Op
	fresh  []*sa             // SAs that were not there before
	late   []esp.SAID        // that go when the policies have changed
	failed map[uint32]bool   // request IDs of which an SA could not be installed
	before map[*claim]*claim // claims of this Apply, and what they have replaced
	errs   []error
}

func (p *Plane) newApplication(ctx context.Context, ops []esp.Op) *application {
	return &application{
		exchange: exchange{ctx: ctx, kernel: p.cfg.Kernel}, p: p, ops: ops,
		failed: make(map[uint32]bool), before: make(map[*claim]*claim),
	}
}

// Apply implements engine.DataPlane. Operations on SAs are carried out in their order,
// but for those that go for good; then the policies change to what they are after the last operation: what stands
// before and after is there all the time. An SA that cannot be installed takes with it
// what the same Apply has installed for its request ID, so that no half of a child SA
// is left; all other operations are carried out. Routes follow at the end; they, too,
// are tried again by the next Apply when they fail. Only those of bypasses come first.
func (p *Plane) Apply(ctx context.Context, ops []esp.Op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	if err := p.refresh(ctx); err != nil {
		return err
	}
	ops, early, err := p.wayOut(ctx, ops)
	a := p.newApplication(ctx, ops)
	if err != nil {
		a.errs = append(a.errs, err)
	}
	if err := a.run(); err != nil {
		p.stale = true
		a.errs = append(a.errs, err)
	}
	for _, r := range early {
		p.routes.want(r, -1)
	}
	if err := p.setRoutes(ctx); err != nil {
		a.errs = append(a.errs, err)
	}
	return errors.Join(a.errs...)
}

func (a *application) run() error {
	if err := a.states(); err != nil {
		return err
	}
	for _, op := range a.ops {
		switch op := op.(type) {
		case esp.AddPolicy:
			a.addPolicy(op.Policy)
		case esp.DelPolicy:
			a.dropPolicy(op.Policy)
		}
	}
	if err := a.settle(); err != nil {
		return err
	}
	a.endQuestions()
	return a.sweep()
}

// states carries out the operations on SAs. Those that come one after the other for
// the same SA go out one after the other.
func (a *application) states() error {
	touched := make(map[esp.SAID]bool)
	wait := false
	for i, op := range a.ops {
		if a.goes(i) {
			continue
		}
		ids := subjects(op)
		for _, id := range ids {
			if touched[id] {
				if err := a.flush(); err != nil {
					return err
				}
				clear(touched)
			}
		}
		for _, id := range ids {
			touched[id] = true
		}
		wait = a.state(op) || wait
	}
	if !wait {
		return nil // what is left can go out with the policies
	}
	if err := a.flush(); err != nil {
		return err
	}
	a.undo()
	return nil
}

// goes takes a note of an operation that removes an SA which no later one is about.
func (a *application) goes(i int) bool {
	del, ok := a.ops[i].(esp.DelSA)
	if !ok {
		return false
	}
	id := unmappedID(del.ID)
	for _, op := range a.ops[i+1:] {
		if slices.Contains(subjects(op), id) {
			return false
		}
	}
	a.late = append(a.late, id)
	return true
}

// subjects are the SAs that an operation is about.
func subjects(op esp.Op) []esp.SAID {
	switch op := op.(type) {
	case esp.AddSA:
		return []esp.SAID{unmappedID(op.SA.ID)}
	case esp.AdoptSA:
		return []esp.SAID{unmappedID(op.SA.ID)}
	case esp.DelSA:
		return []esp.SAID{unmappedID(op.ID)}
	case esp.MoveSA:
		to := op.ID
		to.Dst = op.Dst
		return []esp.SAID{unmappedID(op.ID), unmappedID(to)}
	}
	return nil
}

// state queues an operation on an SA and tells whether policies have to wait for it.
func (a *application) state(op esp.Op) (wait bool) {
	switch op := op.(type) {
	case esp.AddSA:
		a.addSA(op.SA)
		return true
	case esp.AdoptSA:
		a.adoptSA(op.SA)
	case esp.MoveSA:
		a.moveSA(op)
		return true
	case esp.DelSA:
		a.dropSA(unmappedID(op.ID))
	case esp.AddPolicy, esp.DelPolicy:
	default:
		a.errs = append(a.errs, fmt.Errorf("the data plane does not know the operation %T", op))
	}
	return false
}

// fail notes that an SA could not be installed.
func (a *application) fail(sa *esp.SA, err error) {
	a.failed[sa.ReqID] = true
	a.dropSA(sa.ID)
	a.errs = append(a.errs, fmt.Errorf("%s%s cannot be installed: %w", nameSA(sa.ID, sa.Src.String()), a.childOf(sa.ReqID), err))
}

// childOf names the child that a request ID is of, as far as the operations tell.
func (a *application) childOf(reqID uint32) string {
	for _, op := range a.ops {
		if add, ok := op.(esp.AddPolicy); ok && add.Policy.ReqID == reqID && add.Policy.Name != "" {
			return " for " + add.Policy.Name
		}
	}
	return ""
}

// undo removes the SAs that were installed beside one that could not be.
func (a *application) undo() {
	for _, s := range a.fresh {
		if a.failed[s.reqID] && a.p.sas[s.id] == s {
			a.dropSA(s.id)
		}
	}
}

// dropSA removes an SA of ours, or gives back an SPI. What is not ours stays.
func (a *application) dropSA(id esp.SAID) {
	s := a.p.sas[id]
	switch {
	case s != nil:
		a.p.forgetSA(s)
		a.delSA(id, s.mark, a.removed(s))
	case a.p.larvae.take(id):
		a.release(id)
	}
}

// release gives back a reserved SPI. One that the kernel would not release is tried
// again by Close; the kernel forgets it by itself, too.
func (a *application) release(id esp.SAID) {
	a.delSA(id, nil, func(r netlink.Reply) {
		if r.Err != nil && !gone(r.Err) {
			a.p.larvae.add(id, time.Now())
		}
	})
}
