//go:build linux

// Package netlink carries XFRM requests to the kernel and its answers and notices
// back. Requests of concurrent callers go out together, in few system calls, and each
// answer is matched to its request.
package netlink

import (
	"errors"

	"github.com/goike/goike/xfrm/message"
)

// Request is a request without its netlink header.
type Request struct {
	Type  message.Type
	Flags uint16 // NLM_F_*, beside NLM_F_REQUEST and NLM_F_ACK
	Body  []byte // may hold keys: it is zeroed when it was sent, or when it will not be
}

// Reply is what the kernel says to a request.
type Reply struct {
	Err  error // nil: done; a *KernelError otherwise
	Type message.Type
	// Body is that of the first message of the answer, if any; Type is its type. It may
	// hold keys: who has read it zeroes it.
	Body []byte
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
	Body []byte // may hold keys: who has read it zeroes it
	Own  bool
}
