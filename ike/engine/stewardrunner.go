package engine

import (
	"context"
	"sync"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// lookAtSteward is a look at the steward from its own goroutine.
type lookAtSteward struct{ look func(*Steward) }

func (lookAtSteward) stewardInput() {}

// stewardRunner gives the steward its goroutine and carries out what it wants.
type stewardRunner struct {
	engine  *Engine
	steward *Steward
	in      *inbox[StewardInput]
	wg      sync.WaitGroup
	places  chan struct{}  // bounds the searches for paths
	counts  control.Counts // of the steward's own reports; its goroutine's

	mu      sync.Mutex
	waiters map[uint64]chan Outcome
	last    uint64
}

// maxSearches is how many searches for a peer's address may run at a time, and
// searchTime how long one may take.
const (
	maxSearches = 32
	searchTime  = 10 * time.Second
)

func newStewardRunner(e *Engine) *stewardRunner {
	r := &stewardRunner{
		engine: e, in: newInbox[StewardInput](0), places: make(chan struct{}, maxSearches),
		waiters: make(map[uint64]chan Outcome), counts: make(control.Counts),
	}
	r.steward = NewSteward(StewardConfig{Seed: seed(e.cfg.Rand), FirstID: 1, StepID: uint64(e.cfg.Shards) + 1}, r)
	return r
}

func (r *stewardRunner) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var items []StewardInput
	for {
		select {
		case <-r.in.wake:
		case <-timer.C:
		}
		closed := r.in.isClosed()
		items = r.in.take(items)
		for _, in := range items {
			r.handle(in)
		}
		r.steward.Expire(r.engine.Now())
		if closed {
			return
		}
		timer.Reset(r.engine.until(r.steward.Next()))
	}
}

func (r *stewardRunner) handle(in StewardInput) {
	if l, ok := in.(lookAtSteward); ok {
		l.look(r.steward)
		return
	}
	if l, ok := in.(Load); ok {
		forgetOthers(r.counts, l.Config)
	}
	r.steward.Handle(r.engine.Now(), in)
}

// Dial implements StewardOutside.
func (r *stewardRunner) Dial(d Dial) { r.engine.runnerOf(d.ID).in.put(shardItem{in: d}) }

// Order implements StewardOutside.
func (r *stewardRunner) Order(o Order) { r.engine.runnerOf(o.IKE).in.put(shardItem{in: o}) }

// Trap implements StewardOutside.
func (r *stewardRunner) Trap(ops []esp.Op) { r.engine.planes.put(wish{ops: ops}) }

// Report implements StewardOutside.
func (r *stewardRunner) Report(rep ike.Report) {
	r.counts.Add(rep)
	r.engine.publish(rep)
}

// Locate implements StewardOutside.
func (r *stewardRunner) Locate(ticket uint64, c *conf.Connection) {
	e := r.engine
	e.serve.Go(func() {
		select {
		case r.places <- struct{}{}:
		case <-e.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(e.ctx, searchTime)
		defer cancel()
		paths, err := e.cfg.Locate(ctx, c)
		<-r.places
		r.in.put(Located{Ticket: ticket, Paths: paths, Err: err})
	})
}

// Outcome implements StewardOutside.
func (r *stewardRunner) Outcome(waiter uint64, o Outcome) {
	r.mu.Lock()
	ch := r.waiters[waiter]
	delete(r.waiters, waiter)
	r.mu.Unlock()
	if ch != nil {
		ch <- o
	}
}

// wait registers a waiter for one Outcome.
func (r *stewardRunner) wait() (uint64, <-chan Outcome) {
	ch := make(chan Outcome, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.waiters[r.last] = ch
	return r.last, ch
}

// forget drops a waiter that has no use for an Outcome any more.
func (r *stewardRunner) forget(waiter uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiters, waiter)
}
