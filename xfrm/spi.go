//go:build linux

package xfrm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// The SPIs and CPIs to choose from. Lower ones are reserved (RFC 4303, 2.1), as are
// CPIs below 256; those from 61440 on are for private use (RFC 3173, 3.3).
const (
	firstSPI = 0x100
	lastSPI  = 0xffff_ffff
	lastCPI  = 0xefff
)

const (
	// larvalLife is how long an SPI is remembered for an SA that does not come: longer
	// than an exchange is tried.
	larvalLife = 165 * time.Second
	// maxLarval bounds the SPIs that wait for their SAs.
	maxLarval = 1 << 16
)

var errManySPIs = errors.New("too many SPIs wait for their SAs")

// larvae are the SPIs that were given out and have no SA yet.
type larvae struct {
	mu     sync.Mutex
	closed bool
	since  map[esp.SAID]time.Time
}

// add remembers an SPI. It is false when the plane was closed meanwhile.
func (l *larvae) add(id esp.SAID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.since[id] = now
	}
	return !l.closed
}

// take forgets an SPI, and tells whether it was given out.
func (l *larvae) take(id esp.SAID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.since[id]
	delete(l.since, id)
	return ok
}

func (l *larvae) has(id esp.SAID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.since[id]
	return ok
}

// room refuses when too many wait. The kernel keeps them for a shorter time.
func (l *larvae) room(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	if len(l.since) < maxLarval {
		return nil
	}
	for id, since := range l.since {
		if now.Sub(since) > larvalLife {
			delete(l.since, id)
		}
	}
	if len(l.since) >= maxLarval {
		return errManySPIs
	}
	return nil
}

// end returns what waits, for the last time.
func (l *larvae) end() []esp.SAID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	ids := make([]esp.SAID, 0, len(l.since))
	for id := range l.since {
		ids = append(ids, id)
	}
	l.since = nil
	return ids
}

// AllocSPI implements engine.DataPlane. The kernel reserves the SPI, and forgets it
// after net.core.xfrm_acq_expires seconds; an SA that comes later gets its SPI all the
// same. At most 65536 are reserved at a time.
func (p *Plane) AllocSPI(ctx context.Context, src, dst netip.Addr, proto esp.Proto) (uint32, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := p.larvae.room(time.Now()); err != nil {
		return 0, err
	}
	src, dst = src.Unmap(), dst.Unmap()
	st, err := p.allocate(ctx, src, dst, proto)
	if err != nil {
		return 0, fmt.Errorf("no SPI for %s from %s to %s: %w", protoText(proto), src, dst, err)
	}
	if st.Dir != 0 {
		p.directed.Store(true)
	}
	id := espID(st.ID)
	if !p.larvae.add(id, time.Now()) {
		x := exchange{ctx: ctx, kernel: p.cfg.Kernel}
		x.delSA(id, nil, ignore)
		_ = x.flush()
		return 0, net.ErrClosed
	}
	return id.SPI, nil
}

func (p *Plane) allocate(ctx context.Context, src, dst netip.Addr, proto esp.Proto) (*message.State, error) {
	last := uint32(lastSPI)
	if proto == esp.ProtoIPComp {
		last = lastCPI
	}
	want := &message.State{
		ID: message.ID{Dst: dst, Proto: uint8(proto)}, Src: src, Mode: message.Tunnel, ReqID: p.cfg.LastReqID, Dir: message.SADirIn,
	}
	body, err := message.AppendAllocSPI(nil, want, firstSPI, last)
	if err != nil {
		return nil, err
	}
	replies, err := p.cfg.Kernel.Do(ctx, []netlink.Request{{Type: message.AllocSPI, Body: body}})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the kernel did not answer: %w", err)
	case len(replies) != 1:
		return nil, fmt.Errorf("%d answers to one request", len(replies))
	case is(replies[0].Err, syscall.ENOENT):
		return nil, fmt.Errorf("all are taken: %w", replies[0].Err)
	case replies[0].Err != nil:
		return nil, common(replies[0].Err)
	}
	st, err := message.ParseState(replies[0].Body)
	if err == nil && st.ID.SPI < firstSPI {
		err = fmt.Errorf("the kernel gave the SPI %#x", st.ID.SPI)
	}
	return st, err
}
