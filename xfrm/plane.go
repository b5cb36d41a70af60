//go:build linux

// Package xfrm is the data plane of the kernel: SAs and policies are installed over
// netlink (XFRM), and packets are carried at the kernel's speed.
package xfrm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// Kernel is how the plane speaks to the kernel; *netlink.Conn satisfies it.
type Kernel interface {
	Do(ctx context.Context, requests []netlink.Request) ([]netlink.Reply, error)
	Dump(ctx context.Context, r netlink.Request) ([]netlink.Message, error)
}

// Notices is where the kernel's notices come from; *netlink.Listener satisfies it.
type Notices interface {
	Receive(ctx context.Context) ([]netlink.Message, error)
}

// Network leads packets for protected networks to where the kernel protects them.
type Network interface {
	// Set makes these all the routes that there are. They belong to the callee.
	Set(ctx context.Context, routes []hostnet.Route) error
}

// Config is what a Plane needs. Close closes nothing of it.
type Config struct {
	Kernel  Kernel
	Notices Notices // nil: there are none
	Network Network // nil: no routes
	// Device names the interface of an XFRM interface ID, "" when there is none; nil:
	// there are none.
	Device func(ifID uint32) string
	// OffloadDevice is the index of the interface that has a local address, 0: unknown.
	// It is asked for SAs with offload; nil: there is no offload.
	OffloadDevice func(local netip.Addr) int
	// FirstReqID and LastReqID are the range of the request IDs of this daemon: an SA
	// or policy with one of them is ours, also when it was there before. The last one
	// is the plane's own, for SPIs that are reserved and SAs that are only tried.
	FirstReqID, LastReqID uint32
	// Grace is how long SAs and policies of an instance that was killed stay when
	// nothing takes their place; 0: DefaultGrace.
	Grace time.Duration
	Warn  func(text string) // gets lines for the log; may be nil
}

// DefaultGrace is long enough for a peer to notice that it speaks to nobody.
const DefaultGrace = 3 * time.Minute

// closeTime bounds how long Close waits for the kernel.
const closeTime = 10 * time.Second

// Plane is the data plane. Its methods are safe for concurrent use.
type Plane struct {
	cfg      Config
	directed atomic.Bool // the kernel knows the direction of SAs
	larvae   larvae
	told     tellings
	checks   checks
	repairs  repairs // of Watch alone

	mu            sync.Mutex // guards what follows, also while the kernel answers
	closed        bool
	stale         bool // the kernel may have other SAs and policies than these
	sas           map[esp.SAID]*sa
	byReqID       map[uint32][]*sa
	leftoverSAs   int
	table         *table
	routes        routes
	packetOffload map[int32]bool // interfaces that were tried
	revived       map[string]bool
	asked         map[uint32]ends // request IDs for which the kernel has asked, and for which SA
	grace         *time.Timer
	stop          context.CancelFunc
}

// New makes a plane. What a killed instance has left is taken over: it stays in force
// until new policies take its place, at most for Config.Grace.
func New(ctx context.Context, cfg Config) (*Plane, error) {
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}
	p := &Plane{
		cfg: cfg, sas: make(map[esp.SAID]*sa), byReqID: make(map[uint32][]*sa), table: newTable(),
		packetOffload: make(map[int32]bool), revived: make(map[string]bool), asked: make(map[uint32]ends), stop: func() {},
	}
	p.larvae.since = make(map[esp.SAID]time.Time)
	p.told.wake = make(chan struct{}, 1)
	p.checks.known = make(map[form]bool)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.takeOver(ctx); err != nil {
		return nil, fmt.Errorf("the SAs and policies that are there: %w", err)
	}
	return p, nil
}

// ours tells whether a request ID is of this daemon.
func (p *Plane) ours(reqID uint32) bool {
	return p.cfg.FirstReqID <= reqID && reqID <= p.cfg.LastReqID
}

func (p *Plane) enterSA(s *sa) {
	p.sas[s.id] = s
	if s.leftover {
		p.leftoverSAs++
	}
	p.byReqID[s.reqID] = append(p.byReqID[s.reqID], s)
}

func (p *Plane) forgetSA(s *sa) {
	if p.sas[s.id] != s {
		return
	}
	delete(p.sas, s.id)
	if s.leftover {
		p.leftoverSAs--
	}
	left := slices.DeleteFunc(p.byReqID[s.reqID], func(x *sa) bool { return x == s })
	if p.byReqID[s.reqID] = left; len(left) == 0 {
		delete(p.byReqID, s.reqID)
	}
}

// Query implements engine.DataPlane. A reserved SPI has carried nothing.
func (p *Plane) Query(ctx context.Context, id esp.SAID) (esp.Usage, error) {
	id = unmappedID(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sas[id]
	switch {
	case p.closed:
		return esp.Usage{}, net.ErrClosed
	case s == nil && p.larvae.has(id):
		return esp.Usage{LastUse: -1}, nil
	case s == nil:
		return esp.Usage{}, fmt.Errorf("%s is not there", nameSA(id, ""))
	}
	var usage esp.Usage
	var failed error
	x := exchange{ctx: ctx, kernel: p.cfg.Kernel}
	x.getSA(id, s.mark, func(st *message.State, err error) {
		if failed = err; err == nil {
			usage = total(s, st)
			usage.LastUse = s.lastUse(st, usage.Packets)
		}
	})
	if err := x.flush(); err != nil {
		return esp.Usage{}, err
	}
	switch {
	case gone(failed):
		return esp.Usage{}, fmt.Errorf("%s is not there", nameSA(id, ""))
	case failed != nil:
		return esp.Usage{}, fmt.Errorf("%s: %w", nameSA(id, ""), common(failed))
	}
	return usage, nil
}

// lastUse is how long ago an SA carried a packet, negative if never. The kernel counts
// in seconds. Before Linux 6.2 it does not tell: then a packet that has come since the
// last Query counts as one of now.
func (s *sa) lastUse(st *message.State, packets uint64) time.Duration {
	if st.LastUsed != 0 {
		return max(time.Since(time.Unix(int64(st.LastUsed), 0)), 0)
	}
	if packets != s.seen {
		s.seen, s.seenAt = packets, time.Now()
	}
	if s.seenAt.IsZero() {
		return -1
	}
	return time.Since(s.seenAt)
}

// Close removes the SAs, policies and reserved SPIs. Routes are left to whoever closes
// Network; the states of packets that wait for an SA cannot be removed one by one and
// end by themselves, after net.core.xfrm_acq_expires seconds. Afterwards all methods
// return net.ErrClosed.
func (p *Plane) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var errs []error
	if p.stale {
		errs = append(errs, p.resync(ctx))
	}
	p.closed = true
	p.stop()
	a := p.newApplication(ctx, nil)
	for _, s := range p.sas {
		a.delSA(s.id, s.mark, a.removed(s))
	}
	for _, id := range p.larvae.end() {
		a.delSA(id, nil, ignore)
	}
	for _, e := range p.table.entries {
		if e.image != nil {
			a.delPolicy(&e.key, a.closed(e))
		}
	}
	errs = append(errs, a.flush())
	errs = append(errs, a.errs...)
	p.sas, p.byReqID, p.table, p.leftoverSAs = make(map[esp.SAID]*sa), make(map[uint32][]*sa), newTable(), 0
	return errors.Join(errs[:min(len(errs), maxCloseErrors)]...)
}

// maxCloseErrors bounds what Close tells of a kernel that refuses everything.
const maxCloseErrors = 8

// closed is the answer to the removal of a policy by Close.
func (a *application) closed(e *entry) func(netlink.Reply) {
	return func(r netlink.Reply) {
		if r.Err != nil && !gone(r.Err) {
			a.errs = append(a.errs, fmt.Errorf("the policy %s cannot be removed: %w", keyText(e.key), common(r.Err)))
		}
	}
}
