//go:build linux

package hostnet

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Set makes routes the routes of the tunnels. Only what differs is changed, and what
// is to be added is added before anything is removed. What can be done is done; the
// error names the first failure. Routes of a family that the host does not have are
// left out. After Close it returns net.ErrClosed.
func (r *Routes) Set(ctx context.Context, routes []Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	var errs failures
	if r.news.arrived() || r.stale {
		errs.add(r.refresh())
	}
	want := r.plan(routes)
	for dst, src := range want {
		if ctx.Err() != nil {
			break
		}
		errs.add(r.put(dst, src))
		r.checkReversePath(dst)
	}
	for dst, e := range r.is {
		if ctx.Err() != nil {
			break
		}
		if _, stays := want[dst]; !stays {
			errs.add(r.remove(dst, e))
			delete(r.is, dst)
		}
	}
	errs.add(ctx.Err())
	if errs.first != nil {
		r.stale = true
	}
	return errs.err()
}

// refresh looks what addresses this host has and what is set: the kernel takes
// routes away when the device goes down, and their sources with the addresses.
func (r *Routes) refresh() error {
	r.stale = true
	own, err := r.ownAddresses()
	if err != nil {
		return err
	}
	is, err := r.list()
	if err != nil {
		return err
	}
	r.own, r.is, r.stale = own, is, false
	return nil
}

// plan is the destinations that are wanted, each with its preferred source. Of
// several routes to a destination the first with an address of this host gives it.
func (r *Routes) plan(routes []Route) map[netip.Prefix]netip.Addr {
	want := make(map[netip.Prefix]netip.Addr, len(routes))
	for _, route := range routes {
		if !route.Dst.IsValid() {
			continue
		}
		dst := route.Dst.Masked()
		if !slices.Contains(r.families, familyOf(dst.Addr())) {
			continue
		}
		if !want[dst].IsValid() {
			want[dst] = sourceIn(r.own, route.Local, dst)
		}
	}
	return want
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
