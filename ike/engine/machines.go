package engine

import (
	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Ref names a machine: it is the IKE SPI that we chose for it.
type Ref uint64

// Machines makes IKE SAs and the few messages that are sent without one.
type Machines interface {
	Dial(b ike.Birth, conn *conf.Connection, path ike.Path) ike.Machine
	Respond(b ike.Birth, path ike.Path) ike.Machine
	// Restore makes a machine from its snapshot; see ike.Keeper and ike.TakeOver.
	Restore(b ike.Birth, conn *conf.Connection, parts map[uint64][]byte) (ike.Machine, error)
	// CheckFirst tells whether a message is a first one that is worth a machine.
	CheckFirst(h wire.Header, b []byte) error
	// RefuseVersion answers a request of a major version that is too high.
	RefuseVersion(h wire.Header) []byte
	// InvalidSPI answers a request for an IKE SA that is not there.
	InvalidSPI(h wire.Header) []byte
	// SaysInvalidSPI tells whether a message is such an answer.
	SaysInvalidSPI(h wire.Header, b []byte) bool
}

// Tickets seals what lost IKE SAs are resumed by (RFC 5723).
type Tickets interface {
	Seal(now ike.Instant, q ike.SealTicket) ([]byte, error)
	Open(now ike.Instant, ticket []byte) (ike.OpenedTicket, error)
	Use(now ike.Instant, q ike.UseTicket) error
}

// Cookies is the stateless defence against floods of first messages (RFC 7296,
// 2.6).
type Cookies interface {
	// Check tells whether a first message carries a valid cookie; if not, challenge
	// is the reply that demands one.
	Check(now ike.Instant, dg ike.Datagram) (ok bool, challenge []byte)
}
