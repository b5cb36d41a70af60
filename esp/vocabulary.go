// Package esp is the vocabulary that the IKE side and the data planes share
// (SA, Policy, Selector, Op, Notice), and the pure ESP transform: sealing,
// opening, replay window, extended sequence numbers and the treatment of the
// inner and outer IP headers. It does no I/O.
package esp

import (
	"net/netip"
	"time"

	"github.com/goike/goike/crypto"
)

// Proto is the IP protocol of an SA.
type Proto uint8

// The IP protocols of IPsec.
const (
	ProtoESP    Proto = 50
	ProtoAH     Proto = 51
	ProtoIPComp Proto = 108
)

// Mode is the mode of an SA (RFC 4301, 4.1).
type Mode uint8

// The modes. BEET is transport mode with the inner addresses fixed by the SA's
// selector and replaced on the way (draft-nikander-esp-beet-mode).
const (
	Tunnel Mode = iota
	Transport
	BEET
)

// Direction is the direction of a policy or SA, as seen from this host.
type Direction uint8

// The directions. Forward concerns decrypted packets that are routed on; a plane
// that has no such notion treats it as In.
const (
	Out Direction = iota
	In
	Forward
)

// SAID names an SA (RFC 4301, 4.1). Dst is the outer destination address.
type SAID struct {
	Dst   netip.Addr
	SPI   uint32
	Proto Proto
}

// PortRange is an inclusive range of ports; {0, 65535} is any. For ICMP it holds
// type<<8|code (RFC 4301, 4.4.1.1).
type PortRange struct{ First, Last uint16 }

// AnyPort matches every port.
var AnyPort = PortRange{0, 65535}

// Selector says which packets a policy is for, as they look inside the tunnel
// and in the direction of the policy. Proto 0 is any protocol.
type Selector struct {
	Src, Dst           netip.Prefix
	Proto              uint8
	SrcPorts, DstPorts PortRange
}

// Encap is UDP encapsulation (RFC 3948): the ports of the outer UDP header, from
// this host's point of view. Keepalive asks for NAT keepalives while nothing else
// is sent (RFC 3948, 2.3); it is set when this host is behind a NAT.
type Encap struct {
	Local, Remote uint16
	Keepalive     bool
}

// Limits bound the life of an SA; zero means no limit. At a soft limit a
// Notice{Expire} asks for replacement, at a hard one the SA carries nothing more.
type Limits struct {
	SoftBytes, HardBytes     uint64
	SoftPackets, HardPackets uint64
	SoftTime, HardTime       time.Duration
}

// Mark is a mark of packets (SO_MARK, fwmark) and the bits of it that count. The
// zero Mark is none.
type Mark struct{ Value, Mask uint32 }

// Offload says what of an SA the network card is to do.
type Offload uint8

// The kinds of offload. Auto takes packet offload, else crypto offload, else none;
// the others are refused where the card cannot.
const (
	OffloadNone Offload = iota
	OffloadAuto
	OffloadCrypto
	OffloadPacket
)

// SA is one security association, of one direction. That of IPComp (RFC 3173) has
// the CPI as its SPI, no algorithms and no keys: packets are compressed by DEFLATE.
type SA struct {
	ID   SAID
	Src  netip.Addr // outer source
	Dir  Direction  // Out or In
	Mode Mode

	Encr      crypto.Alg
	EncrKey   crypto.Secret // with the salt, where the cipher has one
	Integ     crypto.Alg    // zero for combined-mode ciphers
	IntegKey  crypto.Secret
	ESN       bool
	Window    uint32 // replay window in packets, 32 to 4096; 0: no replay check
	Encap     *Encap // nil: raw ESP
	ReqID     uint32 // binds policies to the SAs that serve them
	Limits    Limits
	NoCopyDF  bool   // tunnel mode: do not copy DF to the outer header
	CopyDSCP  bool   // tunnel mode: copy DSCP to the outer header
	DecapDSCP bool   // tunnel mode, In: copy the outer DSCP to the inner header
	NoECN     bool   // tunnel mode: do not carry ECN over (RFC 6040)
	TFCPad    uint16 // pad packets up to this size, 0: none (RFC 4303, 2.7)
	Mark      Mark   // only for packets with this mark
	SetMark   Mark   // given to packets: Out, to the outer one; In, to what comes out
	IfID      uint32 // of the XFRM interface that it belongs to, 0: none
	Offload   Offload
	Selectors []Selector // In: what may come out of it; empty: whatever the policies allow. BEET: one, the inner addresses
}

// Action is what a policy does with a packet.
type Action uint8

// The actions (RFC 4301, 4.4.1).
const (
	Protect Action = iota
	Bypass
	Discard
)

// Policy is an entry of the SPD. Entries are found by the most specific selector
// first: a higher Priority number yields to a lower one; equal priorities by
// longer prefixes, then protocol, then ports.
type Policy struct {
	Sel      Selector
	Dir      Direction
	Action   Action
	Priority uint32
	// For Protect: which SA serves it. While none is there packets are discarded
	// and, Out, an Acquire notice is sent once per Name.
	Proto    Proto
	Mode     Mode
	Src, Dst netip.Addr // outer addresses; in transport mode those of the peers, too
	// IPComp: packets go through an IPComp SA, too, inside of that of Proto, with the
	// same ReqID (RFC 3173, RFC 7296, 2.22). Mode is then that of the IPComp SA, the
	// other SA is in transport mode.
	IPComp bool
	ReqID  uint32
	Mark   Mark
	IfID   uint32
	Name   string // "connection/child" that it serves; goes into notices
	// Owner tells apart policies of the same selector: the unique ID of the child SA
	// that installed it, 0 for the configuration (traps). Among owners the one with
	// the lowest Priority, then the one added last, is in force; when it goes, the
	// next one takes its place without a gap.
	Owner uint64
}

// Op is one operation on a data plane. Operations are idempotent: adding what is
// there replaces it in place, removing what is gone is no error.
type Op interface{ op() }

// The operations.
type (
	// AddSA installs an SA; an inbound one completes an AllocSPI.
	AddSA struct{ SA SA }
	// AdoptSA takes over an SA that the data plane holds since before, from an earlier
	// instance, with its sequence numbers and replay window as they are. Keys are not in
	// it, nor anything else that cannot be told apart from outside. It is an error that
	// the data plane does not hold it.
	AdoptSA struct{ SA SA }
	// DelSA removes an SA.
	DelSA struct{ ID SAID }
	// MoveSA changes outer addresses and encapsulation of an SA in place.
	MoveSA struct {
		ID       SAID
		Src, Dst netip.Addr
		Encap    *Encap
	}
	// AddPolicy installs the policy, or replaces that with the same Sel, Dir, Mark,
	// IfID and Owner.
	AddPolicy struct{ Policy Policy }
	// DelPolicy removes the policy with the same Sel, Dir, Mark, IfID and Owner.
	DelPolicy struct{ Policy Policy }
)

func (AddSA) op()     {}
func (AdoptSA) op()   {}
func (DelSA) op()     {}
func (MoveSA) op()    {}
func (AddPolicy) op() {}
func (DelPolicy) op() {}

// Notice is something that a data plane tells the IKE side.
type Notice interface{ notice() }

// The notices.
type (
	// Acquire asks for an SA for a policy; Packet is the selector of the packet that
	// asked (full-length prefixes, single ports).
	Acquire struct {
		Policy string // Policy.Name
		ReqID  uint32
		Packet Selector
	}
	// Expire tells that an SA reached its soft or hard limit.
	Expire struct {
		ID    SAID
		ReqID uint32
		Hard  bool
	}
	// Mapping tells that an authentic packet of an encapsulated SA came from another
	// address or port than before (RFC 3948, RFC 7296, 2.23).
	Mapping struct {
		ID    SAID
		ReqID uint32
		New   netip.AddrPort
	}
)

func (Acquire) notice() {}
func (Expire) notice()  {}
func (Mapping) notice() {}

// Usage is what an SA has carried. LastUse is how long ago it last carried a
// packet, negative if never.
type Usage struct {
	Bytes, Packets uint64
	LastUse        time.Duration
	Replayed       uint64 // packets dropped by the replay window
	AuthFailed     uint64 // packets that did not authenticate
}
