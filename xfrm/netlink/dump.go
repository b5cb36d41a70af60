//go:build linux

package netlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// maxDumps is how often a list that changes is read.
const maxDumps = 8

// dumpState is that of the socket for dumps.
type dumpState struct {
	seq  uint32 // of the last dump
	open bool   // it was not read to its end, which the kernel wants before the next
}

var errChanges = fmt.Errorf("the list changed each of the %d times that it was read", maxDumps)

// Dump collects what a request with NLM_F_DUMP lists. A list that changed while it was
// read (NLM_F_DUMP_INTR) is read again, a bounded number of times.
func (c *Conn) Dump(ctx context.Context, r Request) ([]Message, error) {
	defer clear(r.Body)
	if len(r.Body) > maxBody {
		return nil, fmt.Errorf("a request of %d octets, at most %d are possible", len(r.Body), maxBody)
	}
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.closing:
		return nil, net.ErrClosed
	}
	defer func() { <-c.turn }()
	wire := appendMessage(nil, r.Type, r.Flags|unix.NLM_F_REQUEST|unix.NLM_F_DUMP, r.Body)
	defer clear(wire)
	for range maxDumps {
		list, changed, err := c.dumpOnce(ctx, wire)
		if err != nil {
			return nil, dumpError(err)
		}
		if !changed {
			return list, nil
		}
		forget(list)
	}
	return nil, errChanges
}

func dumpError(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("XFRM dump: %w", err)
}

// forget overwrites what may be keys.
func forget(list []Message) {
	for _, m := range list {
		clear(m.Body)
	}
}

// dumpOnce also ends the dump before, if that was given up.
func (c *Conn) dumpOnce(ctx context.Context, wire []byte) (list []Message, changed bool, err error) {
	if c.dump.open {
		old, _, err := c.readDump(ctx)
		forget(old)
		if err != nil && !isRefusal(err) {
			return nil, false, err
		}
	}
	c.dump.seq++
	stamp(wire, c.dump.seq, 0)
	if err = c.dumps.send([][]byte{wire}); err != nil {
		return nil, false, err
	}
	c.dump.open = true
	list, changed, err = c.readDump(ctx)
	if err != nil {
		forget(list)
		return nil, false, err
	}
	return list, changed, nil
}

func isRefusal(err error) bool {
	var refused *KernelError
	return errors.As(err, &refused)
}

// readDump reads the dump to its end.
func (c *Conn) readDump(ctx context.Context) (list []Message, changed bool, err error) {
	for c.dump.open {
		ds, err := await(ctx, c.dumps, maxSilent)
		if err != nil {
			return list, false, err
		}
		for _, d := range ds {
			var part []Message
			var interrupted bool
			part, interrupted, err = c.dump.take(d)
			list, changed = append(list, part...), changed || interrupted
			if err != nil {
				break
			}
		}
		zero(ds)
		if err != nil {
			return list, false, err
		}
	}
	return list, changed, nil
}

// take reads the messages of a datagram. Their bodies are of one copy of it.
func (s *dumpState) take(d datagram) (list []Message, changed bool, err error) {
	if d.cut {
		return nil, false, errMalformed
	}
	for rest := bytes.Clone(d.b); len(rest) > 0; {
		h, body, next, err := split(rest)
		if err != nil {
			clear(rest)
			return list, changed, err
		}
		rest = next
		if h.seq != s.seq {
			clear(body)
			continue
		}
		changed = changed || h.flags&unix.NLM_F_DUMP_INTR != 0
		switch {
		case h.typ >= unix.NLMSG_MIN_TYPE:
			list = append(list, Message{Type: message.Type(h.typ), Body: body})
		case h.typ == unix.NLMSG_DONE || h.typ == unix.NLMSG_ERROR:
			s.open = false
			return list, changed, s.end(h, body)
		}
	}
	return list, changed, nil
}

// end reads how a dump ended.
func (s *dumpState) end(h header, body []byte) error {
	read := verdict
	if h.typ == unix.NLMSG_DONE {
		read = doneVerdict
	}
	refused, err := read(h.flags, body)
	return errors.Join(refused, err)
}
