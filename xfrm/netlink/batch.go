//go:build linux

package netlink

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/xfrm/message"
)

// limits of a batch: the kernel holds a lock over each, and its answers have to fit
// into the receive buffer.
type limits struct{ requests, octets, room int }

// part is the requests of a call that are in a batch.
type part struct {
	call     *call
	from, to int
}

// batch is what goes to the kernel in one system call.
type batch struct {
	parts   []part
	buffers [][]byte
	slots   []slot
	first   uint32 // sequence number of slots[0]
	open    int    // how many are not answered
	octets  int
	room    int
	bad     bool // something malformed came: no answer is believed
}

// slot is a request that was sent.
type slot struct {
	reply    *Reply
	answered bool
}

// add takes as many of the call's next requests as fit, at least one into an empty
// batch.
func (b *batch) add(c *call, l limits) {
	p := part{c, c.sent, c.sent}
	for ; p.to < len(c.ends); p.to++ {
		octets, room := c.ends[p.to]-c.begin(p.to), c.room(p.to)
		full := len(b.slots) >= l.requests || b.octets+octets > l.octets || b.room+room > l.room
		if full && len(b.slots) > 0 {
			break
		}
		b.octets += octets
		b.room += room
		b.slots = append(b.slots, slot{reply: &c.replies[p.to]})
	}
	if p.to == p.from {
		return
	}
	b.parts = append(b.parts, p)
	b.buffers = append(b.buffers, c.wire[c.begin(p.from):c.ends[p.to-1]])
}

// stamp writes the sequence numbers, from first on.
func (b *batch) stamp(first, port uint32) {
	b.first, b.open = first, len(b.slots)
	seq := first
	for _, p := range b.parts {
		for i := p.from; i < p.to; i++ {
			stamp(p.call.wire[p.call.begin(i):], seq, port)
			seq++
		}
	}
}

// take reads the answers in a datagram.
func (b *batch) take(d datagram) error {
	if d.cut {
		return errMalformed
	}
	for rest := d.b; len(rest) > 0; {
		h, body, next, err := split(rest)
		if err != nil {
			return err
		}
		if err = b.answer(h, body); err != nil {
			return err
		}
		rest = next
	}
	return nil
}

// answer reads one message. Those to requests of others, as of a batch that was
// given up, are of no interest.
func (b *batch) answer(h header, body []byte) error {
	i := h.seq - b.first
	if i >= uint32(len(b.slots)) || b.slots[i].answered {
		return nil
	}
	s := &b.slots[i]
	switch {
	case h.typ == unix.NLMSG_ERROR:
		refused, err := verdict(h.flags, body)
		if err != nil {
			return err
		}
		s.reply.Err, s.answered = refused, true
		b.open--
	case h.typ >= unix.NLMSG_MIN_TYPE && s.reply.Body == nil:
		s.reply.Type, s.reply.Body = message.Type(h.typ), bytes.Clone(body)
	}
	return nil
}

// failed says whether something about the part is not known.
func (b *batch) failed(at int, p part) bool {
	if b.bad {
		return true
	}
	for _, s := range b.slots[at : at+p.to-p.from] {
		if !s.answered {
			return true
		}
	}
	return false
}
