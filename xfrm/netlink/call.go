//go:build linux

package netlink

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// maxBody is more than any request has: attributes have 16 bits for their length.
const maxBody = 1 << 16

// What an answer takes of the receive buffer at most, with the kernel's overhead.
const (
	ackRoom    = 2 << 10
	answerRoom = 8 << 10
)

// call is what one caller wants, as it goes to the kernel.
type call struct {
	wire    []byte // its messages, which may hold keys
	ends    []int  // where each ends in wire
	answers []bool // whether each has an answer beside the acknowledgement
	sent    int    // how many were sent
	replies []Reply
	err     error         // set before done
	done    chan struct{} // closed when all were answered, or err is set
	left    bool          // its caller did not wait for it
}

// newCall copies the requests.
func newCall(requests []Request) (*call, error) {
	n := 0
	for _, r := range requests {
		if err := r.check(); err != nil {
			return nil, err
		}
		n += headerLen + align(len(r.Body))
	}
	c := &call{
		wire:    make([]byte, 0, n),
		ends:    make([]int, len(requests)),
		answers: make([]bool, len(requests)),
		replies: make([]Reply, len(requests)),
		done:    make(chan struct{}),
	}
	for i, r := range requests {
		c.wire = appendMessage(c.wire, r.Type, r.Flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK, r.Body)
		c.ends[i] = len(c.wire)
		c.answers[i] = r.Type == message.GetSA || r.Type == message.GetPolicy || r.Type == message.AllocSPI
	}
	return c, nil
}

var errIsDump = errors.New("a dump is not for Do")

func (r *Request) check() error {
	if len(r.Body) > maxBody {
		return fmt.Errorf("a request of %d octets, at most %d are possible", len(r.Body), maxBody)
	}
	get := r.Type == message.GetSA || r.Type == message.GetPolicy
	if get && r.Flags&unix.NLM_F_DUMP != 0 {
		return errIsDump
	}
	return nil
}

// begin is where request i begins in wire.
func (c *call) begin(i int) int {
	if i == 0 {
		return 0
	}
	return c.ends[i-1]
}

// room is what the answers to request i take of the receive buffer.
func (c *call) room(i int) int {
	if c.answers[i] {
		return ackRoom + answerRoom
	}
	return ackRoom
}

// forget overwrites what may be keys and nobody will read.
func (c *call) forget() {
	clear(c.wire)
	for i := range c.replies {
		clear(c.replies[i].Body)
	}
}
