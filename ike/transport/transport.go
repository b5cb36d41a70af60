// Package transport carries IKE and ESP packets over the sockets of the host: UDP
// ports 500 and 4500 (RFC 7296, 3.1; RFC 3948) and raw ESP, each for IPv4 and
// IPv6. It is the transport of the engine and the carrier of the data plane.
package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

// Options say what a Transport opens, and to whom ESP goes.
type Options struct {
	Mark  uint32 // SO_MARK of every packet sent
	Encap bool   // the kernel takes the ESP in UDP
	// ESP is given the ESP in UDP that was received on port 4500. It is called from
	// the reader of each socket, maybe at the same time; ps is valid during the call.
	// nil drops it.
	ESP func(ps []udp.Packet)
	// RawESP is given the ESP that came without UDP, in the same way. nil: no raw
	// sockets are opened.
	RawESP func(ps []udp.Packet)
	// Port and NATTPort are the UDP ports to listen on, 0: ike.Port and ike.NATTPort.
	// Paths have the ports of the protocol in any case.
	Port, NATTPort uint16
	// Warn is told, not too often, what could not be sent or received; may be nil.
	Warn func(string)
}

// pair is a socket for each family; v6 is nil when the system has no IPv6.
type pair struct{ v4, v6 *udp.Socket }

// Transport is the sockets of a key daemon. All methods are safe for concurrent use.
type Transport struct {
	opts             Options
	plain, natt, raw pair
	warnings         limiter
	count            counters
	senders          sync.Pool // of *sender
	closing          func() error
}

type counters struct {
	received, malformed, sent, sendErrors atomic.Uint64
	espDropped, rawMalformed, readErrors  atomic.Uint64
}

// Sizes of the buffers of the kernel: bursts of ESP are large, and a burst of first
// messages should not push out those of tunnels that are up.
const (
	plainBuffer = 1 << 20
	espBuffer   = 4 << 20
)

// Open opens the sockets. Its error names the port that cannot be had, and wraps the
// system's.
func Open(ctx context.Context, o Options) (*Transport, error) {
	if o.Port == 0 {
		o.Port = ike.Port
	}
	if o.NATTPort == 0 {
		o.NATTPort = ike.NATTPort
	}
	if o.Port == o.NATTPort {
		return nil, fmt.Errorf("IKE and NAT traversal need different ports, found UDP port %d for both", o.Port)
	}
	t := &Transport{opts: o}
	t.warnings.out = o.Warn
	t.senders.New = func() any { return new(sender) }
	t.closing = sync.OnceValue(t.close)
	if err := t.open(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Transport) open(ctx context.Context) error {
	base := udp.Options{Bypass: true, Mark: t.opts.Mark}
	plain := base
	plain.BufferBytes = plainBuffer
	natt := base
	natt.BufferBytes, natt.Encap, natt.Offload = espBuffer, t.opts.Encap, t.opts.ESP != nil && !t.opts.Encap
	if err := openPair(ctx, &t.plain, udp.Listen, t.opts.Port, plain); err != nil {
		return err
	}
	if err := openPair(ctx, &t.natt, udp.Listen, t.opts.NATTPort, natt); err != nil {
		return err
	}
	if t.opts.RawESP == nil {
		return nil
	}
	raw := base
	raw.BufferBytes = espBuffer
	return openPair(ctx, &t.raw, udp.ListenRaw, 0, raw)
}

// openPair opens a socket for each family. A system without IPv6 has none for it.
func openPair(ctx context.Context, p *pair, open func(context.Context, udp.Options) (*udp.Socket, error), port uint16, o udp.Options) error {
	var err error
	o.Addr = netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	if p.v4, err = open(ctx, o); err != nil {
		return err
	}
	o.Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	p.v6, err = open(ctx, o)
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return nil
	}
	return err
}

// of is the socket for the family of an address, or nil.
func (p *pair) of(a netip.Addr) *udp.Socket {
	if a.Is6() && !a.Is4In6() {
		return p.v6
	}
	return p.v4
}

func (t *Transport) sockets() []*udp.Socket {
	var all []*udp.Socket
	for _, s := range []*udp.Socket{t.plain.v4, t.plain.v6, t.natt.v4, t.natt.v6, t.raw.v4, t.raw.v6} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

// Close closes the sockets. Serve then ends, if it has not yet.
func (t *Transport) Close() error { return t.closing() }

func (t *Transport) close() error {
	var errs []error
	for _, s := range t.sockets() {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Counters are what has happened since Open, by name.
func (t *Transport) Counters() map[string]uint64 {
	c := &t.count
	return map[string]uint64{
		"ike_received":      c.received.Load(),
		"ike_malformed":     c.malformed.Load(),
		"ike_sent":          c.sent.Load(),
		"ike_send_errors":   c.sendErrors.Load(),
		"esp_udp_dropped":   c.espDropped.Load(),
		"esp_raw_malformed": c.rawMalformed.Load(),
		"read_errors":       c.readErrors.Load(),
	}
}
