package engine

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/goike/goike/ike"
)

// errBusy is the result of a job for a half-open IKE SA that finds the queue full.
var errBusy = errors.New("too many key exchanges are waiting")

// task is a job and whom its result goes to.
type task struct {
	ref    Ref
	ticket ike.Ticket
	job    ike.Job
	back   *inbox[shardItem]
	since  time.Time // when it was queued
}

// workers runs jobs: those of established IKE SAs first.
type workers struct {
	rand io.Reader
	wg   sync.WaitGroup

	mu     sync.Mutex
	cond   *sync.Cond
	queues [2][]task // by ike.Priority
	limit  int       // of the half-open ones
	idle   int
	count  int
	closed bool

	waits, runs histogram // until a job began, and from then on
}

func newWorkers(n, limit int, rand io.Reader) *workers {
	w := &workers{rand: rand, limit: limit, count: n}
	w.cond = sync.NewCond(&w.mu)
	for range n {
		w.wg.Go(w.run)
	}
	return w
}

// add queues tasks and returns those that found no room.
func (w *workers) add(p ike.Priority, tasks []task) (refused []task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p = min(p, ike.HalfOpen)
	if room := w.limit - len(w.queues[p]); p == ike.HalfOpen && len(tasks) > room {
		room = max(room, 0)
		tasks, refused = tasks[:room], tasks[room:]
	}
	now := time.Now()
	for i := range tasks {
		tasks[i].since = now
	}
	w.queues[p] = append(w.queues[p], tasks...)
	for range min(len(tasks), w.idle) {
		w.cond.Signal()
	}
	return refused
}

// batch is how many jobs a worker takes at a time, so that their results go back
// together when there are many.
const batch = 8

// next waits for work. The jobs are shared out among the workers.
func (w *workers) next(into []task) []task {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for p := range w.queues {
			if q := w.queues[p]; len(q) > 0 {
				n := min(batch, (len(q)+w.count-1)/w.count)
				into = append(into, q[:n]...)
				clear(q[:n])
				if w.queues[p] = q[n:]; len(w.queues[p]) == 0 {
					w.queues[p] = q[:0]
				}
				return into
			}
		}
		if w.closed {
			return nil
		}
		w.idle++
		w.cond.Wait()
		w.idle--
	}
}

func (w *workers) run() {
	tasks := make([]task, 0, batch)
	for {
		if tasks = w.next(tasks[:0]); len(tasks) == 0 {
			return
		}
		for i, t := range tasks {
			begun := time.Now()
			w.waits.add(begun.Sub(t.since))
			result, err := w.do(t.job)
			w.runs.add(time.Since(begun))
			t.back.put(shardItem{in: Finished{Ref: t.ref, Done: ike.Done{Ticket: t.ticket, Result: result, Err: err}}})
			tasks[i] = task{}
		}
	}
}

// do runs a job. A job that panics fails, and with it one IKE SA, not the daemon.
func (w *workers) do(j ike.Job) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, fmt.Errorf("internal error in %T: %v\n%s", j, p, debug.Stack())
		}
	}()
	return j.Run(w.rand)
}

// close lets the workers finish what they do and drops what waits.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	w.queues = [2][]task{}
	w.cond.Broadcast()
	w.mu.Unlock()
	w.wg.Wait()
}

// load tells how many workers there are, how many of them have nothing to do, and
// how many jobs wait.
func (w *workers) load() (count, idle, queued int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count, w.idle, len(w.queues[0]) + len(w.queues[1])
}
