// Package ike is the contract between an IKE SA and what runs it. An IKE SA is a
// Machine: events come in, actions go out, in order. A Machine reads no clock,
// starts no goroutine, does no I/O and uses no randomness of its own.
package ike

import (
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
)

// Instant is a point in time in nanoseconds on a monotonic clock that the caller
// owns; its zero is arbitrary.
type Instant int64

// Never is an instant that does not come.
const Never Instant = math.MaxInt64

// Add returns the instant d later, at most Never.
func (t Instant) Add(d time.Duration) Instant {
	if s := t + Instant(d); d < 0 || s >= t {
		return s
	}
	return Never
}

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Path is the pair of addresses and ports that IKE messages take.
type Path struct{ Local, Remote netip.AddrPort }

// NATTPort is the port of IKE and ESP in UDP behind a NAT (RFC 3948); messages on
// it carry the non-ESP marker, which the engine adds and strips.
const (
	Port     = 500
	NATTPort = 4500
)

// Machine is one IKE SA of either version. It is not for concurrent use. What
// does not authenticate leaves it unchanged once it has keys.
type Machine interface {
	// Step handles one event and appends what is to be done to fx.
	Step(now Instant, ev Event, fx *Effects)
	// Deadline is when the machine wants a Timeout, or Never.
	Deadline() Instant
	// Status is a copy, safe to hand to another goroutine.
	Status() Status
}

// Birth is what a Machine is given when it is made.
type Birth struct {
	SPI    uint64 // ours
	ID     uint64 // unique ID of the IKE SA
	Config *conf.Config
	Seed   uint64 // for jitter, not for secrets
	// InitialContact: this host has no other IKE SA with the peer (RFC 7296, 2.4).
	InitialContact bool
	// Own are the addresses of this host that IKE may be spoken from, none of them a
	// tunnel's.
	Own []netip.Addr
	// RedirectedFrom is the gateway that has sent us to this one (RFC 5685, 4); invalid:
	// none.
	RedirectedFrom netip.Addr
	Session        *Session // that is to be resumed, nil: none
}

// Event is what can happen to a Machine.
type Event interface{ event() }

// Ticket connects a Compute, Install or Ask with its Done.
type Ticket uint32

// The events.
type (
	// Datagram is an IKE message from the network, without non-ESP marker. The
	// machine may change Data and keeps no reference to it.
	Datagram struct {
		Path Path
		Data []byte
	}
	// Timeout tells that Deadline has come.
	Timeout struct{}
	// Done brings the result of what was asked for with a ticket.
	Done struct {
		Ticket Ticket
		Result any
		Err    error
	}
	// Notice is news from the data plane about one of the machine's child SAs.
	Notice struct{ Notice esp.Notice }
	// Initiate asks for the IKE SA, if it is not there yet, and for a child SA.
	Initiate struct {
		Child  string        // name; empty: the IKE SA alone
		Packet *esp.Selector // the packet that asked, for an acquire; else nil
	}
	// Terminate closes a child SA or, when ChildID is 0 and Child is empty, the IKE
	// SA, telling the peer.
	Terminate struct {
		ChildID uint64 // unique ID of a child SA
		Child   string // or the name of children
		Force   bool   // do not wait for the peer's answer
		Silent  bool   // do not even tell the peer (it said INITIAL_CONTACT)
		Yield   bool   // another IKE SA has taken its place: where both could send, that one does
		Why     string // for the log
	}
	// Rekey replaces a child SA or, when ChildID is 0, the IKE SA, before its time has
	// come (RFC 7296, 1.3.2, 1.3.3). With Reauth the IKE SA is set up anew, so that both
	// sides authenticate again.
	Rekey struct {
		ChildID uint64
		Reauth  bool
	}
	// Roamed tells that addresses, interfaces or routes of this host have changed; Own
	// is what Birth.Own has become.
	Roamed struct{ Own []netip.Addr }
	// Suspected tells that a message by this path, which anybody may have sent, says that
	// the peer has lost the IKE SA of these SPIs. It changes no more than when the peer is
	// asked.
	Suspected struct {
		Path       Path
		SPIi, SPIr uint64
	}
	// Redirect sends the peer of an IKE SA that it began to another gateway (RFC 5685),
	// an address or a host name.
	Redirect struct{ Gateway string }
	// Configured tells that the configuration changed; Conn is what this SA's
	// connection has become, nil when it was removed.
	Configured struct {
		Config *conf.Config
		Conn   *conf.Connection
	}
)

func (Datagram) event()   {}
func (Timeout) event()    {}
func (Done) event()       {}
func (Notice) event()     {}
func (Initiate) event()   {}
func (Terminate) event()  {}
func (Rekey) event()      {}
func (Roamed) event()     {}
func (Suspected) event()  {}
func (Redirect) event()   {}
func (Configured) event() {}

// Action is what a Machine wants done.
type Action interface{ action() }

// Job is slow work for the worker pool: key exchange, signatures. It holds all
// that it needs and touches nothing else.
type Job interface {
	Run(rand io.Reader) (any, error)
}

// Priority orders jobs.
type Priority uint8

// The priorities: half-open IKE SAs come last.
const (
	Established Priority = iota
	HalfOpen
)

// Query is what a machine may Ask.
type Query interface{ query() }

// The queries and their results.
type (
	// Reserve asks the data plane for an inbound SPI; the result is a Reserved.
	// ReqID 0 asks for a request ID: that of the policies of Name, "connection/child",
	// while no other child has it, and a new one otherwise.
	Reserve struct {
		Src, Dst netip.Addr // of the inbound SA: the peer, and this host
		Proto    esp.Proto
		Name     string
		ReqID    uint32
	}
	// Reserved is the result of Reserve. ID is a unique ID for the child SA. Beside:
	// there is another child of the same name with the peer, perhaps of another IKE SA.
	Reserved struct {
		SPI    uint32
		ReqID  uint32
		ID     uint64
		Beside bool
	}
	// NewIKESPI asks for an SPI for the IKE SA that replaces this one; the result is
	// a NewSPI. The machine Spawned with it lives in the same shard.
	NewIKESPI struct{}
	// NewSPI is the result of NewIKESPI.
	NewSPI struct {
		SPI uint64
		ID  uint64
	}
	// Activity asks how long ago one of these inbound SAs has carried a packet; the
	// result is an Idle. It is asked once in a dpd_delay at most, and only after that
	// much silence.
	Activity struct{ SAs []esp.SAID }
	// Sources asks from which address a message of the connection to each of the hosts
	// would leave now; the result is a list of as many netip.Addr, the zero Addr where
	// there is no way.
	Sources struct {
		Conn    *conf.Connection
		Remotes []netip.Addr
	}
	// Idle is the result of Activity: the time since the last inbound packet of any of
	// the SAs, negative for never, or when the data plane does not know.
	Idle time.Duration
)

func (Reserve) query()   {}
func (NewIKESPI) query() {}
func (Activity) query()  {}
func (Sources) query()   {}

// The actions.
type (
	// Send sends an IKE message, marker to be added on NATTPort. Data belongs to the
	// machine, which keeps it for retransmission: it must not be changed.
	Send struct {
		Path Path
		Data []byte
	}
	// Compute runs a job on the worker pool and returns with Done.
	Compute struct {
		Ticket   Ticket
		Priority Priority
		Job      Job
	}
	// Install applies operations to the data plane and returns with Done.
	// Ticket 0: no Done is wanted.
	Install struct {
		Ticket Ticket
		Ops    []esp.Op
	}
	// Ask asks a shared service and returns with Done.
	Ask struct {
		Ticket Ticket
		Query  Query
	}
	// Spawn makes a machine known under an SPI that we chose.
	Spawn struct {
		SPI     uint64
		Machine Machine
	}
	// Closed is the last action of a machine: it is forgotten.
	Closed struct{}
)

func (Send) action()    {}
func (Compute) action() {}
func (Install) action() {}
func (Ask) action()     {}
func (Spawn) action()   {}
func (Report) action()  {}
func (Closed) action()  {}

// Effects collects actions in the order in which they are to be carried out, and what
// is to be counted.
type Effects struct {
	Actions []Action
	Counted []Counter
}

// Do appends an action.
func (fx *Effects) Do(a Action) { fx.Actions = append(fx.Actions, a) }

// Count counts one event.
func (fx *Effects) Count(c Counter) { fx.Counted = append(fx.Counted, c) }

// Reset empties fx and keeps its memory.
func (fx *Effects) Reset() {
	fx.Counted = fx.Counted[:0]
	clear(fx.Actions)
	fx.Actions = fx.Actions[:0]
}
