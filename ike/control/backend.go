// Package control is the control API of the daemon and its wire form, VICI
// (versatile IKE configuration interface, as strongSwan's tools speak it).
package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Backend is what the daemon offers to its control clients. All methods are safe
// for concurrent use; those that wait end with ctx.
type Backend interface {
	Info() Info
	Stats() Stats
	// SAs lists the IKE SAs with their children and what they have carried.
	SAs(ctx context.Context) []SA
	// Config is the configuration in force.
	Config() *conf.Config
	// Conns tells for each configured connection what it is about to do.
	Conns() []ConnState
	// Refused lists what peers have begun in vain, the latest first. It holds the last
	// some dozens.
	Refused(ctx context.Context) []Refused
	// Initiate sets up an IKE SA and a child and waits for the outcome. Each step is
	// given to log. The error is the reason in one line.
	Initiate(ctx context.Context, r InitiateRequest, log func(LogLine)) error
	// Terminate takes SAs down and returns how many matched.
	Terminate(ctx context.Context, r TerminateRequest, log func(LogLine)) (int, error)
	// Redirect sends peers to another gateway and returns how many IKE SAs matched. It
	// does not wait until they go. The error names those that cannot be redirected.
	Redirect(ctx context.Context, r RedirectRequest) (int, error)
	// Rekey begins to replace SAs and returns how many matched. It does not wait until
	// they are replaced.
	Rekey(ctx context.Context, r RekeyRequest) (int, error)
	// Install installs the policies of a child for which it is set up when traffic asks
	// for it, or those by which traffic passes or is dropped; Uninstall removes them. An
	// empty conn stands for any connection with such a child.
	Install(ctx context.Context, conn, child string) error
	Uninstall(ctx context.Context, conn, child string) error
	// Policies lists those policies.
	Policies(ctx context.Context) []Policy
	Counters(ctx context.Context) (Counters, error)
	// ResetCounters begins to count anew: for every connection, for the one of that name,
	// or, when the name is empty, in all.
	ResetCounters(ctx context.Context, every bool, conn string) error
	// Subscribe delivers events and log lines until cancel is called. A subscriber
	// that does not keep up loses events, and is told how many.
	Subscribe(sink func(Event)) (cancel func())
	// Capture gives sink, at once when all that comes from then on is recorded, a Captured
	// with nothing in it, and then every IKE message that is sent or received and, with
	// keys, those of IKE SAs that are there or come, and of child SAs that come. It returns
	// with the error of sink, or that of ctx. Who does not keep up misses some.
	Capture(ctx context.Context, r CaptureRequest, sink func(Captured) error) error
	// Now is the present on the clock that the instants in statuses are on.
	Now() ike.Instant
}

// Info is what `version` shows.
type Info struct {
	Daemon, Version, System, Release, Machine string
	Dataplane                                 string // kernel, userspace or none, with the reason
}

// Stats is what `stats` shows.
type Stats struct {
	Started       time.Time
	IKESAs        int
	HalfOpen      int
	Workers, Idle int
	Queued        int
	Goroutines    int
	Dropped       map[string]uint64 // packets dropped, by reason
	Plane         map[string]uint64 // counters of the data plane
	Counts        Counts
	Waiting       map[string]int // what waits in queues: shards, steward, dataplane, jobs
	Waits, Runs   Histogram      // of slow work: until it began, and from then on
}

// SA is an IKE SA with the usage of its children, in the order of
// Status.Children.
type SA struct {
	ike.Status
	Usage []ChildUsage
}

// ChildUsage is what the two SAs of a child have carried.
type ChildUsage struct{ In, Out esp.Usage }

// ConnState is what a configured connection is doing.
type ConnState struct {
	Conn      string
	State     string       // "up", "connecting", "waiting", "on-demand", "listening", "stopped"
	Try       int          // number of the attempt under way or last made
	NextTry   ike.Instant  // Never: none planned
	GivenUp   bool         // keying_tries are used up: traffic or a command begins again
	LastError *ike.Refusal // why the last attempt failed, nil after a success
	LastAt    ike.Instant
	LastChild string      // that LastError is about; empty: the IKE SA
	Traffic   ike.Traffic // of the IKE SA that failed last
	// Unreachable is what somebody on the way says about messages of the try under way, or
	// the last one; nil: nothing.
	Unreachable *ike.Unreachable
}

// Refused is a negotiation that a peer began and that failed. Attempts of the same peer
// that fail alike are one.
type Refused struct {
	Conn, Child string // empty while unknown
	Path        ike.Path
	Why         *ike.Refusal
	At          ike.Instant // of the last time
	Times       int
	Traffic     ike.Traffic // of the last time
}

// InitiateRequest names what to set up. Child alone is looked up in all
// connections; Conn alone sets up all of its children.
type InitiateRequest struct {
	Conn, Child string
	// Local and Remote are the addresses of this host and of the peer, where the
	// configuration is for several; invalid: as configured.
	Local, Remote netip.Addr
	Timeout       time.Duration // 0: until it fails or is up; negative: do not wait
}

// TerminateRequest names what to take down: by name, or by unique ID.
type TerminateRequest struct {
	Conn, Child     string
	ConnID, ChildID uint64
	Force           bool
	Timeout         time.Duration // as in InitiateRequest
}

// RekeyRequest names what to replace: by unique ID, or by name.
type RekeyRequest struct {
	Conn, Child     string
	ConnID, ChildID uint64
	Reauth          bool // set IKE SAs up anew, so that both sides authenticate again
}

// Policy is what the configuration says about traffic that no SA carries yet: of mode
// Pass and Drop it passes in the clear or is dropped, of the others it waits for the
// child.
type Policy struct {
	Conn, Child   string
	Mode          conf.Mode
	Local, Remote []wire.Selector
}

// Counters are what IKE SAs were counted to have done.
type Counters struct {
	All   ike.Counts
	Conns []ConnCounters // by name; only those that did anything
}

// ConnCounters are those of one connection.
type ConnCounters struct {
	Conn   string
	Counts ike.Counts
}

// LogLine is one step of a negotiation.
type LogLine struct {
	Level     int // 0 to 4, as strongSwan's
	Subsystem string
	Conn      string
	IKE       uint64
	Text      string
}

// Event is something a subscriber learns: exactly one field is set.
type Event struct {
	Report *ike.Report // ups, downs, rekeyings, failures
	Log    *LogLine
	Lost   int // events that this subscriber lost
}
