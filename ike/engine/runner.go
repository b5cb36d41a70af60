package engine

import (
	"time"

	"github.com/goike/goike/ike"
)

// shardItem is an input of a shard, or a look at it.
type shardItem struct {
	in   Input
	look func(*Shard)
}

// trafficLimit is how many messages from the network may wait for a shard, when
// none is longer than weightUnit octets.
const (
	trafficLimit = 4096
	weightUnit   = 2048
)

// weigh is what a message takes up of trafficLimit: large ones are not to fill the
// memory.
func weigh(it shardItem) int {
	r, _ := it.in.(Received)
	return 1 + len(r.Data)/weightUnit
}

// burst is how many inputs a shard handles before what came of them is carried out.
const burst = 256

// runner gives a shard its goroutine. It is the shard's Outside: what the shard
// wants is collected and handed on once a burst.
type runner struct {
	engine *Engine
	shard  *Shard
	in     *inbox[shardItem]

	kept    []Kept
	sends   []ike.Send
	jobs    [2][]task
	wishes  []wish
	reports []StewardInput
	mute    bool // it was said that nothing is kept
}

func (r *runner) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var items []shardItem
	for {
		select {
		case <-r.in.wake:
		case <-timer.C:
		}
		closed := r.in.isClosed()
		items = r.in.take(items)
		for part := items; len(part) > 0; {
			n := min(burst, len(part))
			r.handle(part[:n])
			part = part[n:]
		}
		now := r.engine.Now()
		r.shard.Expire(now)
		r.flush()
		if closed {
			return
		}
		timer.Reset(r.engine.until(r.shard.Next()))
	}
}

func (r *runner) handle(items []shardItem) {
	now := r.engine.Now()
	for _, it := range items {
		if it.look != nil {
			it.look(r.shard)
			continue
		}
		r.shard.Handle(now, it.in)
	}
	r.flush()
}

// flush carries out what the shard wants, in its order within each kind: reports
// last, so that who learns of something finds it done or under way.
func (r *runner) flush() {
	r.captured()
	if len(r.wishes) > 0 {
		r.engine.planes.put(r.wishes...)
		clear(r.wishes)
		r.wishes = r.wishes[:0]
	}
	r.write()
	if len(r.sends) > 0 {
		r.engine.cfg.Transport.Send(r.sends)
		clear(r.sends)
		r.sends = r.sends[:0]
	}
	for p := range r.jobs {
		if len(r.jobs[p]) > 0 {
			r.refused(r.engine.workers.add(ike.Priority(p), r.jobs[p]))
			clear(r.jobs[p])
			r.jobs[p] = r.jobs[p][:0]
		}
	}
	if len(r.reports) > 0 {
		r.engine.steward.in.put(r.reports...)
		clear(r.reports)
		r.reports = r.reports[:0]
	}
}

// write writes down what another process can carry on, before any message leaves that
// is part of it. What cannot be written is no reason to stop.
func (r *runner) write() {
	if len(r.kept) == 0 {
		return
	}
	if err := r.engine.cfg.Store.Write(r.kept); err != nil && !r.mute {
		r.mute = true
		r.engine.warn("the state of IKE SAs is not kept any more, a restart will set all up anew: " + err.Error())
	}
	for _, k := range r.kept {
		clear(k.Data)
	}
	clear(r.kept)
	r.kept = r.kept[:0]
}

func (r *runner) refused(tasks []task) {
	for _, t := range tasks {
		r.in.put(shardItem{in: Finished{Ref: t.ref, Done: ike.Done{Ticket: t.ticket, Err: errBusy}}})
	}
}

// Keep implements Outside.
func (r *runner) Keep(k Kept) { r.kept = append(r.kept, k) }

// Send implements Outside.
func (r *runner) Send(m ike.Send) { r.sends = append(r.sends, m) }

// Compute implements Outside.
func (r *runner) Compute(ref Ref, c ike.Compute) {
	p := min(c.Priority, ike.HalfOpen)
	r.jobs[p] = append(r.jobs[p], task{ref: ref, ticket: c.Ticket, job: c.Job, back: r.in})
}

// Install implements Outside.
func (r *runner) Install(ref Ref, i ike.Install) {
	r.wishes = append(r.wishes, wish{ref: ref, ticket: i.Ticket, ops: i.Ops, back: r.in})
}

// Ask implements Outside.
func (r *runner) Ask(ref Ref, a ike.Ask) {
	r.wishes = append(r.wishes, wish{ref: ref, ticket: a.Ticket, query: a.Query, back: r.in})
}

// Report implements Outside.
func (r *runner) Report(rep ike.Report) {
	r.engine.publish(rep)
	if rep.Kind != ike.Step && rep.Kind != ike.Warning {
		r.reports = append(r.reports, Heard{rep})
	}
}
