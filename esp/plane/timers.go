package plane

import (
	"container/heap"
	"sync"
	"time"
)

// timer is something that is due once, or again and again. fire is called without
// any lock held and returns when it is due next, 0 for never again. Times are
// those of Plane.now.
type timer struct {
	fire  func(now int64) (next int64)
	at    int64
	index int // in the heap, -1 when not in it
	gone  bool
}

func newTimer(fire func(now int64) int64) *timer { return &timer{fire: fire, index: -1} }

// timers is the heap of everything that is due, and the one goroutine that waits.
// While nothing is due some time it sleeps without a timer.
type timers struct {
	now  func() int64
	mu   sync.Mutex
	due  timerHeap
	wake chan struct{}
}

func newTimers(now func() int64) *timers {
	return &timers{now: now, wake: make(chan struct{}, 1)}
}

// set makes t due at a time, instead of when it was.
func (ts *timers) set(t *timer, at int64) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if !t.gone {
		ts.put(t, at)
	}
}

func (ts *timers) put(t *timer, at int64) {
	t.at = at
	if t.index < 0 {
		heap.Push(&ts.due, t)
	} else {
		heap.Fix(&ts.due, t.index)
	}
	if t.index == 0 {
		select {
		case ts.wake <- struct{}{}:
		default:
		}
	}
}

// cancel makes t due no more, for good. It may be running right now.
func (ts *timers) cancel(t *timer) {
	if t == nil {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.gone = true
	if t.index >= 0 {
		heap.Remove(&ts.due, t.index)
	}
}

// run fires timers until done is closed.
func (ts *timers) run(done <-chan struct{}) {
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		if at := ts.fireDue(); at != 0 {
			clock.Reset(time.Duration(at - ts.now()))
		} else {
			clock.Stop()
		}
		select {
		case <-done:
			return
		case <-ts.wake:
		case <-clock.C:
		}
	}
}

// fireDue fires what is due and returns when the next one is, 0 if there is none.
func (ts *timers) fireDue() (next int64) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for len(ts.due) > 0 {
		t := ts.due[0]
		now := ts.now()
		if t.at > now {
			return t.at
		}
		heap.Pop(&ts.due)
		ts.mu.Unlock()
		again := t.fire(now)
		ts.mu.Lock()
		if again != 0 && !t.gone && t.index < 0 {
			ts.put(t, max(again, now+1))
		}
	}
	return 0
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
