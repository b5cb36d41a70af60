package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

// The memory of a reader: a train, or the largest datagram, fits a buffer.
const (
	bufferSize = 1 << 16
	readBatch  = 32
)

// Serve delivers what is received until ctx is done: IKE messages to receive, ESP to
// the functions of the options. Each socket has one reader. It is called once. When
// the transport is closed before ctx is done it returns net.ErrClosed.
func (t *Transport) Serve(ctx context.Context, receive func([]ike.Datagram)) error {
	// The sockets stay open: what is said at the end of an IKE SA is still to be sent.
	defer context.AfterFunc(ctx, t.wake)()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	start := func(s *udp.Socket, handle func([]udp.Packet)) {
		if s == nil {
			return
		}
		wg.Go(func() {
			if err := t.read(ctx, s, handle); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, s := range []*udp.Socket{t.plain.v4, t.plain.v6} {
		start(s, t.newReceiver(ike.Port, receive).plain)
	}
	for _, s := range []*udp.Socket{t.natt.v4, t.natt.v6} {
		start(s, t.newReceiver(ike.NATTPort, receive).natt)
	}
	for _, s := range []*udp.Socket{t.raw.v4, t.raw.v6} {
		start(s, t.rawESP)
	}
	wg.Wait()
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// wake lets all readers look at their context.
func (t *Transport) wake() {
	for _, s := range t.sockets() {
		_ = s.SetReadDeadline(time.Unix(1, 0))
	}
}

// source is what read needs of a socket.
type source interface {
	ReadBatch(ps []udp.Packet) (int, error)
}

// read gives batches to handle until ctx is done or the socket is closed. Other
// errors, such as those of ICMP messages, are not the end.
func (t *Transport) read(ctx context.Context, s source, handle func([]udp.Packet)) error {
	room := make([]byte, readBatch*bufferSize)
	ps := make([]udp.Packet, readBatch)
	for failures := 0; ; {
		for i := range ps {
			at := i * bufferSize
			ps[i].Data = room[at : at : at+bufferSize]
		}
		n, err := s.ReadBatch(ps)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			failures = 0
			handle(ps[:n])
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			t.count.readErrors.Add(1)
			t.warnings.warn(err, func() string { return fmt.Sprintf("receiving failed: %v", err) })
			if failures++; !pause(ctx, failures) {
				return nil
			}
		}
	}
}

// maxPause is the longest time after a failure until a socket is tried again.
const maxPause = time.Second

// pause waits longer the more failures there were in a row. It tells whether there
// is still something to wait for.
func pause(ctx context.Context, failures int) bool {
	timer := time.NewTimer(min(time.Millisecond<<min(failures, 16), maxPause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// receiver makes IKE messages of what one socket receives.
type receiver struct {
	t       *Transport
	port    uint16
	receive func([]ike.Datagram)
	sorter  udp.Sorter
	take    func(udp.Packet) // r.add, made once
	dgs     []ike.Datagram
}

func (t *Transport) newReceiver(port uint16, receive func([]ike.Datagram)) *receiver {
	r := &receiver{t: t, port: port, receive: receive}
	r.take = r.add
	return r
}

// plain handles what came to port 500: IKE and nothing else.
func (r *receiver) plain(ps []udp.Packet) {
	for i := range ps {
		r.add(ps[i])
	}
	r.deliver()
}

// natt handles what came to port 4500.
func (r *receiver) natt(ps []udp.Packet) {
	esp := r.sorter.Sort(ps, r.take)
	r.deliver()
	switch {
	case len(esp) == 0:
	case r.t.opts.ESP == nil:
		r.t.count.espDropped.Add(uint64(len(esp)))
	default:
		r.t.opts.ESP(esp)
	}
}

// The header of an IKE message (RFC 7296, 3.1).
const (
	headerLen = 28
	lengthAt  = 24
)

// add takes a message into the batch. What cannot be one is not worth a copy.
func (r *receiver) add(p udp.Packet) {
	if len(p.Data) == 0 {
		return
	}
	if len(p.Data) < headerLen {
		r.t.count.malformed.Add(1)
		return
	}
	if n := binary.BigEndian.Uint32(p.Data[lengthAt:]); n < headerLen || uint64(n) > uint64(len(p.Data)) {
		r.t.count.malformed.Add(1)
		return
	}
	r.dgs = append(r.dgs, ike.Datagram{
		Path: ike.Path{Local: netip.AddrPortFrom(p.Local.Addr(), r.port), Remote: p.Remote},
		Data: bytes.Clone(p.Data),
	})
}

func (r *receiver) deliver() {
	if len(r.dgs) == 0 {
		return
	}
	r.t.count.received.Add(uint64(len(r.dgs)))
	r.receive(r.dgs)
	clear(r.dgs)
	r.dgs = r.dgs[:0]
}

// rawESP passes on what the raw sockets receive.
func (t *Transport) rawESP(ps []udp.Packet) {
	good := ps[:0]
	for _, p := range ps {
		if len(p.Data) > 0 {
			good = append(good, p)
		}
	}
	t.count.rawMalformed.Add(uint64(len(ps) - len(good)))
	if len(good) > 0 {
		t.opts.RawESP(good)
	}
}
