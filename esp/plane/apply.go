package plane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/udp"
)

// ErrClosed is what a closed plane answers.
var ErrClosed = errors.New("the data plane is closed")

// change is what Apply has to do after the operations.
type change struct {
	policies bool         // routes may have to follow
	asking   []*acquire   // whose packets may find an SA now
	early    []udp.Packet // that have come before their SA
}

// Apply carries out operations in order, but for SAs that go for good: they go last, when
// another policy has taken the place of theirs. Each takes effect at once and without a
// gap: a packet finds the old or the new. Routes follow at the end; they too are
// tried again by the next Apply when they fail. Then packets that were waiting for
// an SA are sent, or received.
func (p *Plane) Apply(ctx context.Context, ops []esp.Op) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	var c change
	err := p.operate(ctx, ops, &c)
	if c.policies || p.routes.dirty {
		err = errors.Join(err, p.setRoutes(ctx))
	}
	for _, a := range c.asking {
		a.settle()
		p.resume(a)
	}
	p.Receive(c.early, true)
	return err
}

func (p *Plane) operate(ctx context.Context, ops []esp.Op, c *change) error {
	for _, op := range inOrder(ops) {
		if err := ctx.Err(); err != nil {
			return err
		}
		mtu := p.mtuFor(op)
		if err := p.one(op, mtu, c); err != nil {
			return err
		}
	}
	return nil
}

// inOrder puts the removal of SAs that no other operation is about behind the others.
func inOrder(ops []esp.Op) []esp.Op {
	about := make(map[esp.SAID]int)
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			about[op.SA.ID]++
		case esp.MoveSA:
			about[op.ID]++
			about[esp.SAID{Dst: op.Dst, SPI: op.ID.SPI, Proto: op.ID.Proto}]++
		}
	}
	out := make([]esp.Op, 0, len(ops))
	var late []esp.Op
	for _, op := range ops {
		if del, ok := op.(esp.DelSA); ok && about[del.ID] == 0 {
			late = append(late, op)
			continue
		}
		out = append(out, op)
	}
	return append(out, late...)
}

// mtuFor asks for the path MTU that an operation needs to know, before anything
// is locked.
func (p *Plane) mtuFor(op esp.Op) int {
	var dst netip.Addr
	switch op := op.(type) {
	case esp.AddSA:
		if op.SA.Dir == esp.Out {
			dst = op.SA.ID.Dst
		}
	case esp.AdoptSA:
		if op.SA.Dir == esp.Out {
			dst = op.SA.ID.Dst
		}
	case esp.MoveSA:
		dst = op.Dst
	}
	return p.pathMTU(dst)
}

func (p *Plane) one(op esp.Op, mtu int, c *change) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	switch op := op.(type) {
	case esp.AddSA:
		b, err := p.addSA(op.SA, mtu, c)
		c.serve(b)
		return err
	case esp.AdoptSA:
		b, err := p.adopt(op.SA, mtu, c)
		c.serve(b)
		return err
	case esp.DelSA:
		p.delSA(op.ID)
	case esp.MoveSA:
		return p.moveSA(op, mtu)
	case esp.AddPolicy:
		return p.addPolicy(op.Policy, c)
	case esp.DelPolicy:
		p.delPolicy(op.Policy, c)
	default:
		return fmt.Errorf("the data plane does not know the operation %T", op)
	}
	return nil
}

// serve asks what waits for an SA of a bundle, nil: none.
func (c *change) serve(b *bundle) {
	if b != nil {
		for a := range b.asking {
			c.ask(a)
		}
	}
}

func (c *change) ask(a *acquire) {
	if !slices.Contains(c.asking, a) {
		c.asking = append(c.asking, a)
	}
}

// spdOf is where the policies of a direction are.
func (p *Plane) spdOf(d esp.Direction) *spd {
	if d == esp.Out {
		return p.out
	}
	return p.in
}

func (p *Plane) addPolicy(pol esp.Policy, c *change) error {
	sel, ok := normal(pol.Sel)
	switch {
	case !ok:
		return fmt.Errorf("policy for %s: its selector %s to %s is no selector", pol.Name, pol.Sel.Src, pol.Sel.Dst)
	case pol.Dir > esp.Forward || pol.Action > esp.Discard:
		return fmt.Errorf("policy for %s: no direction %d or action %d", pol.Name, pol.Dir, pol.Action)
	}
	if err := refusePolicy(&pol); err != nil {
		return fmt.Errorf("policy for %s: %w", pol.Name, err)
	}
	pol.Sel = sel
	installed := &policy{Policy: pol}
	if pol.Action == esp.Protect {
		installed.bundle = p.bundleOf(pol.ReqID)
		installed.bundle.policies++
		if pol.Dir == esp.Out {
			installed.asking = p.askFor(pol.Name)
			installed.bundle.asking[installed.asking]++
			if installed.bundle.current.Load() != nil {
				c.ask(installed.asking)
			}
		}
	}
	old := p.spdOf(pol.Dir).add(installed)
	p.reroute(installed, old, c)
	p.dropPolicy(old)
	return nil
}

func (p *Plane) delPolicy(pol esp.Policy, c *change) {
	var ok bool
	if pol.Sel, ok = normal(pol.Sel); !ok || pol.Mark != (esp.Mark{}) || pol.IfID != 0 {
		return // was never installed
	}
	old := p.spdOf(pol.Dir).del(&pol)
	p.reroute(nil, old, c)
	p.dropPolicy(old)
}

// dropPolicy gives back what a policy has of shared things; it may be nil.
func (p *Plane) dropPolicy(old *policy) {
	if old == nil || old.bundle == nil {
		return
	}
	old.bundle.policies--
	if a := old.asking; a != nil {
		if old.bundle.asking[a]--; old.bundle.asking[a] == 0 {
			delete(old.bundle.asking, a)
		}
		p.noMore(a)
	}
	p.release(old.bundle)
}

// Query tells what an SA has carried. A reserved SPI has carried nothing.
func (p *Plane) Query(ctx context.Context, id esp.SAID) (esp.Usage, error) {
	if err := ctx.Err(); err != nil {
		return esp.Usage{}, err
	}
	id.Dst = id.Dst.Unmap()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.inByID[id]; s != nil {
		return p.usage(&s.life), nil
	}
	if s := p.outByID[id]; s != nil {
		return p.usage(&s.life), nil
	}
	if p.larval.bySPI[id.SPI].id == id {
		return esp.Usage{LastUse: -1}, nil
	}
	return esp.Usage{}, fmt.Errorf("SA %08x to %s is not there", id.SPI, id.Dst)
}
