//go:build linux

package xfrm

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// view is what the kernel has. States have no keys.
type view struct {
	states   []*message.State
	policies map[policyKey]*message.Policy
}

// look reads all SAs and policies of the kernel.
func (p *Plane) look(ctx context.Context) (*view, error) {
	v := &view{policies: make(map[policyKey]*message.Policy)}
	list, err := p.dump(ctx, message.GetSA)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		st, err := message.ParseState(m.Body)
		clear(m.Body)
		if err != nil {
			continue // of another program, and nothing that we would have made
		}
		st.Zero()
		v.states = append(v.states, st)
	}
	if list, err = p.dump(ctx, message.GetPolicy); err != nil {
		return nil, err
	}
	for _, m := range list {
		pol, err := message.ParsePolicy(m.Body)
		if err != nil || pol.Dir > message.Forward || pol.Type != 0 {
			continue // those of sockets, and of the sub type
		}
		v.policies[keyOf(pol.Sel, pol.Dir, pol.Mark, pol.IfID)] = pol
	}
	return v, nil
}

func (p *Plane) dump(ctx context.Context, t message.Type) ([]netlink.Message, error) {
	list, err := p.cfg.Kernel.Dump(ctx, netlink.Request{Type: t, Flags: unix.NLM_F_DUMP, Body: message.AppendDump(nil, t, 0)})
	if err != nil {
		return nil, common(err)
	}
	return list, nil
}

// difference is what resync has found to be other than it should be.
type difference struct {
	policies int // that were missing, or not as they should be
	foreign  int // of another program where one of ours was
	sas      int // that were missing
}

// refresh looks at the kernel again when it is not known what it has.
func (p *Plane) refresh(ctx context.Context) error {
	if !p.stale {
		return nil
	}
	err := p.resync(ctx)
	if p.stale {
		return err
	}
	if err != nil { // not of the operations at hand
		p.cfg.Warn(fmt.Sprintf("the SAs and policies of the kernel could not be put right: %v", err))
	}
	return nil
}

// resync compares with the kernel and puts right what differs: policies that are
// missing are installed again, SAs that are missing are told as expired, SAs and
// policies of ours that nobody wants are removed.
func (p *Plane) resync(ctx context.Context) error {
	_, _, err := p.compare(ctx)
	return err
}

func (p *Plane) compare(ctx context.Context) (*view, difference, error) {
	p.stale = true
	v, err := p.look(ctx)
	if err != nil {
		return nil, difference{}, err
	}
	a := p.newApplication(ctx, nil)
	var d difference
	a.compareSAs(v, &d)
	p.comparePolicies(v, &d)
	if err := a.settle(); err != nil {
		return nil, d, err
	}
	if err := a.flush(); err != nil {
		return nil, d, err
	}
	p.stale = false
	return v, d, errors.Join(a.errs...)
}

func (a *application) compareSAs(v *view, d *difference) {
	there := make(map[esp.SAID]bool, len(v.states))
	for _, st := range v.states {
		id := espID(st.ID)
		switch {
		case !a.p.ours(st.ReqID) || larval(st) && id.SPI == 0:
		case larval(st):
			if !a.p.larvae.has(id) {
				a.delSA(id, st.Mark, ignore) // its SA comes all the same, should one come
			}
		default:
			if there[id] = true; a.p.sas[id] == nil {
				a.delSA(id, st.Mark, ignore)
			}
		}
	}
	for id, s := range a.p.sas {
		if there[id] {
			continue
		}
		d.sas++
		a.p.lose(s)
	}
}

// lose forgets an SA that the kernel does not have any more, and tells of it.
func (p *Plane) lose(s *sa) {
	p.forgetSA(s)
	if !s.leftover {
		p.told.put(esp.Expire{ID: s.id, ReqID: s.reqID, Hard: true})
	}
}

func (p *Plane) comparePolicies(v *view, d *difference) {
	for k, m := range v.policies {
		if e := p.table.entries[k]; e == nil && tagged(m) {
			e = p.table.at(k)
			e.image = m
			p.table.touch(e) // nobody wants it
		}
	}
	for k, e := range p.table.entries {
		m := v.policies[k]
		if m != nil && !tagged(m) {
			m = nil
			if e.image != nil {
				d.foreign++
			}
		}
		if e.image == nil && m == nil {
			continue
		}
		if e.image == nil || m == nil || !samePolicy(e.image, m) {
			if e.image != nil {
				d.policies++
			}
			e.image = m
			p.table.touch(e)
		}
	}
}

// String says in words what was found.
func (d difference) String() string {
	s := fmt.Sprintf("%s and %s of goike were gone", plural(d.policies, "policy", "policies"), plural(d.sas, "SA", "SAs"))
	if d.foreign > 0 {
		s += fmt.Sprintf(", and in the place of %d another program has its own", d.foreign)
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
