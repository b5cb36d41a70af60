package plane

import (
	"context"
	"sync"

	"github.com/goike/goike/esp"
)

// maxNotices bounds the notices that wait for Watch.
const maxNotices = 1024

// notices is the bounded queue between the packet path, which never waits, and
// Watch.
type notices struct {
	mu     sync.Mutex
	queue  []esp.Notice
	wake   chan struct{}
	closed chan struct{}
}

func newNotices() *notices {
	return &notices{wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// put is false when the queue is full and the notice lost.
func (q *notices) put(n esp.Notice) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= maxNotices {
		return false
	}
	q.queue = append(q.queue, n)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *notices) take(into []esp.Notice) []esp.Notice {
	q.mu.Lock()
	defer q.mu.Unlock()
	into, q.queue = q.queue, into[:0]
	return into
}

// notify queues a notice. It is false when there is no room: who asks again at the
// next occasion loses nothing.
func (p *Plane) notify(n esp.Notice) bool {
	if p.notices.put(n) {
		return true
	}
	p.count.add(noticesLost, 1)
	return false
}

// Watch delivers notices until ctx is done or the plane closed. Those that came
// before it was called are delivered first. At most 1024 wait; of those that find no
// room an Acquire is repeated by the next packet, likewise a Mapping and an Expire.
func (p *Plane) Watch(ctx context.Context, sink func(esp.Notice)) error {
	var batch []esp.Notice
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.notices.closed:
			return nil
		case <-p.notices.wake:
		}
		batch = p.notices.take(batch)
		for _, n := range batch {
			sink(n)
		}
		clear(batch)
	}
}
