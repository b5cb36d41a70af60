package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// wish is something that is wanted of the data plane: operations, or a query, or to
// know when all that was wanted before is done.
type wish struct {
	ref    Ref
	ticket ike.Ticket
	ops    []esp.Op
	query  ike.Query
	back   *inbox[shardItem]
	done   chan<- struct{} // closed
}

// alone tells whether a wish is not carried out together with others. What moves SAs
// can be done only once.
func (it wish) alone() bool {
	return it.query != nil || it.done != nil ||
		slices.ContainsFunc(it.ops, func(op esp.Op) bool { _, ok := op.(esp.MoveSA); return ok })
}

// planeWorker is the one goroutine that changes the data plane, so that everything
// happens to it in the order in which it was wanted.
type planeWorker struct {
	plane   DataPlane
	sources Sources
	in      *inbox[wish]
	reqIDs  *reqIDs
	present *present
	childID uint64 // last given
	warn    func(text string)
	taps    *taps // who may want keys; nil: nobody
	wg      sync.WaitGroup
}

func newPlaneWorker(p DataPlane, s Sources, warn func(string)) *planeWorker {
	return &planeWorker{plane: p, sources: s, in: newInbox[wish](0), warn: warn, reqIDs: newReqIDs(), present: newPresent()}
}

func (w *planeWorker) put(wishes ...wish) bool { return w.in.put(wishes...) }

// run works until the inbox is closed and empty.
func (w *planeWorker) run(ctx context.Context) {
	var items []wish
	for range w.in.wake {
		closed := w.in.isClosed()
		items = w.in.take(items)
		w.work(ctx, items)
		if closed {
			return
		}
	}
}

// work carries out wishes, and hands what came of them back in few pieces.
func (w *planeWorker) work(ctx context.Context, items []wish) {
	var done []shardItem
	var back *inbox[shardItem]
	tell := func(it wish, f Finished) {
		if it.back != back {
			done = deliver(back, done)
			back = it.back
		}
		done = append(done, shardItem{in: f})
	}
	spis := w.allocate(ctx, items)
	for i := 0; i < len(items); {
		switch it := items[i]; {
		case it.query != nil:
			tell(it, w.answer(ctx, it, spis[i]))
			i++
			continue
		case it.done != nil:
			close(it.done)
			i++
			continue
		}
		n := i + 1
		for n < len(items) && !items[n].alone() && !items[n-1].alone() {
			n++
		}
		for k, err := range w.apply(ctx, items[i:n]) {
			if it := items[i+k]; it.ticket != 0 {
				tell(it, Finished{Ref: it.ref, Done: ike.Done{Ticket: it.ticket, Err: err}})
			} else if err != nil {
				w.warn(fmt.Sprintf("the data plane did not do what it should: %v", err))
			}
		}
		i = n
	}
	deliver(back, done)
}

// apply carries out the operations of several wishes, all together if that goes well.
// Else each is tried by itself, which tells whose fault it was: operations are
// idempotent.
func (w *planeWorker) apply(ctx context.Context, wishes []wish) []error {
	errs := make([]error, len(wishes))
	var all []esp.Op
	for _, it := range wishes {
		w.disclose(it.ops)
		w.reqIDs.applied(it.ops)
		w.present.applied(it.ops)
		all = append(all, it.ops...)
	}
	if len(wishes) > 1 && w.plane.Apply(ctx, all) == nil {
		return errs
	}
	for i, it := range wishes {
		errs[i] = w.plane.Apply(ctx, it.ops)
	}
	return errs
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

// answer is the result of a query.
func (w *planeWorker) answer(ctx context.Context, it wish, a allocated) Finished {
	f := Finished{Ref: it.ref, Done: ike.Done{Ticket: it.ticket}}
	switch q := it.query.(type) {
	case ike.Reserve:
		w.reserve(q, a, &f)
	case ike.Sources:
		f.Done.Result = w.sources(ctx, q.Conn, q.Remotes)
	case ike.Activity:
		f.Done.Result = w.idle(ctx, q)
	default:
		f.Done.Err = fmt.Errorf("nobody answers %T", q)
	}
	return f
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
	f.Done.Result = ike.Reserved{SPI: a.spi, ReqID: reqID, ID: w.childID, Beside: w.present.has(r.Name, r.Src)}
	f.Undo = []esp.Op{esp.DelSA{ID: id}}
}
