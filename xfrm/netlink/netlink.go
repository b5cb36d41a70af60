//go:build linux

// Package netlink carries XFRM requests to the kernel and its answers and notices
// back. Requests of concurrent callers go out together, in few system calls, and each
// answer is matched to its request.
package netlink

import (
	"context"
	"errors"

	"github.com/goike/goike/xfrm/message"
)

// Request is a request without its netlink header.
type Request struct {
	Type  message.Type
	Flags uint16 // NLM_F_*, beside NLM_F_REQUEST and NLM_F_ACK
	Body  []byte // may hold keys: it is zeroed when it was sent
}

// Reply is what the kernel says to a request.
type Reply struct {
	Err  error // nil: done; a *KernelError otherwise
	Type message.Type
	Body []byte // of the first message of the answer, if any; Type is its type
}

// KernelError is a refusal by the kernel. It unwraps to its Errno.
type KernelError struct {
	Errno error  // a syscall.Errno
	Text  string // what the kernel added (NLMSGERR_ATTR_MSG), may be empty
}

// Error implements error.
func (e *KernelError) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return e.Text + " (" + e.Errno.Error() + ")"
}

// Unwrap implements errors.Unwrap.
func (e *KernelError) Unwrap() error { return e.Errno }

// ErrLost says that notices were lost (ENOBUFS): what was believed of the kernel has
// to be looked at again.
var ErrLost = errors.New("notices of the kernel were lost")

// Message is a message of a dump, or a notice. Own is set when it was caused by a
// request of the Conn that the Listener was made for.
type Message struct {
	Type message.Type
	Body []byte
	Own  bool
}

// Conn is a socket for requests. Its methods are safe for concurrent use.
type Conn struct{}

// Open opens a socket in the network namespace of the caller.
func Open() (*Conn, error) { return nil, errors.New("not yet") }

// Do carries out requests in their order and returns a reply to each. All are tried,
// also after one was refused. The error is of the socket: then nothing is known.
func (c *Conn) Do(ctx context.Context, requests []Request) ([]Reply, error) { return nil, nil }

// Dump collects what a request with NLM_F_DUMP lists. A list that changed while it was
// read (NLM_F_DUMP_INTR) is read again, a bounded number of times.
func (c *Conn) Dump(ctx context.Context, r Request) ([]Message, error) { return nil, nil }

// Close closes the socket. Requests under way return net.ErrClosed.
func (c *Conn) Close() error { return nil }

// Listener receives notices.
type Listener struct{}

// Listen subscribes to groups. Groups that this kernel does not have are left out.
func (c *Conn) Listen(groups ...message.Group) (*Listener, error) { return nil, nil }

// Receive waits for notices and returns those that have come; ErrLost when some were
// lost, net.ErrClosed after Close, the context's error when it is done.
func (l *Listener) Receive(ctx context.Context) ([]Message, error) { return nil, nil }

// Close ends the subscription.
func (l *Listener) Close() error { return nil }
