// Package sim runs whole networks of daemons in one goroutine under virtual time:
// the shards and stewards of package engine with the real IKE machines, and a
// network that loses, delays, duplicates, corrupts and translates. The same seed
// gives the same run, octet by octet.
package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Faults are what the network does to messages.
type Faults struct {
	Loss, Duplicate, Corrupt float64       // probabilities
	Delay, Jitter            time.Duration // of a message: Delay, and up to Jitter more
}

// World is a network with its hosts.
type World struct {
	Faults Faults
	// Drop, when set, decides about each IKE message on its way; true loses it.
	Drop func(from, to netip.AddrPort, data []byte) bool
	// Changing and Changed, when set, are called before and after the data plane of a
	// host changes.
	Changing, Changed func(h *Host)
	// Keep makes daemons keep their state for those that succeed them.
	Keep bool
	// Trace is what happened, a line each. Quiet leaves it out: long runs keep the last
	// steps only, from which Ladder draws.
	Trace []string
	Quiet bool

	links    map[[2]netip.Addr]*Link // by the first addresses of the hosts, from and to
	ladder   []rung                  // a ring
	rungs    int                     // ever drawn
	sent     int                     // IKE messages
	recorded [256]packet             // the last of them
	breach   error                   // the first violation of an invariant
	now      ike.Instant
	events   events
	count    uint64
	steps    int
	rng      *rand.Rand
	hosts    map[netip.Addr]*Host
	nats     map[netip.Addr]*nat // by inside and by outside address
	order    []*Host
	known    map[uint32]*[2]esp.SA // SAs of ESP and AH ever installed, by SPI and direction
	spis     map[uint32]bool       // ever given
	keys     map[string]uint32     // their SPIs, by key
}

// New returns an empty world.
func New(seed uint64, f Faults) *World {
	return &World{
		Faults: f, Keep: true, rng: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a simulation
		links: make(map[[2]netip.Addr]*Link), hosts: make(map[netip.Addr]*Host), nats: make(map[netip.Addr]*nat),
		known: make(map[uint32]*[2]esp.SA), spis: make(map[uint32]bool), keys: make(map[string]uint32),
	}
}

// Now is the virtual time.
func (w *World) Now() ike.Instant { return w.now }

// event is something that happens at a time; equal times go by order of planning.
type event struct {
	at  ike.Instant
	seq uint64
	do  func()
}

type events []event

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (e events) Len() int { return len(e) }

func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}

func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// After plans f.
func (w *World) After(d time.Duration, f func()) {
	w.count++
	heap.Push(&w.events, event{at: w.now.Add(d), seq: w.count, do: f})
}

// Run lets the world go on until done holds, or for at most limit. It tells
// whether done held. Time jumps from one thing that happens to the next.
func (w *World) Run(limit time.Duration, done func() bool) bool {
	end := w.now.Add(limit)
	for !done() {
		at := w.next()
		if at > end {
			w.now = end
			return done()
		}
		w.now = at
		w.step()
	}
	return true
}

// Rest runs the world for a time.
func (w *World) Rest(d time.Duration) { w.Run(d, func() bool { return false }) }

func (w *World) next() ike.Instant {
	at := ike.Never
	if len(w.events) > 0 {
		at = w.events[0].at
	}
	for _, h := range w.order {
		at = min(at, h.next())
	}
	return max(at, w.now)
}

// step does what is due: one event, or else what the hosts' timers want.
func (w *World) step() {
	w.steps++
	if len(w.events) > 0 && w.events[0].at <= w.now {
		heap.Pop(&w.events).(event).do()
		return
	}
	for _, h := range w.order {
		h.expire()
	}
}

func (w *World) note(format string, args ...any) {
	w.Trace = append(w.Trace, fmt.Sprintf("%10.4f ", time.Duration(w.now).Seconds())+fmt.Sprintf(format, args...))
}

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }
