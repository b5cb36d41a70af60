package engine

import (
	"context"
	"fmt"
	"sync"

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
	reqIDs  *reqIDs
	childID uint64 // last given
	warn    func(text string)
	wg      sync.WaitGroup
}

func newPlaneWorker(p DataPlane, warn func(string)) *planeWorker {
	return &planeWorker{plane: p, in: newInbox[wish](0), warn: warn, reqIDs: newReqIDs()}
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
		spis := w.allocate(ctx, items)
		for i, it := range items {
			if it.back != back {
				done = deliver(back, done)
				back = it.back
			}
			if d, ok := w.do(ctx, it, spis[i]); ok {
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

// allocated is an SPI, or why there is none.
type allocated struct {
	spi uint32
	err error
}

// maxAllocs is how many SPIs are asked for at a time: a data plane can then get them
// together.
const maxAllocs = 64

// allocate gets the SPIs that wishes ask for. Nothing that is done to the data plane
// before or after makes a difference to them.
func (w *planeWorker) allocate(ctx context.Context, items []wish) []allocated {
	out := make([]allocated, len(items))
	places := make(chan struct{}, maxAllocs)
	var wg sync.WaitGroup
	for i, it := range items {
		r, ok := it.query.(ike.Reserve)
		if !ok {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			out[i].spi, out[i].err = w.plane.AllocSPI(ctx, r.Src, r.Dst, r.Proto)
			<-places
		})
	}
	wg.Wait()
	return out
}

// do carries out one wish; ok tells whether its result is wanted.
func (w *planeWorker) do(ctx context.Context, it wish, a allocated) (Finished, bool) {
	f := Finished{Ref: it.ref, Done: ike.Done{Ticket: it.ticket}}
	if it.query != nil {
		w.answer(ctx, it.query, a, &f)
		return f, true
	}
	w.reqIDs.applied(it.ops)
	f.Done.Err = w.plane.Apply(ctx, it.ops)
	if it.ticket != 0 {
		return f, true
	}
	if f.Done.Err != nil {
		w.warn(fmt.Sprintf("the data plane did not do what it should: %v", f.Done.Err))
	}
	return f, false
}

func (w *planeWorker) answer(ctx context.Context, q ike.Query, a allocated, f *Finished) {
	switch q := q.(type) {
	case ike.Reserve:
		w.reserve(q, a, f)
	case ike.Activity:
		f.Done.Result = w.idle(ctx, q)
	default:
		f.Done.Err = fmt.Errorf("nobody answers %T", q)
	}
}

// idle is the time since any of some SAs has carried a packet. An SA that is not there
// has not.
func (w *planeWorker) idle(ctx context.Context, q ike.Activity) ike.Idle {
	idle := ike.Idle(-1)
	for _, id := range q.SAs {
		u, err := w.plane.Query(ctx, id)
		if last := ike.Idle(u.LastUse); err == nil && last >= 0 && (idle < 0 || last < idle) {
			idle = last
		}
	}
	return idle
}

func (w *planeWorker) reserve(r ike.Reserve, a allocated, f *Finished) {
	if a.err != nil {
		f.Done.Err = a.err
		return
	}
	id := esp.SAID{Dst: r.Dst, SPI: a.spi, Proto: r.Proto}
	reqID := w.reqIDs.choose(r)
	w.reqIDs.reserved(id, reqID)
	w.childID++
	f.Done.Result = ike.Reserved{SPI: a.spi, ReqID: reqID, ID: w.childID}
	f.Undo = []esp.Op{esp.DelSA{ID: id}}
}
