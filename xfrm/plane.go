//go:build linux

// Package xfrm is the data plane of the kernel: SAs and policies are installed over
// netlink (XFRM), and packets are carried at the kernel's speed.
package xfrm

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/internal/hostnet"
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
	Notices Notices
	Network Network // nil: no routes
	// Device names the interface of an XFRM interface ID, "" when there is none; nil:
	// there are none.
	Device func(ifID uint32) string
	// OffloadDevice is the index of the interface that has a local address, 0: unknown.
	// It is asked for SAs with offload; nil: there is no offload.
	OffloadDevice func(local netip.Addr) int
	// FirstReqID and LastReqID are the range of the request IDs of this daemon: an SA
	// or policy with one of them is ours, also when it was there before.
	FirstReqID, LastReqID uint32
	// Grace is how long SAs and policies of an instance that was killed stay when
	// nothing takes their place; 0: DefaultGrace.
	Grace time.Duration
	Warn  func(text string) // gets lines for the log; may be nil
}

// DefaultGrace is long enough for a peer to notice that it speaks to nobody.
const DefaultGrace = 3 * time.Minute

// Plane is the data plane. Its methods are safe for concurrent use.
type Plane struct{}

// New makes a plane. What a killed instance has left is taken over.
func New(ctx context.Context, cfg Config) (*Plane, error) { return nil, errors.New("not yet") }

// Probe tells whether this kernel can hold an ESP SA; the error says why it cannot.
func Probe(ctx context.Context, k Kernel) error { return errors.New("not yet") }

// AllocSPI implements engine.DataPlane.
func (p *Plane) AllocSPI(ctx context.Context, src, dst netip.Addr, proto esp.Proto) (uint32, error) {
	return 0, errors.New("not yet")
}

// Apply implements engine.DataPlane.
func (p *Plane) Apply(ctx context.Context, ops []esp.Op) error { return errors.New("not yet") }

// Check implements engine.DataPlane.
func (p *Plane) Check(ctx context.Context, sa esp.SA) error { return errors.New("not yet") }

// Query implements engine.DataPlane.
func (p *Plane) Query(ctx context.Context, id esp.SAID) (esp.Usage, error) {
	return esp.Usage{}, errors.New("not yet")
}

// Watch implements engine.DataPlane.
func (p *Plane) Watch(ctx context.Context, sink func(esp.Notice)) error { return errors.New("not yet") }

// Close removes what is installed.
func (p *Plane) Close() error { return nil }
