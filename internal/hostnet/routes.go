// Package hostnet sets up what tunnels need of the host's network: the routes that
// lead packets for protected networks into the tunnel device. They stand in a table
// of their own, which a rule makes every packet ask but those of the outer sockets,
// told apart by their mark. What other programs have set up is never touched.
package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route leads packets for a protected network into the tunnel device. Local is the
// network on this side: an address of this host in it becomes the source address of
// the host's own packets, so that they are of the tunnel, too.
type Route struct{ Dst, Local netip.Prefix }

// Options say which table and rule are ours.
type Options struct {
	Device string // of the tunnels
	Table  int    // 0: DefaultTable
	// RulePriority is that of the rules, 0: DefaultRulePriority. It has to be lower than
	// that of the rule for the main table, 32766.
	RulePriority int
	Mark         uint32       // of outer packets, for which the routes are not
	Warn         func(string) // gets lines for the log; may be nil
}

// The defaults of Options.
const (
	DefaultTable        = 4500
	DefaultRulePriority = 4500
)

// protocol marks our routes and rules (rtm_protocol): nobody else's number.
const protocol = 145

// The metrics of a route into the device, and of the one behind it that holds
// packets back when the device is gone.
const (
	metricDevice = 100
	metricHold   = 4278198272
)

// Routes are the routes of one instance. The methods are safe for concurrent use.
type Routes struct {
	opts     Options
	link     int
	families []int

	mu     sync.Mutex
	routes map[key]netlink.Route // that are set
	closed bool
}

// key tells our routes apart.
type key struct {
	dst    netip.Prefix
	metric int
}

// Open puts the rules in place. The unreachable routes that a killed instance has
// left stay until the first Set, so that nothing leaves in the clear meanwhile.
func Open(_ context.Context, o Options) (*Routes, error) {
	if o.Table == 0 {
		o.Table = DefaultTable
	}
	if o.RulePriority == 0 {
		o.RulePriority = DefaultRulePriority
	}
	link, err := netlink.LinkByName(o.Device)
	if err != nil {
		return nil, fmt.Errorf("tunnel device %s: %w", o.Device, err)
	}
	r := &Routes{opts: o, link: link.Attrs().Index, routes: make(map[key]netlink.Route)}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := r.openFamily(family); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if len(r.families) == 0 {
		return nil, errors.New("this host has neither IPv4 nor IPv6 routing rules")
	}
	return r, nil
}

// openFamily takes over what is there of a family, and adds the rule.
func (r *Routes) openFamily(family int) error {
	left, err := r.list(family)
	if noFamily(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading routing table %d: %w", r.opts.Table, err)
	}
	for _, route := range left {
		if k, ok := keyOf(family, &route); ok {
			r.routes[k] = route
		}
	}
	err = netlink.RuleAdd(r.rule(family))
	switch {
	case noFamily(err):
		return nil
	case err != nil && !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("adding the routing rule for table %d: %w", r.opts.Table, err)
	}
	r.families = append(r.families, family)
	return nil
}

// noFamily tells whether an error only says that the system lacks a family.
func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// rule is "not fwmark MARK lookup TABLE".
func (r *Routes) rule(family int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority, rule.Protocol = family, r.opts.Table, r.opts.RulePriority, protocol
	if r.opts.Mark != 0 {
		mask := ^uint32(0)
		rule.Mark, rule.Mask, rule.Invert = r.opts.Mark, &mask, true
	}
	return rule
}

// list reads our routes of a family.
func (r *Routes) list(family int) ([]netlink.Route, error) {
	filter := &netlink.Route{Table: r.opts.Table, Protocol: protocol}
	return netlink.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
}

func keyOf(family int, route *netlink.Route) (key, bool) {
	k := key{metric: route.Priority}
	if route.Dst == nil { // the default route
		k.dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if family == unix.AF_INET6 {
			k.dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return k, true
	}
	addr, ok := netip.AddrFromSlice(route.Dst.IP)
	if !ok {
		return k, false
	}
	if family == unix.AF_INET {
		addr = addr.Unmap()
	}
	ones, _ := route.Dst.Mask.Size()
	k.dst = netip.PrefixFrom(addr, ones)
	return k, true
}

// Set makes routes the routes of the tunnels. What is to be added is added before
// anything is removed; the first error is returned, and what could be done is done.
func (r *Routes) Set(_ context.Context, routes []Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	want, errs := r.plan(routes)
	for _, hold := range []bool{true, false} { // what holds back comes first
		for k, route := range want {
			if (k.metric == metricHold) != hold || same(r.routes[k], route) {
				continue
			}
			if err := netlink.RouteReplace(&route); err != nil {
				errs = append(errs, fmt.Errorf("route to %s: %w", k.dst, err))
				continue
			}
			r.routes[k] = route
		}
	}
	for _, hold := range []bool{false, true} { // and goes last
		for k, route := range r.routes {
			if _, stays := want[k]; stays || (k.metric == metricHold) != hold {
				continue
			}
			errs = append(errs, r.remove(k, route))
		}
	}
	return errors.Join(errs...)
}

func (r *Routes) remove(k key, route netlink.Route) error {
	delete(r.routes, k)
	err := netlink.RouteDel(&route)
	if err == nil || errors.Is(err, unix.ESRCH) { // gone with the device
		return nil
	}
	return fmt.Errorf("removing the route to %s: %w", k.dst, err)
}

// Close removes all that is ours.
func (r *Routes) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var errs []error
	for _, hold := range []bool{false, true} {
		for k, route := range r.routes {
			if (k.metric == metricHold) == hold {
				errs = append(errs, r.remove(k, route))
			}
		}
	}
	for _, family := range r.families {
		if err := netlink.RuleDel(r.rule(family)); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing the routing rule: %w", err))
		}
	}
	return errors.Join(errs...)
}
