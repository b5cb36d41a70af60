package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// wish is something that is wanted of the data plane: operations, or a query.
type wish struct {
	ref    Ref
	ticket ike.Ticket
	ops    []esp.Op
	query  ike.Query
	back   *inbox[shardItem]
}

// planeWorker is the one goroutine that changes the data plane, so that everything
// happens to it in the order in which it was wanted.
type planeWorker struct {
	plane   DataPlane
	in      *inbox[wish]
	reqID   atomic.Uint32 // last given
	childID atomic.Uint64 // last given
	warn    func(text string)
	wg      sync.WaitGroup
}

func newPlaneWorker(p DataPlane, warn func(string)) *planeWorker {
	w := &planeWorker{plane: p, in: newInbox[wish](0), warn: warn}
	w.reqID.Store(FirstChildReqID - 1)
	return w
}

func (w *planeWorker) put(wishes ...wish) { w.in.put(wishes...) }

// run works until the inbox is closed and empty.
func (w *planeWorker) run(ctx context.Context) {
	var items []wish
	var done []shardItem
	for range w.in.wake {
		closed := w.in.isClosed()
		items = w.in.take(items)
		var back *inbox[shardItem]
		for _, it := range items {
			if it.back != back {
				done = deliver(back, done)
				back = it.back
			}
			if d, ok := w.do(ctx, it); ok {
				done = append(done, shardItem{in: d})
			}
		}
		done = deliver(back, done)
		if closed {
			return
		}
	}
}

func deliver(to *inbox[shardItem], items []shardItem) []shardItem {
	if to != nil {
		to.put(items...)
	}
	clear(items)
	return items[:0]
}

// do carries out one wish; ok tells whether its result is wanted.
func (w *planeWorker) do(ctx context.Context, it wish) (Finished, bool) {
	f := Finished{Ref: it.ref, Done: ike.Done{Ticket: it.ticket}}
	if it.query != nil {
		w.answer(ctx, it.query, &f)
		return f, true
	}
	f.Done.Err = w.plane.Apply(ctx, it.ops)
	if it.ticket != 0 {
		return f, true
	}
	if f.Done.Err != nil {
		w.warn(fmt.Sprintf("the data plane did not do what it should: %v", f.Done.Err))
	}
	return f, false
}

func (w *planeWorker) answer(ctx context.Context, q ike.Query, f *Finished) {
	r, ok := q.(ike.Reserve)
	if !ok {
		f.Done.Err = fmt.Errorf("nobody answers %T", q)
		return
	}
	spi, err := w.plane.AllocSPI(ctx, r.Src, r.Dst, r.Proto)
	if err != nil {
		f.Done.Err = err
		return
	}
	if r.ReqID == 0 {
		r.ReqID = w.reqID.Add(1)
	}
	f.Done.Result = ike.Reserved{SPI: spi, ReqID: r.ReqID, ID: w.childID.Add(1)}
	f.Undo = []esp.Op{esp.DelSA{ID: esp.SAID{Dst: r.Dst, SPI: spi, Proto: r.Proto}}}
}
