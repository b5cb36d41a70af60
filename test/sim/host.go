package sim

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/v2"
)

// How long a host takes for what the engine does in other goroutines.
const (
	jobTime   = time.Millisecond
	planeTime = 200 * time.Microsecond
	wordTime  = 10 * time.Microsecond // from shard to steward and back
)

// Host is a daemon: one shard and its steward, on a simulated data plane.
type Host struct {
	Name    string
	Addr    netip.Addr
	Plane   *Plane
	Shard   *engine.Shard
	Steward *engine.Steward
	Reports []ike.Report
	// Outcomes are the answers to commands, by the number that Up and Down returned.
	Outcomes map[uint64]engine.Outcome

	// Drift is how fast the host's clock is, in millionths.
	Drift int64
	// Lag is how much longer the data plane takes, Busy how much longer jobs do.
	Lag, Busy time.Duration

	world   *World
	home    netip.Addr               // the address that it had first, by which its links are known
	more    []netip.Addr             // addresses beside Addr
	waiting int                      // results that are on their way
	late    map[esp.SAID]ike.Instant // SAs of no child, and when they were seen first
	planeAt ike.Instant              // when the data plane has done what it was asked for last
	guarded []esp.Flow               // packets that must not leave in the clear
	sent    sentBefore
	life    int                          // how many processes have been in the place of the first
	kept    map[uint64]map[uint64][]byte // the state of its IKE SAs, for the next process
	early   *[]engine.StewardInput       // what the steward is told when it knows its configuration
	books   books
	dead    bool
	rand    *rand.ChaCha8
	waiters uint64
}

// Host adds a daemon and gives it its configuration.
func (w *World) Host(name string, addr netip.Addr, c *conf.Config) *Host {
	h := w.newHost(name, addr, c)
	h.sent = newSentBefore()
	h.Plane = newPlane(w.spis, rand.New(rand.NewPCG(w.rng.Uint64(), 2)), engine.FirstChildReqID-1) //nolint:gosec // a simulation
	h.tell(engine.Load{Config: c})
	return h
}

func (w *World) newHost(name string, addr netip.Addr, c *conf.Config) *Host {
	h := &Host{Name: name, Addr: addr, home: addr, world: w, Outcomes: make(map[uint64]engine.Outcome)}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(w.rng.Uint32())
	}
	h.rand = rand.NewChaCha8(seed)
	h.begin(c)
	w.hosts[addr] = h
	w.order = append(slices.DeleteFunc(w.order, func(x *Host) bool { return x.dead && x.home == addr }), h)
	return h
}

// begin begins the process.
func (h *Host) begin(c *conf.Config) {
	id := uint64(1_000_000 * h.life) //nolint:gosec // a small number
	h.kept = make(map[uint64]map[uint64][]byte)
	h.books = newBooks()
	h.Shard = engine.NewShard(engine.ShardConfig{
		Count: 1, Machines: v2.Machines{}, Cookies: v2.NewCookies(h.rand), Tickets: v2.NewTickets(h.rand), Config: c, Rand: h.rand,
		FirstID: id + 2, StepID: 2, Own: h.own(), Keep: h.world.Keep,
	}, h)
	h.Steward = engine.NewSteward(engine.StewardConfig{Seed: h.world.rng.Uint64(), FirstID: id + 1, StepID: 2}, h)
}

// Restart puts another process in the place of the host's, at once and without a word to
// anybody: what was kept is carried on, and what the data plane holds is still there. It
// tells how many IKE SAs are carried on.
func (h *Host) Restart(c *conf.Config) (carried int) {
	h.life++
	h.waiting = 0
	left := h.kept
	h.begin(c)
	h.Plane.succeed()
	had, early := make(map[string]uint32), []engine.StewardInput(nil)
	h.early = &early
	for _, spi := range slices.Sorted(maps.Keys(left)) {
		st, err := h.Shard.TakeOver(h.now(), spi, left[spi])
		if errors.Is(err, engine.ErrExpired) {
			continue
		}
		if err != nil {
			h.world.violated("%s: an IKE SA is not taken over: %v", h.Name, err)
			continue
		}
		carried++
		h.books.inherit(st)
		for _, k := range st.Children {
			if k.ReqID < engine.FirstChildReqID {
				had[st.Conn+"/"+k.Name] = k.ReqID
			}
		}
	}
	h.early = nil
	for _, in := range append([]engine.StewardInput{engine.Had{ReqIDs: had}, engine.Load{Config: c}}, early...) {
		h.tell(in)
	}
	h.later(staleTime, func() { _ = h.install(h.Plane.stale()) })
	return carried
}

// staleTime is how long a data plane keeps what the daemon before has left, and nobody
// has taken over.
const staleTime = 3 * time.Minute

// Die takes the host off the network, without a word to anybody.
func (h *Host) Die() { h.dead = true }

// Move gives the host another address in the place of the one that it has.
func (h *Host) Move(to netip.Addr) {
	delete(h.world.hosts, h.Addr)
	h.Addr = to
	h.world.hosts[to] = h
	h.roam()
}

// Join gives the host more addresses. Its routes choose the first that it has.
func (h *Host) Join(more ...netip.Addr) {
	h.more = append(h.more, more...)
	for _, a := range more {
		h.world.hosts[a] = h
	}
	h.roam()
}

func (h *Host) roam() {
	h.give(engine.Roamed{Own: h.own()})
	h.tell(engine.Roamed{Own: h.own()})
}

// own are the addresses of the host.
func (h *Host) own() []netip.Addr { return append([]netip.Addr{h.Addr}, h.more...) }

// Up and Down give commands; the outcome is in Outcomes under the number returned.
func (h *Host) Up(conn, child string) uint64 {
	h.waiters++
	h.tell(engine.Up{Waiter: h.waiters, Conn: conn, Child: child})
	return h.waiters
}

// Down takes a connection down.
func (h *Host) Down(conn string) uint64 {
	h.waiters++
	in := engine.Down{Waiter: h.waiters}
	in.Match.Conn = conn
	h.tell(in)
	return h.waiters
}

// Configure gives the host another configuration.
func (h *Host) Configure(c *conf.Config) {
	h.give(engine.Reconfigured{Config: c})
	h.tell(engine.Load{Config: c})
}

// give and tell are the ways into the shard and the steward.
func (h *Host) give(in engine.Input) {
	if !h.dead {
		h.Shard.Handle(h.now(), in)
	}
}

func (h *Host) tell(in engine.StewardInput) {
	if h.early != nil {
		*h.early = append(*h.early, in)
		return
	}
	life := h.life
	h.world.After(wordTime, func() {
		if !h.dead && life == h.life {
			h.Steward.Handle(h.now(), in)
		}
	})
}

func (h *Host) next() ike.Instant {
	if h.dead {
		return ike.Never
	}
	return h.worldTime(min(h.Shard.Next(), h.Steward.Next()))
}

// million is what Drift counts.
const million = 1_000_000

// now is the time by the host's clock.
func (h *Host) now() ike.Instant { return h.world.now + h.world.now/million*ike.Instant(h.Drift) }

// worldTime is the first instant at which the host's clock shows at least t.
func (h *Host) worldTime(t ike.Instant) ike.Instant {
	if t == ike.Never || h.Drift == 0 {
		return t
	}
	rate := ike.Instant(million + h.Drift)
	at := max(t/rate*million+t%rate*million/rate-million, 0)
	for at+at/million*ike.Instant(h.Drift) < t {
		at += max(1, t-(at+at/million*ike.Instant(h.Drift)))
	}
	return at
}

func (h *Host) expire() {
	if !h.dead {
		h.Shard.Expire(h.now())
		h.Steward.Expire(h.now())
	}
}

func (h *Host) receive(dg ike.Datagram) { h.give(engine.Received{Datagram: dg}) }

// Keep implements engine.Outside.
func (h *Host) Keep(k engine.Kept) {
	if h.kept[k.SPI] == nil {
		h.kept[k.SPI] = make(map[uint64][]byte)
	}
	if h.kept[k.SPI][k.Part] = slices.Clone(k.Data); len(k.Data) > 0 {
		return
	}
	if delete(h.kept[k.SPI], k.Part); len(h.kept[k.SPI]) == 0 {
		delete(h.kept, k.SPI)
	}
}

// Send implements engine.Outside.
func (h *Host) Send(m ike.Send) {
	h.examine(m.Data)
	h.world.send(packet{from: m.Path.Local, to: m.Path.Remote, data: m.Data})
}

// later brings a result.
func (h *Host) later(d time.Duration, f func()) {
	h.waiting++
	life := h.life
	h.world.After(d, func() {
		if life == h.life { // else nobody waits for it any more
			h.waiting--
			f()
		}
	})
}

// planeTakes is how long what is wanted of the data plane now takes: nothing overtakes what
// was wanted before.
func (h *Host) planeTakes() time.Duration {
	h.planeAt = max(h.planeAt, h.world.now.Add(planeTime+h.Lag))
	return h.planeAt.Sub(h.world.now)
}

// install carries operations out and looks at what came of them. A dead host does
// nothing more.
func (h *Host) install(ops []esp.Op) error {
	if h.dead {
		return nil
	}
	if h.world.Changing != nil {
		h.world.Changing(h)
	}
	err := h.Plane.apply(ops)
	h.world.installed(h, ops)
	if h.world.Changed != nil {
		h.world.Changed(h)
	}
	return err
}

// Compute implements engine.Outside.
func (h *Host) Compute(ref engine.Ref, c ike.Compute) {
	h.later(jobTime+h.Busy, func() {
		result, err := c.Job.Run(h.rand)
		h.give(engine.Finished{Ref: ref, Done: ike.Done{Ticket: c.Ticket, Result: result, Err: err}})
	})
}

// Install implements engine.Outside.
func (h *Host) Install(ref engine.Ref, i ike.Install) {
	h.later(h.planeTakes(), func() {
		err := h.install(i.Ops)
		if i.Ticket != 0 {
			h.give(engine.Finished{Ref: ref, Done: ike.Done{Ticket: i.Ticket, Err: err}})
		}
	})
}

// Ask implements engine.Outside.
func (h *Host) Ask(ref engine.Ref, a ike.Ask) {
	h.later(h.planeTakes(), func() {
		if h.dead {
			return
		}
		f := engine.Finished{Ref: ref, Done: ike.Done{Ticket: a.Ticket}}
		switch q := a.Query.(type) {
		case ike.Activity:
			f.Done.Result = h.Plane.idle(h.now(), q.SAs)
		case ike.Sources:
			f.Done.Result = slices.Repeat([]netip.Addr{h.Addr}, len(q.Remotes))
		case ike.Reserve:
			r := h.Plane.reserve(q)
			f.Done.Result = r
			f.Undo = []esp.Op{esp.DelSA{ID: esp.SAID{Dst: q.Dst, SPI: r.SPI, Proto: q.Proto}}}
		default:
			panic("nobody answers this query")
		}
		h.give(f)
	})
}

// Report implements engine.Outside and engine.StewardOutside.
func (h *Host) Report(r ike.Report) {
	if !h.world.Quiet {
		h.Reports = append(h.Reports, r)
		h.world.note("%s: %s/%s: %s", h.Name, r.Conn, r.Child, r.Text)
	}
	h.world.remark(h, r)
	h.book(r)
	if r.Kind != ike.Step && r.Kind != ike.Warning {
		h.tell(engine.Heard{Report: r})
	}
}

// Dial implements engine.StewardOutside.
func (h *Host) Dial(d engine.Dial) { h.later(wordTime, func() { h.give(d) }) }

// Order implements engine.StewardOutside.
func (h *Host) Order(o engine.Order) { h.later(wordTime, func() { h.give(o) }) }

// Trap implements engine.StewardOutside.
func (h *Host) Trap(ops []esp.Op) { h.later(h.planeTakes(), func() { _ = h.install(ops) }) }

// Locate implements engine.StewardOutside: the peer is where the connection says.
func (h *Host) Locate(ticket uint64, c *conf.Connection) {
	path := ike.Path{Local: netip.AddrPortFrom(h.Addr, ike.Port), Remote: netip.AddrPortFrom(c.Gateways[0].Prefix.Addr(), ike.Port)}
	h.later(planeTime+h.Lag, func() { h.tell(engine.Located{Ticket: ticket, Paths: []ike.Path{path}}) })
}

// Outcome implements engine.StewardOutside.
func (h *Host) Outcome(waiter uint64, o engine.Outcome) { h.Outcomes[waiter] = o }

// Acquire tells the steward that a packet asks for a policy's SA, as a data plane
// does.
func (h *Host) Acquire(policy string, packet esp.Selector) {
	h.tell(engine.Acquired{Acquire: esp.Acquire{Policy: policy, Packet: packet}})
}
