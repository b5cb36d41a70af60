// Package control is the control API of the daemon and its wire form, VICI
// (versatile IKE configuration interface, as strongSwan's tools speak it).
package control

import (
	"context"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// Backend is what the daemon offers to its control clients. All methods are safe
// for concurrent use; those that wait end with ctx.
type Backend interface {
	Reloader
	Info() Info
	Stats() Stats
	// SAs lists the IKE SAs with their children and what they have carried.
	SAs(ctx context.Context) []SA
	// Config is the configuration in force.
	Config() *conf.Config
	// Conns tells for each configured connection what it is about to do.
	Conns() []ConnState
	// Initiate sets up an IKE SA and a child and waits for the outcome. Each step is
	// given to log. The error is the reason in one line.
	Initiate(ctx context.Context, r InitiateRequest, log func(LogLine)) error
	// Terminate takes SAs down and returns how many matched.
	Terminate(ctx context.Context, r TerminateRequest, log func(LogLine)) (int, error)
	// Redirect sends peers to another gateway and returns how many IKE SAs matched. It
	// does not wait until they go. The error names those that cannot be redirected.
	Redirect(ctx context.Context, r RedirectRequest) (int, error)
	// Subscribe delivers events and log lines until cancel is called. A subscriber
	// that does not keep up loses events, and is told how many.
	Subscribe(sink func(Event)) (cancel func())
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
}

// InitiateRequest names what to set up. Child alone is looked up in all
// connections; Conn alone sets up all of its children.
type InitiateRequest struct {
	Conn, Child string
	Timeout     time.Duration // 0: until it fails or is up; negative: do not wait
}

// TerminateRequest names what to take down: by name, or by unique ID.
type TerminateRequest struct {
	Conn, Child     string
	ConnID, ChildID uint64
	Force           bool
	Timeout         time.Duration // as in InitiateRequest
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
