package engine

import "sync"

// inbox is a queue to one goroutine. What comes from the network is bounded: when
// it is full the rest is dropped and counted. What this daemon itself has asked for
// is not, there is only as much of it as was asked for.
type inbox[T any] struct {
	wake chan struct{} // holds one token while there is something

	mu      sync.Mutex
	items   []T
	traffic int // weight of the items that count against limit
	limit   int
	weight  func(T) int // of an item; nil: each weighs 1
	dropped uint64
	closed  bool
}

func newInbox[T any](limit int) *inbox[T] {
	return &inbox[T]{wake: make(chan struct{}, 1), limit: limit}
}

// put adds items without a limit. It tells whether they were taken: a closed inbox
// takes none.
func (b *inbox[T]) put(items ...T) bool {
	if len(items) == 0 {
		return true
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, items...)
	b.mu.Unlock()
	b.signal()
	return true
}

// offer adds items as far as there is room.
func (b *inbox[T]) offer(items []T) {
	b.mu.Lock()
	fit := 0
	for ; fit < len(items) && !b.closed; fit++ {
		w := 1
		if b.weight != nil {
			w = b.weight(items[fit])
		}
		if b.traffic+w > b.limit {
			break
		}
		b.traffic += w
	}
	b.dropped += uint64(len(items) - fit)
	b.items = append(b.items, items[:fit]...)
	b.mu.Unlock()
	if fit > 0 {
		b.signal()
	}
}

func (b *inbox[T]) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns everything there is and gives old, whose contents are no longer
// needed, back to the queue.
func (b *inbox[T]) take(old []T) []T {
	clear(old)
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items, b.traffic = old[:0], 0
	return items
}

// close takes nothing any more and wakes the reader.
func (b *inbox[T]) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.signal()
}

func (b *inbox[T]) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// load is how many items wait, and how many were dropped so far.
func (b *inbox[T]) load() (waiting int, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items), b.dropped
}
