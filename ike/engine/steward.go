package engine

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// StewardOutside is what a Steward acts upon.
type StewardOutside interface {
	// Dial begins an IKE SA.
	Dial(d Dial)
	// Order gives an event to an IKE SA.
	Order(o Order)
	// Trap changes the policies of the configuration.
	Trap(ops []esp.Op)
	// Locate looks for the paths to a connection's peer; they come back as Located.
	Locate(ticket uint64, c *conf.Connection)
	Report(r ike.Report)
	// Outcome answers an Up, Down or Stop.
	Outcome(waiter uint64, o Outcome)
}

// Outcome is what came of a command. Matched is how many SAs it was about.
type Outcome struct {
	Matched int
	Err     error
}

// StewardConfig is what a Steward is made from.
type StewardConfig struct {
	Seed            uint64 // for jitter
	FirstID, StepID uint64 // unique IDs of the IKE SAs that it begins
}

// StewardInput is what a Steward handles.
type StewardInput interface{ stewardInput() }

// The inputs of a Steward.
type (
	// Load brings the configuration.
	Load struct{ Config *conf.Config }
	// Heard brings what a machine reports.
	Heard struct{ Report ike.Report }
	// Acquired tells that traffic asks for a child.
	Acquired struct{ Acquire esp.Acquire }
	// Attached brings the directly attached networks.
	Attached struct{ Networks []netip.Prefix }
	// Located brings the paths to a peer, the best first.
	Located struct {
		Ticket uint64
		Paths  []ike.Path
		Err    error
	}
	// Up asks for a connection with all its children, for one child of it, or, when
	// Conn is empty, for the child of that name in whichever connection has it.
	Up struct {
		Waiter      uint64
		Conn, Child string
		// Local and Remote are this host and the peer where a connection is for several;
		// invalid: as it is configured.
		Local, Remote netip.Addr
	}
	// Down asks to take down what matches.
	Down struct {
		Waiter uint64
		Match  control.TerminateRequest
	}
	// Stop takes everything down; with Force it does not wait for the peers.
	Stop struct {
		Waiter uint64
		Force  bool
	}
	// Leave tells that nobody waits for an outcome any more; the outcome is errLeft,
	// unless there was one before.
	Leave struct{ Waiter uint64 }
)

func (Load) stewardInput()      {}
func (Heard) stewardInput()     {}
func (Acquired) stewardInput()  {}
func (Unreached) stewardInput() {}
func (Attached) stewardInput()  {}
func (Roamed) stewardInput()    {}
func (Located) stewardInput()   {}
func (Up) stewardInput()        {}
func (Down) stewardInput()      {}
func (Stop) stewardInput()      {}
func (Leave) stewardInput()     {}

// Steward decides which connections are set up and when, and keeps IKE SAs with
// the same identities from piling up. It is pure and not for concurrent use.
type Steward struct {
	cfg      StewardConfig
	out      StewardOutside
	conf     *conf.Config
	links    []*link // in the order of the configuration
	guests   []*link
	lastLink uint64
	schedule schedule[*link]
	partings schedule[*phase1]
	byName   map[string]*link
	policies map[string]trapped
	refused  refusals
	sas      map[uint64]*phase1
	unique   map[identities][]*phase1
	tickets  map[uint64]*link
	downs    []*downWaiter
	jitter   *rand.Rand
	ticket   uint64
	nextID   uint64
	reqID    uint32
	reserved map[string]uint32 // request IDs of children of an earlier process
	taken    []uint32          // the same, by whoever has them now
	stopping bool
	loading  bool
	trapOps  []esp.Op       // of the load under way
	networks []netip.Prefix // that are directly attached
	excluded []esp.Policy   // for them
}

// trapped is whom a trap policy serves.
type trapped struct {
	link  *link
	child string
}

// NewSteward returns a steward without connections.
func NewSteward(cfg StewardConfig, out StewardOutside) *Steward {
	return &Steward{
		cfg: cfg, out: out, conf: &conf.Config{},
		byName: make(map[string]*link), policies: make(map[string]trapped),
		sas: make(map[uint64]*phase1), unique: make(map[identities][]*phase1), tickets: make(map[uint64]*link),
		jitter: rand.New(rand.NewPCG(cfg.Seed, cfg.Seed)), //nolint:gosec // no secret
		nextID: cfg.FirstID, reqID: FirstReqID,
	}
}

// Handle handles one input.
func (s *Steward) Handle(now ike.Instant, in StewardInput) {
	switch in := in.(type) {
	case Had:
		s.reserve(in)
	case Load:
		s.load(now, in.Config)
	case Heard:
		s.heard(now, in.Report)
	case Acquired:
		s.acquired(now, in.Acquire)
	case Attached:
		s.attached(in.Networks)
	case Roamed:
		s.roamed(now)
	case Unreached:
		s.unreachable(in.Unreachable)
	case Located:
		s.located(now, in)
	case Up:
		s.bringUp(now, in)
	case Down:
		s.takeDown(now, in)
	case Stop:
		s.stop(in)
	case Leave:
		s.leave(in.Waiter)
	}
}

// Expire begins the attempts whose time has come, and ends what has been replaced.
func (s *Steward) Expire(now ike.Instant) {
	s.part(now)
	for s.schedule.next() <= now {
		s.reconcile(now, s.schedule[0])
	}
}

// Next is when Expire is wanted, or Never.
func (s *Steward) Next() ike.Instant { return min(s.schedule.next(), s.partings.next()) }

// Config is the configuration in force.
func (s *Steward) Config() *conf.Config { return s.conf }

// Conns tells what each connection is about to do, in the order of the
// configuration.
func (s *Steward) Conns() []control.ConnState {
	out := make([]control.ConnState, len(s.links))
	for i, l := range s.links {
		if out[i] = l.status(); l.stage == idle && l.nextTry == ike.Never && s.hosts(l.conn.Name) {
			out[i].State = "up"
		}
	}
	return out
}

func (s *Steward) newID() uint64 {
	id := s.nextID
	s.nextID += s.cfg.StepID
	return id
}

func (s *Steward) newTicket() uint64 {
	s.ticket++
	return s.ticket
}

// upTo is a random duration below d.
func (s *Steward) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.jitter.Int64N(int64(d)))
}

// say reports a line about a connection.
func (s *Steward) say(kind ike.ReportKind, l *link, child, text string) {
	s.out.Report(ike.Report{Kind: kind, Conn: l.conn.Name, Child: child, Text: text})
}
