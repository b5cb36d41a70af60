package engine

import (
	"container/heap"

	"github.com/goike/goike/ike"
)

// timer is the deadline of something in a schedule.
type timer struct {
	due ike.Instant
	at  int    // place in the schedule
	id  uint64 // orders equal deadlines, so that the order does not depend on history
}

// newTimer returns a timer that is not set.
func newTimer(id uint64) timer { return timer{due: ike.Never, at: unscheduled, id: id} }

func (t *timer) clock() *timer { return t }

// timed is what embeds a timer.
type timed interface{ clock() *timer }

// schedule orders what is timed by its deadlines. What has none is not in it.
type schedule[T timed] []T

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (s schedule[T]) Len() int { return len(s) }

func (s schedule[T]) Less(i, j int) bool {
	a, b := s[i].clock(), s[j].clock()
	return a.due < b.due || a.due == b.due && a.id < b.id
}

func (s schedule[T]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].clock().at, s[j].clock().at = i, j
}

// Push implements heap.Interface.
func (s *schedule[T]) Push(x any) {
	e := x.(T)
	e.clock().at = len(*s)
	*s = append(*s, e)
}

// Pop implements heap.Interface.
func (s *schedule[T]) Pop() any {
	old := *s
	e := old[len(old)-1]
	clear(old[len(old)-1:])
	*s = old[:len(old)-1]
	e.clock().at = unscheduled
	return e
}

// unscheduled is the place of what is not in the schedule.
const unscheduled = -1

// set moves e to its new deadline.
func (s *schedule[T]) set(e T, due ike.Instant) {
	t := e.clock()
	old := t.due
	t.due = due
	switch {
	case t.at == unscheduled && due != ike.Never:
		heap.Push(s, e)
	case t.at == unscheduled || due == old:
	case due == ike.Never:
		heap.Remove(s, t.at)
	default:
		heap.Fix(s, t.at)
	}
}

// next is the earliest deadline, or Never.
func (s schedule[T]) next() ike.Instant {
	if len(s) == 0 {
		return ike.Never
	}
	return s[0].clock().due
}
