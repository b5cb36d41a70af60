//go:build linux

package netlink

import (
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// sent is a message that came to a fake.
type sent struct {
	header
	body []byte
}

// fake is a kernel whose answers a test chooses. Receive says what was put into ready,
// in its order; a wait ends at once, as if its time were over.
type fake struct {
	answer func(f *fake, batch []sent) // called by send
	err    error                       // of send

	mu      sync.Mutex
	batches [][]sent
	ready   []any // []datagram or error
	waits   int
	closed  bool
}

func (f *fake) send(messages [][]byte) error {
	var batch []sent
	for rest := slices.Concat(messages...); len(rest) > 0; {
		h, body, next, err := split(rest)
		if err != nil {
			return err
		}
		batch, rest = append(batch, sent{h, body}), next
	}
	f.mu.Lock()
	f.batches = append(f.batches, batch)
	f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.answer(f, batch)
	return nil
}

func (f *fake) receive(wait bool) ([]datagram, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, net.ErrClosed
	case len(f.ready) == 0 && wait:
		f.waits++
		return nil, os.ErrDeadlineExceeded
	case len(f.ready) == 0:
		return nil, unix.EAGAIN
	}
	next := f.ready[0]
	f.ready = f.ready[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	return next.([]datagram), nil
}

func (f *fake) deadline(time.Time) error { return nil }

func (f *fake) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// put makes something ready.
func (f *fake) put(what ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ready = append(f.ready, what...)
}

// sizes are how many messages came at once.
func (f *fake) sizes() (all []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches {
		all = append(all, len(b))
	}
	return all
}

// frame is a message as the kernel sends it.
func frame(typ, flags uint16, seq uint32, body []byte) []byte {
	b := appendMessage(nil, message.Type(typ), flags, body)
	stamp(b, seq, 0)
	return b
}

// ack acknowledges, or refuses with an error.
func ack(seq uint32, errno unix.Errno) []byte {
	return frame(unix.NLMSG_ERROR, unix.NLM_F_CAPPED, seq, append(native.AppendUint32(nil, uint32(-int32(errno))), make([]byte, headerLen)...))
}

func one(b ...[]byte) []datagram { return []datagram{{b: slices.Concat(b...)}} }

// acknowledge answers everything.
func acknowledge(f *fake, batch []sent) {
	for _, m := range batch {
		f.put(one(ack(m.seq, 0)))
	}
}

var wide = limits{256, 1 << 20, 1 << 30}

func withFake(t *testing.T, l limits, answer func(*fake, []sent)) (*Conn, *fake) {
	t.Helper()
	f := &fake{answer: answer}
	c := newConn(f, f, 7, l)
	t.Cleanup(func() { _ = c.Close() })
	return c, f
}

func requests(n int) []Request {
	all := make([]Request, n)
	for i := range all {
		all[i] = Request{Type: message.NewPolicy, Flags: unix.NLM_F_EXCL, Body: []byte{byte(i)}}
	}
	return all
}

// waitFor waits until so many calls are in the queue.
func waitFor(c *Conn, calls int) {
	for {
		c.mu.Lock()
		n := len(c.queue)
		c.mu.Unlock()
		if n == calls {
			return
		}
		runtime.Gosched()
	}
}
