//go:build linux

package xfrm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// Repairs follow at once for a while, then at intervals that grow: another program may
// remove again and again what is put back.
const (
	freeRepairs   = 5
	firstInterval = time.Second
	lastInterval  = 10 * time.Second
	calm          = time.Minute // after which all is forgotten
)

// repairs count how often the kernel was put right. Used by Watch alone.
type repairs struct {
	count    int
	last     time.Time
	interval time.Duration
}

// due is when the next repair may be.
func (r *repairs) due(now time.Time) time.Time {
	if now.Sub(r.last) > calm {
		*r = repairs{}
	}
	if r.count < freeRepairs {
		return now
	}
	return r.last.Add(r.interval)
}

// done notes a repair and tells whether from now on there are intervals.
func (r *repairs) done(now time.Time) (slower bool) {
	r.last = now
	if r.count++; r.count < freeRepairs {
		return false
	}
	slower = r.count == freeRepairs
	r.interval = min(max(2*r.interval, firstInterval), lastInterval)
	return slower
}

// received is what came from the kernel at a time.
type received struct {
	list []netlink.Message
	err  error
}

// Watch implements engine.DataPlane. It also sees to it that what another program
// removes comes back.
func (p *Plane) Watch(ctx context.Context, sink func(esp.Notice)) error {
	ctx, cancel := context.WithCancel(ctx)
	in := make(chan received)
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		if p.cfg.Notices != nil {
			p.receive(ctx, in)
		}
	}()
	w := watcher{p: p, ctx: ctx, sink: sink, timer: time.NewTimer(0)}
	w.timer.Stop()
	defer w.timer.Stop()
	for {
		w.tell()
		select {
		case <-ctx.Done():
			return nil
		case <-p.told.wake:
		case r := <-in:
			if r.err != nil && !errors.Is(r.err, netlink.ErrLost) {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("notices of the kernel: %w", r.err)
			}
			w.take(r)
		case <-w.timer.C:
			w.repair()
		}
	}
}

// receive hands on what comes, until there is an error.
func (p *Plane) receive(ctx context.Context, in chan<- received) {
	for {
		list, err := p.cfg.Notices.Receive(ctx)
		select {
		case in <- received{list, err}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, netlink.ErrLost) {
			return
		}
	}
}

// watcher is the goroutine of Watch.
type watcher struct {
	p      *Plane
	ctx    context.Context
	sink   func(esp.Notice)
	timer  *time.Timer
	wanted bool // a repair is due
	lost   bool // notices were lost, so that packets may wait of which nobody was told
}

func (w *watcher) tell() {
	for _, n := range w.p.told.take() {
		w.sink(n)
	}
}

func (w *watcher) take(r received) {
	meddled := r.err != nil
	w.lost = w.lost || r.err != nil
	for _, m := range r.list {
		n, foreign := w.p.notice(m)
		if n != nil {
			w.sink(n)
		}
		meddled = meddled || foreign
	}
	if meddled && !w.wanted {
		w.wanted = true
		w.schedule()
	}
}

// schedule does a repair, now or when its time has come.
func (w *watcher) schedule() {
	now := time.Now()
	if due := w.p.repairs.due(now); due.After(now) {
		w.timer.Reset(due.Sub(now))
		return
	}
	w.repair()
}

// repair looks at the kernel and puts right what another program has changed.
func (w *watcher) repair() {
	p, lost := w.p, w.lost
	w.wanted, w.lost = false, false
	slower := p.repairs.done(time.Now())
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	v, d, err := p.compare(w.ctx)
	var asking []esp.Notice
	if err == nil && lost {
		asking = p.waiting(v)
	}
	p.mu.Unlock()
	w.say(d, err, slower)
	for _, n := range asking {
		w.sink(n)
	}
	if err != nil && w.ctx.Err() == nil {
		w.wanted, w.lost = true, lost
		w.timer.Reset(max(time.Until(p.repairs.due(time.Now())), firstInterval))
	}
}

func (w *watcher) say(d difference, err error, slower bool) {
	switch {
	case w.ctx.Err() != nil:
	case err != nil:
		w.p.cfg.Warn(fmt.Sprintf("the SAs and policies of the kernel could not be put right, which is tried again: %v", err))
	case d == difference{}:
	case slower:
		w.p.cfg.Warn(fmt.Sprintf("%v; another program removes them again and again, so they are put back at intervals from now on", d))
	default:
		w.p.cfg.Warn(fmt.Sprintf("%v: another program has removed them; policies are installed again, SAs are negotiated again", d))
	}
}

// waiting are the questions of packets that wait for an SA: of some nobody may have
// been told.
func (p *Plane) waiting(v *view) []esp.Notice {
	var out []esp.Notice
	asked := make(map[string]bool)
	for _, st := range v.states {
		if !larval(st) || st.ID.SPI != 0 || !p.ours(st.ReqID) {
			continue
		}
		c := p.askingFor(&message.Policy{Templates: []message.Template{{ReqID: st.ReqID}}})
		if c == nil || asked[c.Name] {
			continue
		}
		asked[c.Name] = true
		out = append(out, esp.Acquire{Policy: c.Name, ReqID: c.ReqID, Packet: packetSelector(&st.Sel)})
	}
	return out
}
