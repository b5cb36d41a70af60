package control

import (
	"context"
	"sync"
)

// outbox holds encoded packets until they are written to a client. It is bounded:
// events that find no room are lost and counted, answers wait for room.
type outbox struct {
	limit int // octets

	mu      sync.Mutex
	packets [][]byte
	size    int
	lost    int
	filled  chan struct{} // there is something to write
	room    chan struct{} // something was taken
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, filled: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add queues a packet if there is room; an empty outbox has room for any.
func (o *outbox) add(p []byte, limit int) bool {
	if o.size > 0 && o.size+len(p) > limit {
		return false
	}
	o.packets = append(o.packets, p)
	o.size += len(p)
	signal(o.filled)
	return true
}

// offer queues an event, or counts it as lost. It never waits. Half of the room is
// left to answers.
func (o *outbox) offer(p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.add(p, o.limit/2) {
		o.lost++
	}
}

// put queues an answer and waits for room, for one caller at a time.
func (o *outbox) put(ctx context.Context, p []byte) error {
	for {
		o.mu.Lock()
		ok := o.add(p, o.limit)
		o.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-o.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take waits for packets and returns all of them, and how many events were lost
// since the last time.
func (o *outbox) take(ctx context.Context) (packets [][]byte, lost int, err error) {
	select {
	case <-o.filled:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	packets, lost = o.packets, o.lost
	o.packets, o.size, o.lost = nil, 0, 0
	signal(o.room)
	return packets, lost, nil
}
