//go:build linux

package hostnet

import (
	"context"
	"net"
)

// Set makes routes the routes of the tunnels. They belong to Routes from then on. Only
// what differs is changed, and what is to be added is added before anything is
// removed. What can be done is done; the error names the first failure. Routes of a
// family that the host does not have are left out, and those to peers that cannot be
// reached now: they come when there is a way, as all routes follow what changes in the
// host's network from then on. After Close Set returns net.ErrClosed.
func (r *Routes) Set(ctx context.Context, routes []Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	r.wanted, r.isSet, r.complain = routes, true, ""
	return r.apply(ctx)
}

// apply makes the routes those that are wanted, as the host's network is now.
func (r *Routes) apply(ctx context.Context) error {
	var errs failures
	errs.add(r.catchUp())
	want, err := r.plan(r.wanted)
	errs.add(err)
	errs.add(r.add(ctx, want))
	for _, throw := range []bool{false, true} {
		errs.add(r.removeBut(ctx, want, throw))
	}
	r.skipOwn()
	errs.add(ctx.Err())
	if errs.first != nil {
		r.seen |= everything
	}
	return errs.err()
}

// add sets what is wanted, first what goes around the tunnels: the way to peers must
// not be caught meanwhile.
func (r *Routes) add(ctx context.Context, want table) error {
	var errs failures
	for _, throw := range []bool{true, false} {
		for dst, e := range want {
			if ctx.Err() != nil {
				break
			}
			if e.lead.throw != throw {
				continue
			}
			errs.add(r.put(dst, r.is[dst], e))
			if e.hold {
				r.checkReversePath(dst)
			}
		}
	}
	return errs.err()
}

// removeBut removes what is not wanted, of the routes that go around the tunnels or
// the others.
func (r *Routes) removeBut(ctx context.Context, want table, throw bool) error {
	var errs failures
	for dst, e := range r.is {
		if ctx.Err() != nil {
			break
		}
		if _, stays := want[dst]; !stays && e.lead.throw == throw {
			errs.add(r.put(dst, e, entry{}))
		}
	}
	return errs.err()
}

// catchUp takes notice of what has changed in the host's network.
func (r *Routes) catchUp() error {
	seen := r.seen | r.news.read()
	r.seen = 0
	if seen == 0 {
		return nil
	}
	clear(r.ways)
	if seen&links != 0 {
		clear(r.devices)
	}
	var errs failures
	if seen&rules != 0 {
		errs.add(r.keepRules())
	}
	// The kernel takes routes away with their device or source, and tells nobody.
	if seen&(links|addresses|ours) != 0 {
		errs.add(r.refresh())
	}
	if errs.first != nil {
		r.seen = everything
	}
	return errs.err()
}

// refresh looks what addresses this host has and what is set.
func (r *Routes) refresh() error {
	own, err := r.ownAddresses()
	if err != nil {
		return err
	}
	is, err := r.list()
	if err != nil {
		return err
	}
	r.own, r.is = own, is
	return nil
}

// readAfter is after how many changes of our own the news is read, lest it overflow.
const readAfter = 128

// note counts a change of ours, which is in the news as well.
func (r *Routes) note() {
	if r.changed++; r.changed >= readAfter {
		r.skipOwn()
	}
}

// skipOwn reads the news of our own changes, which are none for us.
func (r *Routes) skipOwn() {
	if r.changed > 0 {
		r.changed = 0
		r.seen |= r.news.read() &^ ours
	}
}
