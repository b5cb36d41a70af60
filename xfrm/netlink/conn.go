//go:build linux

package netlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The sizes of the sockets. An answer has one SA at most, which is far from 8 KiB; the
// kernel puts up to 32 KiB of a dump into a datagram.
var (
	requestSize = size{datagrams: 32, octets: 8 << 10, receive: 4 << 20}
	dumpSize    = size{datagrams: 2, octets: 32 << 10, receive: 1 << 20}
)

const (
	maxBatch  = 256              // requests
	maxOctets = 96 << 10         // and half of SO_SNDBUF at most
	maxSilent = 10 * time.Second // for an answer, which is there at once
)

// Conn is a socket for requests. Its methods are safe for concurrent use.
type Conn struct {
	requests, dumps transport
	port            uint32
	limits          limits

	closing chan struct{}
	turn    chan struct{} // whose turn it is to dump
	dump    dumpState     // of who has the turn
	worker  sync.WaitGroup
	seq     uint32 // of the worker: the next sequence number

	mu      sync.Mutex
	queue   []*call
	working bool
	closed  bool
}

// Open opens a socket in the network namespace of the caller.
func Open() (*Conn, error) {
	requests, err := openSocket(requestSize)
	if err != nil {
		return nil, err
	}
	dumps, err := openSocket(dumpSize)
	if err != nil {
		_ = requests.close()
		return nil, err
	}
	return newConn(requests, dumps, requests.port, limits{maxBatch, min(maxOctets, requests.most/2), requests.room / 2}), nil
}

func newConn(requests, dumps transport, port uint32, l limits) *Conn {
	return &Conn{
		requests: requests,
		dumps:    dumps,
		port:     port,
		limits:   l,
		closing:  make(chan struct{}),
		turn:     make(chan struct{}, 1),
		seq:      1,
	}
}

// Do carries out requests in their order and returns a reply to each. All are tried,
// also after one was refused. The error is of the socket: then nothing is known.
//
// When ctx is done Do returns its error; what was sent by then is carried out.
func (c *Conn) Do(ctx context.Context, requests []Request) ([]Reply, error) {
	defer func() {
		for _, r := range requests {
			clear(r.Body)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(requests) == 0 {
		return nil, nil
	}
	call, err := newCall(requests)
	if err != nil {
		return nil, err
	}
	if !c.enqueue(call) {
		call.forget()
		return nil, net.ErrClosed
	}
	select {
	case <-call.done:
		return c.result(call)
	case <-ctx.Done():
		c.leave(call)
		return nil, ctx.Err()
	case <-c.closing:
		c.leave(call)
		return nil, net.ErrClosed
	}
}

func (c *Conn) result(call *call) ([]Reply, error) {
	if call.err != nil {
		return nil, call.err
	}
	return call.replies, nil
}

// enqueue starts the worker when there is none. While it carries out a batch, calls
// gather for the next.
func (c *Conn) enqueue(call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.queue = append(c.queue, call)
	if !c.working {
		c.working = true
		c.worker.Add(1)
		go c.work()
	}
	return true
}

// leave takes a call back, as far as it was not sent.
func (c *Conn) leave(call *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.left = true
	select {
	case <-call.done:
		call.forget()
		return
	default:
	}
	if i := slices.Index(c.queue, call); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
		call.forget()
	}
}

// work carries out batches until nothing is left to do.
func (c *Conn) work() {
	defer c.worker.Done()
	for {
		b := c.next()
		if b == nil {
			return
		}
		c.finish(b, c.carryOut(b))
	}
}

// next gathers a batch. Calls that do not fit into it as a whole go on in later ones,
// behind those that wait.
func (c *Conn) next() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := new(batch)
	taken := 0
	for _, call := range c.queue {
		before := len(b.slots)
		b.add(call, c.limits)
		if len(b.slots) == before {
			break
		}
		taken++
	}
	c.queue = slices.Delete(c.queue, 0, taken)
	if taken == 0 {
		c.working = false
		return nil
	}
	return b
}

func (c *Conn) carryOut(b *batch) error {
	b.stamp(c.seq, c.port)
	c.seq += uint32(len(b.slots))
	err := c.requests.send(b.buffers)
	for _, sent := range b.buffers {
		clear(sent)
	}
	if err == nil {
		err = c.collect(b)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		err = fmt.Errorf("XFRM request: %w", err)
	}
	return err
}

var errNoAnswer = errors.New("answers of the kernel were lost")

// collect reads the answers. When some were lost it reads what is there and does not
// wait for the others.
func (c *Conn) collect(b *batch) error {
	lost := false
	for b.open > 0 {
		ds, err := c.read(lost)
		switch {
		case err == nil:
			for _, d := range ds {
				if b.take(d) != nil {
					lost, b.bad = true, true
				}
			}
			zero(ds)
		case errors.Is(err, unix.ENOBUFS) && !lost:
			lost = true
		case lost && errors.Is(err, unix.EAGAIN):
			return errNoAnswer
		default:
			return err
		}
	}
	if b.bad {
		return errMalformed
	}
	return nil
}

func (c *Conn) read(lost bool) ([]datagram, error) {
	if lost {
		return c.requests.receive(false)
	}
	return await(context.Background(), c.requests, maxSilent)
}

// finish tells the callers; err is for those of whose requests one was not answered.
func (c *Conn) finish(b *batch, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := 0
	for _, p := range b.parts {
		call := p.call
		call.sent = p.to
		if err != nil && b.failed(at, p) {
			call.err = err
		}
		at += p.to - p.from
		switch {
		case call.left:
			call.forget()
		case call.err != nil:
			call.forget()
			close(call.done)
		case call.sent == len(call.ends):
			close(call.done)
		case c.closed:
			call.forget() // Close has told the caller
		default:
			c.queue = append(c.queue, call)
		}
	}
}

// Close closes the socket. Requests under way return net.ErrClosed.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	close(c.closing)
	for _, call := range c.queue {
		call.forget()
	}
	c.queue = nil
	c.mu.Unlock()
	err := errors.Join(c.requests.close(), c.dumps.close())
	c.worker.Wait()
	return err
}
