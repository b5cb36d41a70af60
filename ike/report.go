package ike

import (
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike/wire"
)

// ReportKind says what a Report is about.
type ReportKind uint8

// The kinds of report.
const (
	Step         ReportKind = iota // progress of a negotiation, for `up` and debug logs
	Warning                        // something an administrator should know; nothing changed
	IKEUp                          // an IKE SA is established
	IKEDown                        // an established IKE SA is gone
	IKERekeyed                     // an IKE SA was replaced by another (Report.NewID)
	ChildUp                        // a child SA is installed
	ChildDown                      // a child SA is gone
	ChildRekeyed                   // a child SA was replaced by another (Report.NewID)
	Failed                         // an attempt at an IKE SA or a child SA failed; Why says why
	ReauthDue                      // the IKE SA is to be replaced by a new one with authentication (make-before-break), with Why (Redirected) at another gateway; it goes on meanwhile
	PeerLives                      // a peer answers again for which ReauthDue has asked for another IKE SA
	IKEMoved                       // an IKE SA and its children have other addresses or ports; Path is the new one
)

// Mark says what a Step is counted as.
type Mark uint8

// The marks.
const (
	Unmarked        Mark = iota
	RequestRepeated      // a request without an answer was sent again
	LivenessAsked        // the peer was asked whether it lives
	LivenessProven       // it has answered that
	LivenessLost         // it has not
)

// Report is a machine's only voice: logs, metrics and control events are made
// from it. Text is one line for the administrator: what happened, and what to do. A
// Step without Text is only counted.
type Report struct {
	Kind    ReportKind
	Mark    Mark   // of a Step
	Conn    string // connection, empty while unknown
	Child   string // child, empty when the IKE SA is meant
	IKE     uint64 // unique ID of the IKE SA
	ChildID uint64
	NewID   uint64
	Path    Path
	Was     Path // of IKEMoved: the path until then
	Text    string
	Why     *Refusal
	// SA is the state of the IKE SA for up, down, rekeyed, moved and failed; nil otherwise,
	// and for what failed before there was one. For child reports its Children holds that
	// child alone (for ChildRekeyed: old, new; for Failed: none).
	SA *Status
	// InitialContact is set in IKEUp when the peer says that it has no other IKE SA
	// with these identities (RFC 7296, 2.4).
	InitialContact bool
	// Begun is, in IKEUp, when the first message was sent or received. The engine
	// sets it.
	Begun Instant
	// Traffic is what the IKE SA has sent and received, where Why is set and in IKEUp. The
	// engine sets it.
	Traffic Traffic
	// Session is, in IKEUp, what resumes the IKE SA when it is lost; nil: nothing does.
	Session *Session
}

// Cause is the kind of reason for which a negotiation failed.
type Cause uint8

// The causes.
const (
	NoAnswer     Cause = iota + 1 // the peer does not answer
	NoConnection                  // no connection for these addresses or identities
	NoProposal                    // no proposal in common
	NoSelectors                   // no traffic selectors in common
	WrongKey                      // authentication failed: keys differ, or the identity is not accepted
	PeerRefused                   // the peer refused, with another notify
	BadMessage                    // the peer's message breaks the protocol
	Internal                      // something failed on this host
	Terminated                    // ended by command
	Expired                       // the lifetime of the IKE SA is over, or its reauthentication is due: it is to be set up again at once
	Unused                        // it had no traffic for as long as inactivity says; traffic asks for it again
	Redirected                    // the peer names another gateway: Refusal.Gateway
	NotResumed                    // the ticket was not taken: the IKE SA is to be set up anew at once
)

// Refusal is the structured reason why a negotiation failed, on either side.
type Refusal struct {
	Cause      Cause
	Subject    Subject
	Phase      int    // 1 or 2, for NoProposal
	ByPeer     bool   // the peer refused; we only know what it told us
	Notify     string // IANA name of the notify sent or received, if any
	Offered    string // what the initiator offered
	Configured string // what the refusing side has
	Nearest    string // the configured proposal that comes nearest
	Differs    string // the one thing that differs, or the intersection of selectors
	MendHere   string // a proposal with which this host would agree with the peer, empty: none that is known
	MendThere  string // a proposal with which the peer would agree with this host
	LocalID    string // as whom this host has shown itself, empty: not yet
	RemoteID   string // as whom the peer has
	Hint       string // what to do
	Gateway    string // to which the peer sends us, for Redirected: an address or a host name
	Err        string // the error text, for BadMessage and Internal
}

// State is the state of an IKE SA.
type State uint8

// The states of an IKE SA.
const (
	Created State = iota
	Connecting
	Up
	Rekeying
	Rekeyed
	Deleting
)

// ChildState is the state of a child SA.
type ChildState uint8

// The states of a child SA.
const (
	ChildCreated ChildState = iota
	ChildInstalled
	ChildRekeying
	ChildRekeyedState
	ChildDeleting
)

// Status is a snapshot of an IKE SA.
type Status struct {
	ID          uint64 // unique ID
	Conn        string
	Version     int // 1 or 2
	State       State
	Initiator   bool
	SPIi, SPIr  uint64
	Path        Path
	LocalID     id.ID
	RemoteID    id.ID
	Suite       crypto.Suite
	NATLocal    bool    // this host is behind a NAT
	NATRemote   bool    // the peer is
	ForceEncap  bool    // UDP encapsulation without a NAT
	Redirects   bool    // the peer began the IKE SA, and follows redirects (RFC 5685)
	Fragments   bool    // both sides can fragment (RFC 7383)
	Established Instant // Never until then
	RekeyAt     Instant // Never: none of our own
	ExpireAt    Instant
	Active      []string // exchanges under way, by name
	Queued      []string // exchanges that wait
	Children    []ChildStatus
	LastError   *Refusal // of the last failed exchange
	Traffic     Traffic  // the engine sets it
}

// ChildStatus is a snapshot of a child SA.
type ChildStatus struct {
	ID         uint64 // unique ID
	Name       string
	ReqID      uint32
	State      ChildState
	Mode       conf.Mode
	Proto      crypto.Proto
	Encap      bool
	SPIIn      uint32
	SPIOut     uint32
	CPIIn      uint16 // of IPComp, 0: none
	CPIOut     uint16
	LocalHost  netip.Addr // outer addresses, with SPIIn and SPIOut the names of the SAs
	RemoteHost netip.Addr
	Suite      crypto.Suite
	Local      []wire.Selector
	Remote     []wire.Selector
	Installed  Instant
	RekeyAt    Instant
	ExpireAt   Instant
}
