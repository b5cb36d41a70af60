package plane

import (
	"sync"
	"sync/atomic"
)

// batch is what a line carries.
type batch interface {
	comparable
	// small tells that handing the batch over would cost more than it spares.
	small() bool
	// ready is a channel with room for one, which is the batch's own.
	ready() chan struct{}
}

// line takes batches through two stages: work, by several workers at once, and
// finish, by one at a time in the order in which they came. With one worker, or
// while nothing else is under way and the batch is small, who brings it does both at
// once.
type line[B batch] struct {
	work, finish func(B)
	recycle      func(B)
	inline       bool
	busy         atomic.Int32 // batches that were handed over and are not finished
	todo, order  chan B
	wg           sync.WaitGroup
}

// newLine starts the workers of a line. At most depth batches are under way. recycle
// is called for each when it is done with.
func newLine[B batch](workers, depth int, work, finish, recycle func(B)) *line[B] {
	l := &line[B]{work: work, finish: finish, recycle: recycle, inline: workers <= 1}
	if l.inline {
		return l
	}
	l.todo, l.order = make(chan B, depth), make(chan B, depth)
	for range workers {
		l.wg.Go(func() {
			for b := range l.todo {
				l.work(b)
				b.ready() <- struct{}{}
			}
		})
	}
	l.wg.Go(func() {
		for b := range l.order {
			<-b.ready()
			l.finish(b)
			l.recycle(b)
			l.busy.Add(-1)
		}
	})
	return l
}

// put brings a batch. It waits when too many are under way.
func (l *line[B]) put(b B) {
	if l.inline || l.busy.Load() == 0 && b.small() {
		l.work(b)
		l.finish(b)
		l.recycle(b)
		return
	}
	l.busy.Add(1)
	l.order <- b
	l.todo <- b
}

// close waits until everything is finished. Nobody may call put any more.
func (l *line[B]) close() {
	if l.inline {
		return
	}
	close(l.todo)
	close(l.order)
	l.wg.Wait()
}

// pool lends batches: as few as are enough, at most as many as it was made for. They
// are made when they are needed first.
type pool[B batch] struct {
	made   chan B
	unmade chan struct{}
	make   func() B
}

func newPool[B batch](n int, mk func() B) *pool[B] {
	p := &pool[B]{made: make(chan B, n), unmade: make(chan struct{}, n), make: mk}
	for range n {
		p.unmade <- struct{}{}
	}
	return p
}

// get waits for a batch that is not in use.
func (p *pool[B]) get() B {
	select {
	case b := <-p.made:
		return b
	default:
	}
	select {
	case b := <-p.made:
		return b
	case <-p.unmade:
		return p.make()
	}
}

// put gives a batch back.
func (p *pool[B]) put(b B) { p.made <- b }
