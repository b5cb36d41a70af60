package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// captureRoom is how much may wait for somebody who records.
const captureRoom = 1024

// taps are those who record messages; none of them can hold up the others or the shards.
type taps struct {
	count, withKeys atomic.Int32 // so that nothing is done for none

	mu  sync.Mutex
	all []*tap
}

type tap struct {
	control.CaptureRequest
	queue chan control.Captured
	count uint64 // of what was there for it, also of what has found no room
}

func (t *taps) add(r control.CaptureRequest) *tap {
	n := &tap{CaptureRequest: r, queue: make(chan control.Captured, captureRoom)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, n)
	t.count.Add(1)
	if r.Keys {
		t.withKeys.Add(1)
	}
	return n
}

func (t *taps) remove(x *tap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(y *tap) bool { return x == y })
	t.count.Add(-1)
	if x.Keys {
		t.withKeys.Add(-1)
	}
}

// publish gives something to all who want it.
func (t *taps) publish(c control.Captured) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.all {
		if x.number(&c) {
			select {
			case x.queue <- c:
			default:
			}
		}
	}
}

// number counts what somebody wants, and tells whether he wants it.
func (t *tap) number(c *control.Captured) bool {
	if c.Message == nil && !t.Keys || t.Conn != "" && c.Conn != "" && c.Conn != t.Conn {
		return false
	}
	t.count++
	c.Number = t.count
	return true
}

var errShard = errors.New("the daemon is too busy to begin a capture")

// Capture implements control.Backend.
func (e *Engine) Capture(ctx context.Context, r control.CaptureRequest, sink func(control.Captured) error) error {
	t := e.taps.add(r)
	defer e.taps.remove(t)
	if r.Keys {
		e.warn("the keys of all SAs are disclosed, from now on, to " + r.By + ": whoever has them can read what is sent")
		defer e.warn("keys are no longer disclosed to " + r.By)
	}
	begun, keys, err := e.beginCaptures(ctx, r.Keys)
	defer e.endCaptures(begun, r.Keys)
	if err != nil {
		return err
	}
	if err := sink(control.Captured{}); err != nil {
		return err
	}
	for _, k := range keys {
		c := control.Captured{Conn: k.Conn, IKE: &k}
		e.taps.mu.Lock()
		wanted := t.number(&c)
		e.taps.mu.Unlock()
		if !wanted {
			continue
		}
		if err := sink(c); err != nil {
			return err
		}
	}
	for {
		select {
		case c := <-t.queue:
			if err := sink(c); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-e.closing:
			return errClosed
		}
	}
}

// beginCaptures begins one at each shard, and tells at how many.
func (e *Engine) beginCaptures(ctx context.Context, withKeys bool) (begun int, keys []ike.Keys, err error) {
	for _, r := range e.runners {
		begun++
		list, ok := atShard(ctx, r, func(s *Shard) []ike.Keys { return s.beginCapture(withKeys) })
		if !ok {
			return begun, nil, errShard
		}
		keys = append(keys, list...)
	}
	return begun, keys, nil
}

// endCaptures comes behind what has begun them, at each shard.
func (e *Engine) endCaptures(begun int, withKeys bool) {
	for _, r := range e.runners[:begun] {
		r.in.put(shardItem{look: func(s *Shard) { s.endCapture(withKeys) }})
	}
}

// captured publishes what a shard has noted.
func (r *runner) captured() {
	for _, n := range r.shard.takeNoted() {
		c := control.Captured{Conn: n.conn, IKE: n.keys}
		if n.keys == nil {
			c.Message = &control.CapturedMessage{At: time.Now().Add(n.at.Sub(r.engine.Now())), Out: n.out, Path: n.path, Data: n.data}
		}
		r.engine.taps.publish(c)
	}
}

// disclose publishes the keys of SAs that are about to be installed.
func (w *planeWorker) disclose(ops []esp.Op) {
	if w.taps == nil || w.taps.withKeys.Load() == 0 {
		return
	}
	for _, op := range ops {
		add, ok := op.(esp.AddSA)
		if !ok || add.SA.ID.Proto == esp.ProtoIPComp {
			continue
		}
		sa := add.SA
		sa.EncrKey, sa.IntegKey = crypto.Secret(slices.Clone(sa.EncrKey)), crypto.Secret(slices.Clone(sa.IntegKey))
		conn, _, _ := strings.Cut(childOf(ops, sa.ReqID), "/")
		w.taps.publish(control.Captured{Conn: conn, SA: &sa})
	}
}

// childOf is the name, "connection/child", of those whose policies come with an SA.
func childOf(ops []esp.Op, reqID uint32) string {
	for _, op := range ops {
		if p, ok := op.(esp.AddPolicy); ok && p.Policy.ReqID == reqID && p.Policy.Name != "" {
			return p.Policy.Name
		}
	}
	return ""
}
