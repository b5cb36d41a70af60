package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// usages is a data plane that knows the usage of some SAs.
type usages struct {
	None
	last map[uint32]time.Duration // by SPI
}

func (u *usages) Query(_ context.Context, id esp.SAID) (esp.Usage, error) {
	last, ok := u.last[id.SPI]
	if !ok {
		return esp.Usage{}, errors.New("no such SA")
	}
	return esp.Usage{LastUse: last}, nil
}

// Activity is answered by the latest use of any of the SAs.
func TestActivity(t *testing.T) {
	w := newPlaneWorker(&usages{last: map[uint32]time.Duration{1: time.Minute, 2: 3 * time.Second, 3: -1, 4: 0}}, nil, nil)
	w.wg.Go(func() { w.run(context.Background()) })
	back := newInbox[shardItem](0)
	for i, c := range []struct {
		spis []uint32
		want ike.Idle
	}{
		{nil, -1}, {[]uint32{3}, -1}, {[]uint32{9}, -1}, {[]uint32{9, 3, 1}, ike.Idle(time.Minute)},
		{[]uint32{1, 2}, ike.Idle(3 * time.Second)}, {[]uint32{2, 1, 3}, ike.Idle(3 * time.Second)}, {[]uint32{2, 4, 1}, 0},
	} {
		var q ike.Activity
		for _, spi := range c.spis {
			q.SAs = append(q.SAs, esp.SAID{SPI: spi, Proto: esp.ProtoESP})
		}
		w.put(wish{ref: 1, ticket: ike.Ticket(i + 1), query: q, back: back})
		got := take(t, back, 1)[0]
		if got.Done.Err != nil || got.Done.Result != c.want || got.Done.Ticket != ike.Ticket(i+1) || got.Undo != nil {
			t.Errorf("%v: %+v, want %v", c.spis, got, c.want)
		}
	}
	w.in.close()
	w.wg.Wait()
}

// recorder is a data plane that writes down what is done to it.
type recorder struct {
	None
	mu  sync.Mutex
	ops []esp.Op
	err error
}

func (r *recorder) Apply(_ context.Context, ops []esp.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, ops...)
	return r.err
}

func TestPlaneWorker(t *testing.T) {
	plane := &recorder{}
	var warned []string
	w := newPlaneWorker(plane, nil, func(text string) { warned = append(warned, text) })
	w.wg.Go(func() { w.run(context.Background()) })
	back := newInbox[shardItem](0)
	for i := range uint32(3) {
		w.put(wish{ref: 1, ticket: ike.Ticket(i + 1), ops: []esp.Op{esp.DelSA{ID: esp.SAID{SPI: i}}}, back: back})
	}
	w.put(wish{ref: 1, ticket: 9, query: ike.Reserve{}, back: back})
	got := take(t, back, 4)
	for i, f := range got[:3] {
		if f.Done.Ticket != ike.Ticket(i+1) || plane.ops[i].(esp.DelSA).ID.SPI != uint32(i) {
			t.Errorf("out of order: %v %v", got, plane.ops)
		}
	}
	r, ok := got[3].Done.Result.(ike.Reserved)
	if !ok || r.SPI < firstSPI || r.ReqID != FirstChildReqID || len(got[3].Undo) != 1 {
		t.Errorf("reserved: %+v", got[3])
	}
	plane.mu.Lock()
	plane.err = errors.New("no memory")
	plane.mu.Unlock()
	w.put(wish{ref: 1, ops: []esp.Op{esp.DelSA{}}})
	w.in.close()
	w.wg.Wait()
	if len(warned) != 1 || !strings.Contains(warned[0], "no memory") {
		t.Errorf("warnings: %q", warned)
	}
}

// picky is a data plane that refuses one SA.
type picky struct {
	None
	calls [][]esp.Op
}

func (p *picky) Apply(_ context.Context, ops []esp.Op) error {
	p.calls = append(p.calls, ops)
	for _, op := range ops {
		if d, ok := op.(esp.DelSA); ok && d.ID.SPI == 2 {
			return errors.New("not this one")
		}
	}
	return nil
}

// What is wanted at the same time goes to the data plane together; when something is
// refused each learns of its own part only.
func TestPlaneWorkerBatches(t *testing.T) {
	for _, c := range []struct {
		name  string
		ops   []esp.Op // one a wish
		calls int
		bad   int // which wish fails, -1: none
	}{
		{"together", []esp.Op{esp.DelSA{ID: esp.SAID{SPI: 1}}, esp.AddPolicy{}, esp.DelPolicy{}}, 1, -1},
		{"one is refused", []esp.Op{esp.DelSA{ID: esp.SAID{SPI: 1}}, esp.DelSA{ID: esp.SAID{SPI: 2}}, esp.DelPolicy{}}, 4, 1},
		{"what moves goes by itself", []esp.Op{esp.AddPolicy{}, esp.MoveSA{}, esp.AddPolicy{}, esp.DelPolicy{}}, 3, -1},
		{"alone", []esp.Op{esp.DelSA{ID: esp.SAID{SPI: 2}}}, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			plane := &picky{}
			w := newPlaneWorker(plane, nil, func(string) {})
			back := newInbox[shardItem](0)
			var items []wish
			for i, op := range c.ops {
				items = append(items, wish{ref: 1, ticket: ike.Ticket(i + 1), ops: []esp.Op{op}, back: back})
			}
			w.work(t.Context(), items)
			if len(plane.calls) != c.calls {
				t.Errorf("%d calls, want %d", len(plane.calls), c.calls)
			}
			got := take(t, back, len(c.ops))
			for i, f := range got {
				if f.Done.Ticket != ike.Ticket(i+1) || (f.Done.Err != nil) != (i == c.bad) {
					t.Errorf("wish %d: %+v", i, f.Done)
				}
			}
		})
	}
}
