// Package engine runs IKE SAs. A Shard owns a part of them, a Steward decides
// which connections are set up; both are pure, driven by inputs and by the time
// that the caller tells. The Engine gives them goroutines, timers, sockets, the
// data plane and the control API.
package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// Outside is what a Shard acts upon. Nothing is waited for: results come back as
// inputs.
type Outside interface {
	Send(m ike.Send)
	Compute(ref Ref, c ike.Compute)
	Install(ref Ref, i ike.Install)
	Ask(ref Ref, a ike.Ask)
	Report(r ike.Report)
	// Keep keeps what another process can carry on, before what is sent after it leaves.
	Keep(k Kept)
}

// ShardConfig is what a Shard is made from.
type ShardConfig struct {
	Index    int // of Count shards; their SPIs tell them apart
	Count    int
	Machines Machines
	Cookies  Cookies
	Tickets  Tickets // nil: there are none
	Config   *conf.Config
	Rand     io.Reader // for SPIs and seeds; must not fail
	// FirstID and StepID give the unique IDs: FirstID, FirstID+StepID, ...
	FirstID, StepID uint64
	Own             []netip.Addr // see ike.Birth.Own
	Keep            bool         // whether anybody wants what is kept
}

// Input is what a Shard handles.
type Input interface{ input() }

// The inputs.
type (
	// Received is an IKE message from the network, without non-ESP marker. The shard
	// may change its data.
	Received struct{ ike.Datagram }
	// Finished brings the result of a Compute, Install or Ask. Undo takes the result
	// back when nobody wants it any more.
	Finished struct {
		Ref  Ref
		Done ike.Done
		Undo []esp.Op
	}
	// Dial begins an IKE SA.
	Dial struct {
		ID             uint64
		Conn           *conf.Connection
		Path           ike.Path
		InitialContact bool
		RedirectedFrom netip.Addr   // see ike.Birth
		Session        *ike.Session // see ike.Birth
		First          []ike.Initiate
	}
	// Order gives an event to the IKE SA with a unique ID.
	Order struct {
		IKE   uint64
		Event ike.Event
	}
	// Noticed gives a notice of the data plane to the IKE SA whose child it is about.
	Noticed struct {
		ReqID  uint32
		Notice esp.Notice
	}
	// Roamed brings the addresses that this host has now; see ike.Roamed.
	Roamed struct{ Own []netip.Addr }
	// Reconfigured tells that another configuration is in force.
	Reconfigured struct{ Config *conf.Config }
)

func (Received) input()     {}
func (Finished) input()     {}
func (Dial) input()         {}
func (Order) input()        {}
func (Noticed) input()      {}
func (Roamed) input()       {}
func (Reconfigured) input() {}

// entry is a machine with what the shard has to know about it.
type entry struct {
	timer
	machine ike.Machine
	spi     uint64
	half    *firstKey // its key in the half-open table while it is there
	born    ike.Instant
	conn    string   // empty while unknown
	reqIDs  []uint32 // of its children
	closed  bool
	kept    map[uint64]uint64 // parts of its state that are written down, with hashes
	trusts  ike.Instant       // until when nobody is listened to who says that the peer has lost it
	traffic ike.Traffic
	// disclosed: those who record messages have its keys.
	disclosed bool
}

// Shard owns IKE SAs: it gives them what comes in and carries out what they want.
// It is not for concurrent use; the same inputs always give the same outputs.
type Shard struct {
	cfg      ShardConfig
	out      Outside
	bySPI    map[uint64]*entry
	byID     map[uint64]*entry
	byReqID  map[uint32]*entry
	half     halfOpen
	schedule schedule[*entry]
	nextID   uint64
	// waiting are inputs of the shard to itself, handled before anything else.
	waiting []Finished
	fx      ike.Effects // of the step under way
	refusal bucket      // replies to what no machine is there for
	notes   bucket      // reports about them
	// strangers bounds the reports of half-open IKE SAs, steps those among them that
	// are for debugging; muted are those lost since the last one.
	strangers, steps bucket
	muted            uint64
	drops            [dropReasons]uint64
	counters         counters
	counts           control.Counts               // of reports, those too that are not passed on
	digests          map[string][sha256.Size]byte // of connections
	digestsOf        *conf.Config
	parts            []Kept // of the step under way
	capture          capture
	hash             maphash.Seed
}

// NewShard returns a shard without IKE SAs.
func NewShard(cfg ShardConfig, out Outside) *Shard {
	return &Shard{
		cfg: cfg, out: out,
		bySPI: make(map[uint64]*entry), byID: make(map[uint64]*entry), byReqID: make(map[uint32]*entry),
		half:     newHalfOpen(cfg.Config.Limits, cfg.Count),
		nextID:   cfg.FirstID,
		counters: newCounters(),
		hash:     maphash.MakeSeed(),
		counts:   make(control.Counts),
		// A lost peer may send for thousands of dead SAs; a hundred answers a second
		// are enough to let it find out.
		refusal:   bucket{interval: 10 * time.Millisecond, burst: 100},
		notes:     bucket{interval: 10 * time.Second, burst: 5},
		strangers: bucket{interval: time.Second, burst: 60},
		steps:     bucket{interval: 10 * time.Millisecond, burst: 400},
	}
}

// Handle handles one input.
func (s *Shard) Handle(now ike.Instant, in Input) {
	switch in := in.(type) {
	case Received:
		dealt := s.received(now, in.Datagram)
		s.receive(now, in.Datagram)
		dealt()
	case Finished:
		s.finished(now, in)
	case Dial:
		s.dial(now, in)
	case Order:
		if e := s.byID[in.IKE]; e != nil {
			s.step(now, e, in.Event)
		}
	case Noticed:
		if e := s.byReqID[in.ReqID]; e != nil {
			s.step(now, e, ike.Notice{Notice: in.Notice})
		}
	case Roamed:
		s.cfg.Own = in.Own
		s.all(now, func(*entry) ike.Event { return ike.Roamed{Own: in.Own} })
	case Reconfigured:
		s.reconfigure(now, in.Config)
	}
	s.settle(now)
}

// settle handles what the shard has for itself.
func (s *Shard) settle(now ike.Instant) {
	for len(s.waiting) > 0 {
		in := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.finished(now, in)
	}
	s.waiting = nil
}

// again is how soon a machine is asked again whose deadline is not in the future
// after a Timeout, so that none can keep the shard busy.
const again = time.Millisecond

// Expire tells every machine whose deadline has come.
func (s *Shard) Expire(now ike.Instant) {
	for s.schedule.next() <= now {
		e := s.schedule[0]
		s.step(now, e, ike.Timeout{})
		if !e.closed && e.at != unscheduled && e.due <= now {
			s.schedule.set(e, now.Add(again))
		}
		s.settle(now)
	}
}

// Next is when Expire is wanted, or Never.
func (s *Shard) Next() ike.Instant { return s.schedule.next() }

// Statuses lists the IKE SAs in the order of their unique IDs.
func (s *Shard) Statuses() []ike.Status {
	out := make([]ike.Status, 0, len(s.byID))
	for _, e := range s.byID {
		st := e.machine.Status()
		st.Traffic = e.traffic
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b ike.Status) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// Len is the number of IKE SAs, HalfOpen of those among them that a peer has begun
// and that are not established.
func (s *Shard) Len() int { return len(s.bySPI) }

// HalfOpen is the number of IKE SAs that peers have begun and not authenticated.
func (s *Shard) HalfOpen() int { return len(s.half.byFirst) }

func (s *Shard) finished(now ike.Instant, in Finished) {
	e := s.bySPI[uint64(in.Ref)]
	if e == nil {
		if in.Undo != nil {
			s.out.Install(in.Ref, ike.Install{Ops: in.Undo})
		}
		return
	}
	s.step(now, e, in.Done)
}

func (s *Shard) dial(now ike.Instant, in Dial) {
	b := s.birth(in.ID)
	b.InitialContact, b.RedirectedFrom, b.Session = in.InitialContact, in.RedirectedFrom, in.Session
	e := s.add(s.cfg.Machines.Dial(b, in.Conn, in.Path), b.SPI, in.ID)
	e.conn, e.born = in.Conn.Name, now
	if len(in.First) == 0 {
		in.First = []ike.Initiate{{}}
	}
	for _, ev := range in.First {
		if !e.closed {
			s.step(now, e, ev)
		}
	}
}

func (s *Shard) reconfigure(now ike.Instant, c *conf.Config) {
	was := connectionsByName(s.cfg.Config)
	s.cfg.Config = c
	s.half.limit(c.Limits, s.cfg.Count)
	s.counters.keep(c)
	forgetOthers(s.counts, c)
	is := connectionsByName(c)
	s.all(now, func(e *entry) ike.Event { return ike.Configured{Config: c, Conn: is[e.conn]} })
	if !s.cfg.Keep {
		return
	}
	changed := make(map[string]bool)
	for name, conn := range is {
		if old := was[name]; old != nil && old != conn {
			v := conf.Compare(old, conn).Verdict
			changed[name] = v == conf.InPlace || v == conf.RekeyChild
		}
	}
	for _, e := range s.byID {
		if changed[e.conn] && len(e.kept) > 0 {
			e.kept[0] = 0 // it is kept as one of the connection as that reads now
			s.keep(e)
		}
	}
}

func connectionsByName(c *conf.Config) map[string]*conf.Connection {
	m := make(map[string]*conf.Connection, len(c.Connections))
	for _, conn := range c.Connections {
		m[conn.Name] = conn
	}
	return m
}

// all gives every machine an event, in the order of their unique IDs.
func (s *Shard) all(now ike.Instant, event func(*entry) ike.Event) {
	ids := make([]uint64, 0, len(s.byID))
	for id := range s.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if e := s.byID[id]; e != nil {
			s.step(now, e, event(e))
		}
	}
}

// birth makes what a new machine is given.
func (s *Shard) birth(id uint64) ike.Birth {
	return ike.Birth{SPI: s.newSPI(), ID: id, Config: s.cfg.Config, Seed: s.random(), Own: s.cfg.Own}
}

func (s *Shard) newID() uint64 {
	id := s.nextID
	s.nextID += s.cfg.StepID
	return id
}

func (s *Shard) random() uint64 {
	var b [8]byte
	// An IKE SA with a guessable SPI is still safe, so there is nothing to be gained
	// from stopping here.
	_, _ = io.ReadFull(s.cfg.Rand, b[:])
	return binary.BigEndian.Uint64(b[:])
}

// newSPI returns an unused IKE SPI that leads to this shard.
func (s *Shard) newSPI() uint64 {
	n := uint64(s.cfg.Count)
	for try := uint64(0); ; try++ {
		spi := s.random() + try*n
		spi += uint64(s.cfg.Index) - spi%n
		if spi != 0 && s.bySPI[spi] == nil && spi%n == uint64(s.cfg.Index) {
			return spi
		}
	}
}

// ShardOf returns the index of the shard among count that chose an SPI.
func ShardOf(spi uint64, count int) int { return int(spi % uint64(count)) }

func (s *Shard) add(m ike.Machine, spi, id uint64) *entry {
	e := &entry{timer: newTimer(id), machine: m, spi: spi}
	s.bySPI[spi] = e
	s.byID[id] = e
	return e
}

// step gives an event to a machine and carries out what it wants; it tells whether
// that was anything.
func (s *Shard) step(now ike.Instant, e *entry, ev ike.Event) bool {
	s.capture.last = e
	e.machine.Step(now, ev, &s.fx)
	acted := len(s.fx.Actions) > 0
	if dg, ok := ev.(ike.Datagram); ok {
		e.traffic.CountReceived(dg.Path, acted)
	}
	for _, a := range s.fx.Actions {
		s.do(now, e, a)
	}
	s.counters.count(e.conn, s.fx.Counted...)
	s.discloseNew(now, e)
	if !e.closed {
		s.schedule.set(e, e.machine.Deadline())
	}
	if acted || len(e.kept) == 0 { // what could not be carried on before may be by now
		s.keep(e)
	}
	s.fx.Reset()
	return acted
}

func (s *Shard) do(now ike.Instant, e *entry, a ike.Action) {
	switch a := a.(type) {
	case ike.Send:
		e.traffic.CountSent(a.Path, len(a.Data))
		s.sent(now, e, a)
		s.out.Send(a)
	case ike.Compute:
		s.out.Compute(Ref(e.spi), a)
	case ike.Install:
		s.out.Install(Ref(e.spi), a)
	case ike.Ask:
		s.ask(now, e, a)
	case ike.Spawn:
		s.spawn(now, e, a)
	case ike.Report:
		s.learn(e, a)
		s.countReplaced(e, a)
		s.report(now, e, a)
	case ike.Closed:
		s.forget(e)
	}
}

// report passes a report on. What strangers cause is bounded: they are not to fill
// the log.
func (s *Shard) report(now ike.Instant, e *entry, r ike.Report) {
	if r.Kind == ike.IKEUp {
		r.Begun = e.born
	}
	if r.Kind == ike.IKEUp || r.Why != nil {
		r.Traffic = e.traffic
	}
	s.counts.Add(r)
	if r.Kind == ike.Step && r.Text == "" {
		return
	}
	if e.half == nil {
		s.out.Report(r)
		return
	}
	if r.Kind == ike.Step {
		if s.steps.take(now) {
			s.out.Report(r)
		}
		return
	}
	if !s.strangers.take(now) {
		s.drops[dropReport]++
		s.muted++
		return
	}
	if s.muted > 0 {
		r.Text += fmt.Sprintf(" (and %d more reports of strangers before, not logged)", s.muted)
		s.muted = 0
	}
	s.out.Report(r)
}

// spawn adds a machine that another has made.
func (s *Shard) spawn(now ike.Instant, parent *entry, a ike.Spawn) {
	if s.bySPI[a.SPI] != nil {
		s.drops[dropSpawn]++
		return
	}
	e := s.add(a.Machine, a.SPI, a.Machine.Status().ID)
	e.conn = parent.conn
	s.schedule.set(e, a.Machine.Deadline())
	s.discloseNew(now, e)
	s.keep(e)
}

// forget removes a machine that is closed.
func (s *Shard) forget(e *entry) {
	e.closed = true
	s.half.remove(e)
	s.schedule.set(e, ike.Never)
	delete(s.bySPI, e.spi)
	delete(s.byID, e.id)
	for _, reqID := range e.reqIDs {
		if s.byReqID[reqID] == e {
			delete(s.byReqID, reqID)
		}
	}
	e.reqIDs = nil
}
