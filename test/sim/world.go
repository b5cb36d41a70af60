// Package sim runs whole networks of daemons in one goroutine under virtual time:
// the shards and stewards of package engine with the real IKE machines, and a
// network that loses, delays, duplicates, corrupts and translates. The same seed
// gives the same run, octet by octet.
package sim

import (
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

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
	// Drop, when set, decides about each message on its way; true loses it.
	Drop func(from, to netip.AddrPort, data []byte) bool
	// Trace is what happened, a line each. Quiet leaves it out: long runs keep the last
	// steps only, from which Ladder draws.
	Trace []string
	Quiet bool

	links  map[[2]netip.Addr]*Link // by the addresses of the hosts, from and to
	ladder []rung                  // a ring
	rungs  int                     // ever drawn
	sent   int                     // messages
	breach error                   // the first violation of an invariant
	now    ike.Instant
	events events
	count  uint64
	rng    *rand.Rand
	hosts  map[netip.Addr]*Host
	nats   map[netip.Addr]*nat // by inside and by outside address
	order  []*Host
}

// New returns an empty world.
func New(seed uint64, f Faults) *World {
	return &World{
		Faults: f, rng: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // a simulation
		links: make(map[[2]netip.Addr]*Link), hosts: make(map[netip.Addr]*Host), nats: make(map[netip.Addr]*nat),
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
	if len(w.events) > 0 && w.events[0].at <= w.now {
		heap.Pop(&w.events).(event).do()
		return
	}
	for _, h := range w.order {
		h.expire()
	}
}

func (w *World) note(format string, args ...any) {
	if w.Quiet {
		return
	}
	w.Trace = append(w.Trace, fmt.Sprintf("%10.4f ", time.Duration(w.now).Seconds())+fmt.Sprintf(format, args...))
}

func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// Link is what is special about the way from one host to another.
type Link struct {
	Faults Faults
	MTU    int // of an IP datagram, 0: any
	Cut    bool
}

// Link returns the way from one host to another, to be changed: it is as the world's
// faults say at first.
func (w *World) Link(from, to netip.Addr) *Link {
	key := [2]netip.Addr{from, to}
	if w.links[key] == nil {
		w.links[key] = &Link{Faults: w.Faults}
	}
	return w.links[key]
}

// way is the link of a message.
func (w *World) way(from, to netip.Addr) Link {
	if l := w.links[[2]netip.Addr{from, w.inside(to)}]; l != nil {
		return *l
	}
	return Link{Faults: w.Faults}
}

// headers is what IP and UDP add to a message.
const headers = 28

// send takes a message to its destination, or not.
func (w *World) send(from, to netip.AddrPort, data []byte) {
	w.sent++
	l, sender := w.way(from.Addr(), to.Addr()), from.Addr()
	digest := ""
	if !w.Quiet {
		sum := sha256.Sum256(data)
		digest = hex.EncodeToString(sum[:4])
	}
	from = w.leave(from)
	lost := l.Cut || l.MTU > 0 && len(data)+headers > l.MTU || w.Drop != nil && w.Drop(from, to, data)
	if lost || w.chance(l.Faults.Loss) {
		w.draw(sender, w.inside(to.Addr()), data, "lost")
		w.note("%s > %s %s lost", from, to, digest)
		return
	}
	copies := 1
	if w.chance(l.Faults.Duplicate) {
		copies = 2
	}
	for range copies {
		w.carry(l.Faults, from, to, append([]byte(nil), data...), digest)
	}
}

func (w *World) carry(f Faults, from, to netip.AddrPort, data []byte, digest string) {
	fate := ""
	if w.chance(f.Corrupt) && len(data) > 0 {
		data[w.rng.IntN(len(data))] ^= 1 << w.rng.IntN(8)
		fate = " corrupted"
	}
	delay := f.Delay
	if f.Jitter > 0 {
		delay += time.Duration(w.rng.Int64N(int64(f.Jitter)))
	}
	w.draw(w.inside(from.Addr()), w.inside(to.Addr()), data, fmt.Sprintf("%v%s", delay.Round(time.Millisecond), fate))
	w.After(delay, func() {
		dst, ok := w.arrive(to)
		h := w.hosts[dst.Addr()]
		if !ok || h == nil {
			w.note("%s > %s %s nobody there", from, to, digest)
			return
		}
		w.note("%s > %s %s%s %d octets", from, to, digest, fate, len(data))
		h.receive(ike.Datagram{Path: ike.Path{Local: dst, Remote: from}, Data: data})
	})
}

// nat translates one inside address.
type nat struct {
	inside, outside netip.Addr
	ports           map[uint16]uint16 // inside to outside
	back            map[uint16]uint16
	last            uint16
	expiry          time.Duration          // of an unused mapping, 0: none
	used            map[uint16]ike.Instant // by inside port
}

// inside is the address of the host behind an address.
func (w *World) inside(a netip.Addr) netip.Addr {
	if n := w.nats[a]; n != nil {
		return n.inside
	}
	return a
}

// NAT hides the inside address behind the outside one. Ports change, and only what
// has been sent out can be answered.
func (w *World) NAT(inside, outside netip.Addr) {
	n := &nat{inside: inside, outside: outside, last: 1023}
	n.forget()
	w.nats[inside], w.nats[outside] = n, n
}

// Remap makes the NAT of an address forget its mappings, as a reboot does.
func (w *World) Remap(inside netip.Addr) { w.nats[inside].forget() }

// Expiring makes mappings end that have not been used for a time. The keepalives of a
// data plane that has SAs behind the NAT use them.
func (w *World) Expiring(inside netip.Addr, d time.Duration) { w.nats[inside].expiry = d }

func (n *nat) forget() {
	n.ports, n.back, n.used = make(map[uint16]uint16), make(map[uint16]uint16), make(map[uint16]ike.Instant)
}

// use looks at a mapping; it ends when it has not been used for too long.
func (w *World) use(n *nat, port uint16) {
	h := w.hosts[n.inside]
	alive := port == ike.NATTPort && h != nil && !h.dead && h.Plane.keepsAlive()
	if n.expiry > 0 && !alive && w.now.Sub(n.used[port]) > n.expiry {
		delete(n.back, n.ports[port])
		delete(n.ports, port)
	}
	n.used[port] = w.now
}

func (w *World) leave(from netip.AddrPort) netip.AddrPort {
	n := w.nats[from.Addr()]
	if n == nil || from.Addr() != n.inside {
		return from
	}
	w.use(n, from.Port())
	port, ok := n.ports[from.Port()]
	if !ok {
		n.last++
		port = n.last
		n.ports[from.Port()], n.back[port] = port, from.Port()
	}
	return netip.AddrPortFrom(n.outside, port)
}

func (w *World) arrive(to netip.AddrPort) (netip.AddrPort, bool) {
	n := w.nats[to.Addr()]
	if n == nil {
		return to, true
	}
	if port, ok := n.back[to.Port()]; ok {
		w.use(n, port)
	}
	port, ok := n.back[to.Port()]
	return netip.AddrPortFrom(n.inside, port), ok && to.Addr() == n.outside
}
