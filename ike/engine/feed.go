package engine

import (
	"sync"
	"sync/atomic"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// subscriberRoom is how many events may wait for a subscriber.
const subscriberRoom = 1024

// feed spreads reports to subscribers, none of whom can hold up the others.
type feed struct {
	count  atomic.Int32 // of subscribers, so that nothing is done for none
	mu     sync.Mutex
	subs   []*subscriber
	closed bool
}

// subscriber has a goroutine of its own that calls its sink.
type subscriber struct {
	sink  func(control.Event)
	want  func(ike.Report) bool
	queue chan control.Event
	lost  atomic.Int32
	done  sync.WaitGroup
}

// subscribe calls sink for the events of the reports that want accepts until
// cancel is called. After cancel has returned sink is not called any more; what
// waited was delivered.
func (f *feed) subscribe(want func(ike.Report) bool, sink func(control.Event)) (cancel func()) {
	s := &subscriber{sink: sink, want: want, queue: make(chan control.Event, subscriberRoom)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return func() {}
	}
	f.subs = append(f.subs, s)
	f.count.Add(1)
	s.done.Go(s.run)
	return func() { f.cancel(s) }
}

func (f *feed) cancel(s *subscriber) {
	f.mu.Lock()
	for i, x := range f.subs {
		if x == s {
			f.subs = append(f.subs[:i], f.subs[i+1:]...)
			f.count.Add(-1)
			close(s.queue)
			break
		}
	}
	f.mu.Unlock()
	s.done.Wait()
}

func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	subs := append([]*subscriber(nil), f.subs...)
	f.mu.Unlock()
	for _, s := range subs {
		f.cancel(s)
	}
}

func (f *feed) publish(r ike.Report) {
	if f.count.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.subs {
		if s.want == nil || s.want(r) {
			s.push(r)
		}
	}
}

// push queues the events of a report: its log line, and itself when it is news. That
// a request is repeated is what alerts tell.
func (s *subscriber) push(r ike.Report) {
	line := logLine(r)
	s.queueEvent(control.Event{Log: &line})
	if r.Kind != ike.Step && r.Kind != ike.Warning || r.Mark == ike.RequestRepeated {
		s.queueEvent(control.Event{Report: &r})
	}
}

func (s *subscriber) queueEvent(ev control.Event) {
	select {
	case s.queue <- ev:
	default:
		s.lost.Add(1)
	}
}

func (s *subscriber) run() {
	for ev := range s.queue {
		s.sink(ev)
		if len(s.queue) == 0 {
			if n := s.lost.Swap(0); n > 0 {
				s.sink(control.Event{Lost: int(n)})
			}
		}
	}
}
