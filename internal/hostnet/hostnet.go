//go:build linux

// Package hostnet sets up what tunnels need of the host's network: the routes that
// lead packets for protected networks into a tunnel device, or on the way to the peer
// where the kernel protects them; tunnel interfaces; and news of what changes. The
// routes stand in a table of their own, which a rule makes every packet ask but those
// of the outer sockets, told apart by their mark. What other programs have set up is
// never touched.
package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route leads packets for a protected network into a tunnel device, or on the way to
// the peer. Local is the network on this side: an address of this host in it becomes
// the source address of the host's own packets, so that they are of the tunnel, too.
type Route struct {
	Dst, Local netip.Prefix
	// Via is the peer's outer address: packets leave on the way to it, where the kernel
	// protects them. Invalid: they go into Device.
	Via netip.Addr
	// Device is the tunnel device, "": Options.Device.
	Device string
	// Bypass: packets for Dst are for no tunnel, though another route covers them. They
	// go where they would without us.
	Bypass bool
}

// Options say which table and rule are ours.
type Options struct {
	Device string // of the tunnels; "": there is none but those that routes name
	Table  int    // 0: DefaultTable
	// RulePriority is that of the rules, 0: DefaultRulePriority. It has to be lower than
	// that of the rule for the main table, 32766.
	RulePriority int
	// Mark is that of outer packets, for which the routes are not. Without one the ways
	// to peers are found through our own table, too.
	Mark uint32
	Warn func(string) // gets lines for the log, also from a goroutine of ours; may be nil
}

// The defaults of Options.
const (
	DefaultTable        = 4500
	DefaultRulePriority = 4500
)

// mainPriority is that of the system's rule for the main table.
const mainPriority = 32766

// protocol marks our routes and rules (rtm_protocol): nobody else's number.
const protocol = 145

// Routes are the routes of one instance. The methods are safe for concurrent use.
type Routes struct {
	opts     Options
	families []int
	requests *netlink.Handle
	dumps    *netlink.Handle // the kernel sends only what was asked for
	news     *news
	done     chan struct{} // closed: the goroutine that follows the news ends
	follows  sync.WaitGroup

	mu     sync.Mutex
	is     table   // what is set
	wanted []Route // by the last Set
	isSet  bool    // there was one
	seen   changes // what has changed and was not looked at
	closed bool

	// What is known of the host until it changes.
	own     []netip.Addr       // its addresses, the best source first
	devices map[string]int     // index by name, 0: there is none
	ways    map[netip.Addr]way // to peers

	changed  int    // how many changes of ours are in the news
	complain string // the last warning of the goroutine
	foreign  int    // routes in our table that are not ours
	checked  bool   // whether reverse path filtering is in the way
}

// Open puts the rules in place. The routes that a killed instance has left stay until
// the first Set, so that nothing leaves in the clear meanwhile.
func Open(_ context.Context, o Options) (*Routes, error) {
	if o.Table == 0 {
		o.Table = DefaultTable
	}
	if o.RulePriority == 0 {
		o.RulePriority = DefaultRulePriority
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.RulePriority < 1 || o.RulePriority >= mainPriority {
		return nil, fmt.Errorf("priority %d of the routing rules: 1 to %d are allowed", o.RulePriority, mainPriority-1)
	}
	if o.Table < 1 || o.Table > 1<<31-1 || o.Table >= unix.RT_TABLE_DEFAULT && o.Table <= unix.RT_TABLE_LOCAL {
		return nil, fmt.Errorf("routing table %d is the system's or does not exist", o.Table)
	}
	r := &Routes{opts: o, is: make(table), done: make(chan struct{}),
		devices: make(map[string]int), ways: make(map[netip.Addr]way)}
	if err := r.open(); err != nil {
		r.release()
		return nil, err
	}
	r.follows.Go(r.follow)
	return r, nil
}

func (r *Routes) open() error {
	if err := r.connect(); err != nil {
		return fmt.Errorf("the kernel's routing (netlink) cannot be reached: %w", err)
	}
	if name := r.opts.Device; name != "" {
		if _, err := r.requests.LinkByName(name); err != nil {
			return fmt.Errorf("tunnel device %s: %w", name, err)
		}
	}
	var added []*netlink.Rule
	err := r.openTable(&added)
	if err == nil {
		return nil
	}
	// What a killed instance has left stays, or it would be worse than before.
	for _, rule := range added {
		err = errors.Join(err, r.requests.RuleDel(rule))
	}
	return err
}

// openTable puts the rules in place, telling which it has added, and reads the table.
func (r *Routes) openTable(added *[]*netlink.Rule) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rule := r.rule(family)
		err := r.requests.RuleAdd(rule)
		switch {
		case noFamily(err):
			continue
		case err == nil:
			*added = append(*added, rule)
		case !errors.Is(err, unix.EEXIST): // that was left, or is wanted by others, too
			return fmt.Errorf("adding the routing rule for table %d: %w", r.opts.Table, err)
		}
		r.families = append(r.families, family)
		// Rules that an instance with other options has left go only now.
		if err := r.removeRules(family, rule); err != nil {
			return err
		}
	}
	if len(r.families) == 0 {
		return errors.New("this system has no routing rules (policy routing)")
	}
	err := r.refresh()
	if r.foreign > 0 {
		r.opts.Warn(fmt.Sprintf("routing table %d has %d routes of other programs: packets follow them as well", r.opts.Table, r.foreign))
	}
	return err
}

// connect opens the netlink sockets.
func (r *Routes) connect() (err error) {
	if r.requests, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	if r.dumps, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	// Without this, from before Linux 4.20, all tables are sent and sorted out here.
	_ = r.dumps.SetStrictCheck(true)
	r.news, err = listen()
	return err
}

// release closes the netlink sockets.
func (r *Routes) release() {
	for _, h := range []*netlink.Handle{r.requests, r.dumps} {
		if h != nil {
			h.Close()
		}
	}
	if r.news != nil {
		r.news.close()
	}
}

// noFamily tells whether an error only says that the system lacks a family.
func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// Close removes the rules and routes that are ours.
func (r *Routes) Close() error {
	defer r.follows.Wait() // with the lock released
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	err := r.removeAll()
	r.end()
	return err
}

// end ends everything, and leaves rules and routes as they are.
func (r *Routes) end() {
	r.closed = true
	close(r.done)
	r.release()
}

// removeAll removes what is ours, whatever we remember of it.
func (r *Routes) removeAll() error {
	var errs failures
	for _, family := range r.families {
		errs.add(r.removeRules(family, nil))
	}
	is, err := r.list()
	if err != nil {
		is = r.is
	}
	errs.add(err)
	for _, throw := range []bool{false, true} {
		for dst, e := range is {
			if e.lead.throw == throw {
				errs.add(r.put(dst, e, entry{}))
			}
		}
	}
	return errs.err()
}
