package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

var _ control.Backend = (*Engine)(nil)

// lookTime bounds a look at a shard or the steward.
const lookTime = 10 * time.Second

// Info implements control.Backend.
func (e *Engine) Info() control.Info { return e.cfg.Info }

// Config implements control.Backend.
func (e *Engine) Config() *conf.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conf
}

// Stats implements control.Backend.
func (e *Engine) Stats() control.Stats {
	s := control.Stats{Started: e.started, Dropped: make(map[string]uint64), Counts: make(control.Counts), Waiting: make(map[string]int)}
	for _, r := range e.runners {
		t, _ := atShard(context.Background(), r, tallyShard)
		s.IKESAs += t.sas
		s.HalfOpen += t.halfOpen
		for reason, n := range t.drops {
			s.Dropped[reason] += n
		}
		s.Counts.Merge(t.counts)
		waiting, dropped := r.in.load()
		s.Dropped["queue-full"] += dropped
		s.Waiting["shards"] += waiting
	}
	counts, _ := atSteward(context.Background(), e, func(*Steward) control.Counts { return maps.Clone(e.steward.counts) })
	s.Counts.Merge(counts)
	s.Waiting["steward"], _ = e.steward.in.load()
	s.Waiting["dataplane"], _ = e.planes.in.load()
	s.Workers, s.Idle, s.Queued = e.workers.load()
	s.Waiting["jobs"] = s.Queued
	s.Waits, s.Runs = e.workers.waits.read(), e.workers.runs.read()
	s.Goroutines = runtime.NumGoroutine()
	if e.cfg.Counters != nil {
		s.Plane = e.cfg.Counters()
	}
	return s
}

// tally is what a shard counts.
type tally struct {
	sas, halfOpen int
	drops         map[string]uint64
	counts        control.Counts
}

func tallyShard(s *Shard) tally {
	return tally{sas: s.Len(), halfOpen: s.HalfOpen(), drops: s.Drops(), counts: maps.Clone(s.counts)}
}

// atShard calls f in the goroutine of a shard; ok is false when that does not
// answer.
func atShard[T any](ctx context.Context, r *runner, f func(*Shard) T) (result T, ok bool) {
	return look(ctx, r.in, func(answer func(T)) shardItem {
		return shardItem{look: func(s *Shard) { answer(f(s)) }}
	})
}

// atSteward is the same for the steward.
func atSteward[T any](ctx context.Context, e *Engine, f func(*Steward) T) (result T, ok bool) {
	return look(ctx, e.steward.in, func(answer func(T)) StewardInput {
		return lookAtSteward{func(s *Steward) { answer(f(s)) }}
	})
}

// look puts an item into an inbox and waits for what it answers.
func look[I, T any](ctx context.Context, in *inbox[I], item func(answer func(T)) I) (result T, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	answer := make(chan T, 1)
	if !in.put(item(func(t T) { answer <- t })) {
		return result, false
	}
	select {
	case result = <-answer:
		return result, true
	case <-ctx.Done():
		return result, false
	}
}

// SAs implements control.Backend.
func (e *Engine) SAs(ctx context.Context) []control.SA {
	var out []control.SA
	for _, r := range e.runners {
		list, _ := atShard(ctx, r, (*Shard).Statuses)
		for _, st := range list {
			out = append(out, e.withUsage(ctx, st))
		}
	}
	return out
}

func (e *Engine) withUsage(ctx context.Context, st ike.Status) control.SA {
	sa := control.SA{Status: st, Usage: make([]control.ChildUsage, len(st.Children))}
	for i, c := range st.Children {
		proto := esp.ProtoESP
		if c.Proto == crypto.AH {
			proto = esp.ProtoAH
		}
		sa.Usage[i] = control.ChildUsage{
			In:  e.usage(ctx, esp.SAID{Dst: c.LocalHost, SPI: c.SPIIn, Proto: proto}),
			Out: e.usage(ctx, esp.SAID{Dst: c.RemoteHost, SPI: c.SPIOut, Proto: proto}),
		}
	}
	return sa
}

// usage asks the data plane; an SA that is just going has none.
func (e *Engine) usage(ctx context.Context, id esp.SAID) esp.Usage {
	u, err := e.cfg.Plane.Query(ctx, id)
	if err != nil {
		return esp.Usage{LastUse: -1}
	}
	return u
}

// Conns implements control.Backend.
func (e *Engine) Conns() []control.ConnState {
	list, _ := atSteward(context.Background(), e, (*Steward).Conns)
	return list
}

// Subscribe implements control.Backend.
func (e *Engine) Subscribe(sink func(control.Event)) (cancel func()) {
	return e.feed.subscribe(nil, sink)
}

// Initiate implements control.Backend.
func (e *Engine) Initiate(ctx context.Context, r control.InitiateRequest, log func(control.LogLine)) error {
	about := func(rep ike.Report) bool { return r.Conn == "" || rep.Conn == r.Conn }
	defer e.follow(about, log)()
	_, err := e.await(ctx, r.Timeout, func(waiter uint64) StewardInput {
		return Up{Waiter: waiter, Conn: r.Conn, Child: r.Child, Local: r.Local, Remote: r.Remote}
	})
	if errors.Is(err, errNoOutcome) {
		what, name := "IKE_SA", r.Conn
		if r.Child != "" {
			what, name = "CHILD_SA", r.Child
		}
		return fmt.Errorf("%s '%s' not established after %dms: %w", what, name, r.Timeout.Milliseconds(), err)
	}
	return err
}

// Terminate implements control.Backend.
func (e *Engine) Terminate(ctx context.Context, r control.TerminateRequest, log func(control.LogLine)) (int, error) {
	about := func(rep ike.Report) bool {
		switch {
		case r.ConnID != 0:
			return rep.IKE == r.ConnID
		case r.ChildID != 0:
			return rep.ChildID == r.ChildID
		}
		return r.Conn == "" || rep.Conn == r.Conn
	}
	defer e.follow(about, log)()
	o, err := e.await(ctx, r.Timeout, func(waiter uint64) StewardInput {
		return Down{Waiter: waiter, Match: r}
	})
	return o.Matched, err
}

// follow gives the log lines of reports to log until the returned function is
// called.
func (e *Engine) follow(about func(ike.Report) bool, log func(control.LogLine)) func() {
	if log == nil {
		return func() {}
	}
	return e.feed.subscribe(about, func(ev control.Event) {
		if ev.Log != nil {
			log(*ev.Log)
		}
	})
}

// await gives the steward a command and waits for its outcome as long as timeout
// says: 0 without limit but ctx, negative not at all.
func (e *Engine) await(ctx context.Context, timeout time.Duration, in func(waiter uint64) StewardInput) (Outcome, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if timeout < 0 {
		return e.commandOnly(ctx, in)
	}
	o, err := e.command(ctx, in)
	if errors.Is(err, context.DeadlineExceeded) {
		return o, errNoOutcome
	}
	if err != nil {
		return o, err
	}
	return o, o.Err
}

// commandOnly gives the steward a command and learns no more than whether that can be
// carried out.
func (e *Engine) commandOnly(ctx context.Context, in func(waiter uint64) StewardInput) (Outcome, error) {
	left, leave := context.WithCancel(ctx)
	leave()
	o, err := e.command(left, in)
	switch {
	case err == nil:
		return o, o.Err
	case ctx.Err() == nil && errors.Is(err, context.Canceled):
		return o, nil
	}
	return o, err
}

// errNoOutcome is the error of a command whose time is over.
var errNoOutcome = errors.New("no outcome yet, it goes on in the background")

// errLeft is the outcome for who no longer waits.
var errLeft = errors.New("nobody waits any more")

// command gives the steward a command and waits for its outcome.
func (e *Engine) command(ctx context.Context, in func(waiter uint64) StewardInput) (Outcome, error) {
	waiter, ch := e.steward.wait()
	if !e.steward.in.put(in(waiter)) {
		e.steward.forget(waiter)
		return Outcome{}, errClosed
	}
	select {
	case o := <-ch:
		return o, nil
	case <-ctx.Done():
	}
	// The steward tells what the command was about; or the outcome came meanwhile.
	defer e.steward.forget(waiter)
	if !e.steward.in.put(Leave{Waiter: waiter}) {
		return Outcome{}, ctx.Err()
	}
	select {
	case o := <-ch:
		if errors.Is(o.Err, errLeft) {
			return o, ctx.Err()
		}
		return o, nil
	case <-time.After(lookTime):
		return Outcome{}, ctx.Err()
	}
}
