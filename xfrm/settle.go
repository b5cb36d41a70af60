//go:build linux

package xfrm

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// maxRounds bounds how often settle asks the kernel for what it has refused.
const maxRounds = 3

// addPolicy claims; settle tells the kernel. A policy of a child whose SAs could not be
// installed is left out.
func (a *application) addPolicy(pol esp.Policy) {
	if pol.Owner != 0 && pol.Action == esp.Protect && a.failed[pol.ReqID] {
		return
	}
	c, old, err := a.p.table.add(pol)
	if err != nil {
		a.errs = append(a.errs, fmt.Errorf("%s cannot be installed: %w", namePolicy(&pol), err))
		return
	}
	a.before[c] = old
	a.p.revive(c)
}

func (a *application) dropPolicy(pol esp.Policy) {
	k, err := claimKeyOf(&pol)
	if err != nil {
		return // was never installed
	}
	a.p.table.put(k, nil)
}

// settle makes the kernel's policies those that are to be in force: it changes in place
// what is there, and removes nothing before the rest has come, SAs neither. What the kernel has
// refused to take is no longer claimed; what it refused otherwise is left for the next
// time.
func (a *application) settle() error {
	var refused []*entry
	for range maxRounds {
		list := a.p.table.take()
		if len(list)+len(a.late) == 0 {
			break
		}
		var late []*entry
		for _, e := range list {
			if e.wanted() == nil {
				late = append(late, e)
				continue
			}
			a.putEntry(e, &refused)
		}
		for _, id := range a.late {
			a.dropSA(id)
		}
		a.late = nil
		for _, e := range late {
			a.delEntry(e, &refused)
		}
		if err := a.flush(); err != nil {
			for _, e := range list {
				a.p.table.touch(e)
			}
			return err
		}
	}
	for _, e := range refused {
		a.p.table.touch(e)
	}
	return nil
}

// putEntry makes the first claim of an entry be in force.
func (a *application) putEntry(e *entry, refused *[]*entry) {
	c := e.wanted()
	m := kernelPolicy(&e.key, &c.Policy, a.p.packetDevice(c.ReqID))
	if e.shared() {
		accept(m)
	}
	if e.image != nil && samePolicy(e.image, m) {
		a.inForce(e, m, c)
		return
	}
	how := message.NewPolicy
	if e.image != nil {
		how = message.UpdPolicy
	}
	var answer func(netlink.Reply)
	answer = func(r netlink.Reply) {
		switch {
		case r.Err == nil:
			a.inForce(e, m, c)
		case is(r.Err, syscall.EEXIST) && how == message.NewPolicy:
			a.getPolicy(&e.key, func(is *message.Policy, err error) {
				if err == nil && tagged(is) {
					how = message.UpdPolicy
					a.putPolicy(how, m, answer)
					return
				}
				a.refuse(e, c, r.Err, refused)
			})
		default:
			a.refuse(e, c, r.Err, refused)
		}
	}
	a.putPolicy(how, m, answer)
}

func (a *application) delEntry(e *entry, refused *[]*entry) {
	if e.image == nil {
		a.p.table.forget(e)
		return
	}
	a.delPolicy(&e.key, func(r netlink.Reply) {
		if r.Err != nil && !gone(r.Err) {
			*refused = append(*refused, e)
			a.errs = append(a.errs, fmt.Errorf("the policy %s cannot be removed: %w", keyText(e.key), common(r.Err)))
			return
		}
		a.inForce(e, nil, nil)
		a.p.table.forget(e)
	})
}

// inForce notes what the kernel has at an entry, and by whom. With the policy of this
// instance in force that of a killed one has served.
func (a *application) inForce(e *entry, m *message.Policy, c *claim) {
	e.image = m
	lead := e.lead
	e.lead = nil
	if c != nil {
		e.lead = a.p.routesOf(&c.Policy)
		if old := e.leftoverOf(); old != nil && old != c {
			a.p.table.dropLeftover(e, old)
		}
	}
	for _, r := range e.lead {
		a.p.routes.want(r, 1)
	}
	for _, r := range lead {
		a.p.routes.want(r, -1)
	}
}

// refuse takes back a claim of this Apply that the kernel did not take, in whole: of a
// policy there is all or nothing. What it has replaced stands again.
func (a *application) refuse(e *entry, c *claim, err error, refused *[]*entry) {
	old, mine := a.before[c]
	switch {
	case !slices.Contains(e.claims, c):
		return // another part of it was refused before
	case mine:
		delete(a.before, c)
		k, _ := claimKeyOf(&c.Policy)
		a.p.table.put(k, old)
	case !is(err, syscall.EEXIST):
		*refused = append(*refused, e)
	}
	a.errs = append(a.errs, fmt.Errorf("%s cannot be installed: %w", namePolicy(&c.Policy), refusedPolicy(err)))
}
