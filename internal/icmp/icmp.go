//go:build linux

// Package icmp hears what routers and hosts say about packets that did not arrive. Anybody
// can forge that, so it is of use as a hint only.
package icmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Kind is what was said.
type Kind uint8

// The kinds.
const (
	Other      Kind = iota // some other reason
	NoPort                 // nothing listens at the port
	NoHost                 // the host is not there
	NoNetwork              // there is no route
	Prohibited             // a firewall
	TooBig                 // the packet is larger than MTU
	TimeOut                // the packet was on its way for too long: a loop of routes
)

var words = [...]string{"other", "no-port", "no-host", "no-network", "prohibited", "too-big", "time-out"}

// String is the word for the kind.
func (k Kind) String() string { return words[min(int(k), len(words)-1)] }

// Error says that a UDP packet of this host did not arrive.
type Error struct {
	By            netip.Addr // who says so
	Local, Remote netip.AddrPort
	Kind          Kind
	MTU           int // of TooBig, in octets; 0: not said
}

// most is how many errors are told in a second; what comes beyond is lost.
const most = 50

// Listen tells fn of errors about UDP packets from one of some ports, until ctx is done.
// It needs CAP_NET_RAW; a family that this host lacks is left out.
func Listen(ctx context.Context, ports []uint16, fn func(Error)) error {
	v4, err4 := open(ctx, "ip4:icmp", unix.SOL_RAW, icmpFilter, []byte{^byte(1 << v4Unreachable), ^byte(1 << (v4TimeOut - 8)), 0xff, 0xff})
	v6, err6 := open(ctx, "ip6:ipv6-icmp", unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, v6Filter())
	if v4 == nil && v6 == nil {
		return fmt.Errorf("ICMP errors cannot be heard: %w", errors.Join(err4, err6))
	}
	var readers sync.WaitGroup
	for _, s := range []struct {
		conn  *net.IPConn
		parse func([]byte) (Error, bool)
	}{{v4, parse4}, {v6, parse6}} {
		if s.conn != nil {
			readers.Go(func() { read(ctx, s.conn, ports, s.parse, fn) })
		}
	}
	readers.Wait()
	return nil
}

// icmpFilter is the option ICMP_FILTER of raw sockets: a bit for each type that is not
// wanted.
const icmpFilter = 1

// v6Filter is the same for ICMPv6: what is not an error about a packet is left out.
func v6Filter() []byte {
	filter := make([]byte, 32)
	for i := range filter {
		filter[i] = 0xff
	}
	filter[0] = ^byte(1<<v6Unreachable | 1<<v6TooBig | 1<<v6TimeOut)
	return filter
}

func open(ctx context.Context, network string, level, option int, filter []byte) (*net.IPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), level, option, string(filter)) }); e != nil {
			return e
		}
		return err
	}}
	conn, err := lc.ListenPacket(ctx, network, "")
	if err != nil {
		return nil, err
	}
	ip, ok := conn.(*net.IPConn)
	if !ok {
		return nil, errors.Join(errors.New("no raw socket"), conn.Close())
	}
	return ip, nil
}

// read reads errors until ctx is done.
func read(ctx context.Context, conn *net.IPConn, ports []uint16, parse func([]byte) (Error, bool), fn func(Error)) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	b := make([]byte, 256) // the beginning is enough
	for begun, n := time.Now(), 0; ; {
		size, from, err := conn.ReadFromIP(b)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if n++; n >= most {
			if !rest(ctx, time.Second-time.Since(begun)) {
				return
			}
			begun, n = time.Now(), 0
		}
		if err != nil {
			continue
		}
		e, ok := parse(b[:size])
		if !ok || !has(ports, e.Local.Port()) {
			continue
		}
		if e.By, ok = netip.AddrFromSlice(from.IP); !ok {
			continue
		}
		e.By = e.By.Unmap()
		fn(e)
	}
}

func has(ports []uint16, port uint16) bool {
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return false
}

// rest waits; it is false when ctx is done.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
