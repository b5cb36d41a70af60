// Package conf holds the configuration model: what an administrator asked for,
// however it was written down. A Config is immutable once loaded; whoever holds
// one may read it from any goroutine.
package conf

import (
	"net/netip"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// Forever is the duration of something that never expires.
const Forever time.Duration = 0

// Config is a whole configuration.
type Config struct {
	UniqueIDs UniqueIDs
	Dataplane Backend
	Network   Network
	// ExcludeMyNetwork is exclude_my_network: hosts on directly attached networks are
	// reached in the clear where a remote network covers them.
	ExcludeMyNetwork bool
	// MakeBeforeBreak is make_before_break: reauthentication sets the new IKE SA up
	// before it ends the old one.
	MakeBeforeBreak bool
	Control         Control
	Metrics         Metrics
	Log             Log
	Retransmit      Retransmit
	Limits          HalfOpenLimits
	Connections     []*Connection // in the order of the file
	Secrets         []Secret      // pre-shared keys by identity; that of a connection comes before them
	// ConfFiles are patterns of files in strongSwan's syntax whose connections and secrets
	// belong to the configuration.
	ConfFiles []string
}

// UniqueIDs is ipsec.unique_ids.
type UniqueIDs uint8

// The values of unique_ids; Replace is written "yes" or "replace".
const (
	UniqueReplace UniqueIDs = iota
	UniqueNo
	UniqueNever
	UniqueKeep
)

// Backend is dataplane.backend.
type Backend uint8

// The data planes.
const (
	BackendAuto Backend = iota
	BackendKernel
	BackendUserspace
	BackendNone
)

// Network is the [network] section.
type Network struct {
	InstallRoutes bool
	RouteBased    bool // a tunnel interface per connection
}

// Control is the [control] section.
type Control struct {
	Socket string // path; empty: the default of the run directory
}

// Log is the [log] section.
type Log struct {
	Level  string            // debug, info, warn, error
	JSON   bool              // log.format = "json"
	Levels map[string]string // level by subsystem
}

// Retransmit says how an unanswered request is repeated: after Timeout, then
// Timeout*Base, Timeout*Base², ... Tries times. The defaults are strongSwan's:
// 4 s, 1.8, 5, so that a silent peer is given up after 165 s.
type Retransmit struct {
	Timeout time.Duration
	Base    float64
	Tries   int
}

// HalfOpenLimits protect a responder from floods of first messages.
type HalfOpenLimits struct {
	Cookie     int // half-open IKE SAs from which on cookies are demanded
	PerAddress int // half-open IKE SAs of one address from which on cookies are demanded of it
	Total      int // half-open IKE SAs beyond which all first messages are dropped
}

// Version is key_exchange.
type Version uint8

// The values of key_exchange.
const (
	VersionAuto Version = iota
	IKEv1
	IKEv2
)

// Behavior is connection_behavior.
type Behavior uint8

// The values of connection_behavior.
const (
	Start Behavior = iota
	OnDemand
	ResponderOnly
)

// DPDAction is dpd_action.
type DPDAction uint8

// The values of dpd_action.
const (
	DPDRestart DPDAction = iota
	DPDClear
	DPDHold
	DPDNone
)

// Childless is childless: whether the first exchanges make an IKE SA alone (RFC 6023).
type Childless uint8

// The values of childless.
const (
	ChildlessAllow  Childless = iota // taken from the peer; begun only without a child to begin with
	ChildlessPrefer                  // begun when the peer knows it; taken, too
	ChildlessForce                   // demanded of the peer in both roles
	ChildlessNever                   // neither begun nor taken
)

// First tells whether an IKE SA comes first, and its children after it, with a peer
// that takes that.
func (c Childless) First() bool { return c == ChildlessPrefer || c == ChildlessForce }

// AuthMethod is how a side proves its identity.
type AuthMethod uint8

// The methods of authentication.
const (
	AuthPSK AuthMethod = iota
)

// Gateway is remote_gateway: exactly one of Host, Prefix and Any is set. An
// address is a Prefix of full length.
type Gateway struct {
	Host   string // resolved again at every attempt
	Prefix netip.Prefix
	Any    bool
}

// Gateways is remote_gateway: what the peer may be, and where it is called, in this order.
type Gateways []Gateway

// Auth is one side's authentication.
type Auth struct {
	Method AuthMethod
	// ID is the own identity, or the pattern for the peer's. Its zero value (kind
	// Any) means the address in use, for the own one; for the peer's, see
	// Connection.Remote.
	ID id.ID
}

// Connection is a [[phase1]]: a peer.
type Connection struct {
	Name           string
	Version        Version
	Gateways       Gateways
	LocalAddr      netip.Addr // invalid: any
	LocalInterface string     // local_address named an interface
	RemotePort     uint16     // 500
	Proposals      []crypto.Proposal
	Lifetime       time.Duration // hard limit of the IKE SA, Forever: none
	Local          Auth
	Remote         Auth // ID of kind Any: any identity (written "%any"); when peer_identifier is absent it is the gateway's address, and Any for a gateway that is no single address
	PSK            crypto.Secret
	Behavior       Behavior
	ForceEncap     bool
	KeyingTries    int // 0: never give up
	Rekey          bool
	Margin         time.Duration // margintime
	RekeyFuzz      int           // percent
	DPDAction      DPDAction
	DPDDelay       time.Duration
	DPDFailures    int
	MOBIKE         bool
	Fragmentation  bool
	FragmentSize   int // largest IP datagram of an IKE message, 1280 by default
	Reauthenticate bool
	Childless      Childless
	// FollowRedirects: a gateway may send us to another one (RFC 5685).
	FollowRedirects bool
	// SessionResumption: an IKE SA that was lost is set up again without key exchange
	// and authentication, by a ticket (RFC 5723).
	SessionResumption bool
	UniqueIDs         *UniqueIDs // of this connection; nil: as Config says
	Children          []*Child
}

// Mode is the mode of a child SA.
type Mode uint8

// The modes. Pass and Drop make no SAs: traffic of these networks is let through in
// the clear, or not at all.
const (
	Tunnel Mode = iota
	Transport
	BEET
	Pass
	Drop
)

// Shunt tells whether the mode makes no SAs.
func (m Mode) Shunt() bool { return m == Pass || m == Drop }

// MaxTFCPad pads every packet to the size that the path carries.
const MaxTFCPad = 1<<16 - 1

// MaxPriority is the largest Priority: behind a policy there is room for one that
// yields to it.
const MaxPriority = 1<<32 - 2

// Mark is a mark of packets and the bits of it that count; the zero Mark is none.
type Mark struct{ Value, Mask uint32 }

// Offload is what of an SA the network card is to do.
type Offload uint8

// The kinds of offload.
const (
	OffloadNone Offload = iota
	OffloadAuto
	OffloadCrypto
	OffloadPacket
)

// Kernel is how SAs and policies of a child look in the data plane, beside what is
// negotiated.
type Kernel struct {
	MarkIn, MarkOut       Mark // of the packets that policies and SAs are for
	MarkInSA              bool // MarkIn is asked of encrypted packets, too: the inbound SA has it
	SetMarkIn, SetMarkOut Mark // given to packets
	IfIDIn, IfIDOut       uint32
	Offload               Offload
	NoCopyDF, NoCopyECN   bool
	CopyDSCPIn            bool
	NoCopyDSCPOut         bool
	TFCPad                uint16 // MaxTFCPad: as much as the path carries
	Priority              uint32 // of the policies, 0: computed from the networks
}

// Child is a [[phase1.phase2]]: a tunnel.
type Child struct {
	Name        string
	Description string
	Mode        Mode
	Local       []Selector // empty: the host's own address (transport mode, or dynamic)
	Remote      []Selector
	Protocol    crypto.Proto // ESP or AH
	Proposals   []crypto.Proposal
	// DefaultProposals: the configuration named none. What the data plane lacks of them
	// is then left out instead of being an error.
	DefaultProposals bool
	Lifetime         time.Duration // hard limit, Forever: none
	LifetimeBytes    uint64        // hard limit of what each SA carries, 0: none
	LifetimePackets  uint64
	Renewal          *Renewal      // of its own; nil: as the connection says
	Behavior         *Behavior     // of its own; nil: as the connection says
	DPDAction        *DPDAction    // of its own, never DPDNone; nil: as the connection says
	Inactivity       time.Duration // without traffic, after which it is closed; Forever: none
	Window           uint32        // replay window in packets
	IPComp           bool
	Kernel           Kernel
}

// Selector is one entry of local_network or remote_network: an address range (without
// addresses it is dynamic: the host's own address), a protocol (0: any) and a range of ports, {0, 65535} for any; for ICMP ports
// hold type<<8|code.
type Selector struct {
	First, Last netip.Addr
	Proto       uint8
	PortFirst   uint16
	PortLast    uint16
}

// Connection returns the connection of that name.
func (c *Config) Connection(name string) (*Connection, bool) {
	for _, conn := range c.Connections {
		if conn.Name == name {
			return conn, true
		}
	}
	return nil, false
}

// Child returns the child of that name.
func (c *Connection) Child(name string) (*Child, bool) {
	for _, child := range c.Children {
		if child.Name == name {
			return child, true
		}
	}
	return nil, false
}
