package ike

import (
	"fmt"
	"io"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// Session is what an initiator keeps of an IKE SA to resume it when it is lost (RFC 5723).
type Session struct {
	Ticket            []byte // opaque, of the responder
	Suite             crypto.Suite
	D                 crypto.Secret // SK_d
	LocalID, RemoteID id.ID
	Expires           Instant
}

// Format keeps the key out of whatever is printed.
func (Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "session") }

// Zero overwrites the key.
func (s *Session) Zero() {
	if s != nil {
		s.D.Zero()
	}
}

// The queries about tickets (RFC 5723), which all IKE SAs of this host share.
type (
	// SealTicket makes a ticket of what the responder has to know again; the result is
	// its octets.
	SealTicket struct {
		State   crypto.Secret
		Expires Instant
	}
	// OpenTicket reads a ticket of this host; the result is an OpenedTicket.
	OpenTicket struct{ Ticket []byte }
	// OpenedTicket is a ticket that was not used yet.
	OpenedTicket struct {
		ID      [16]byte
		State   crypto.Secret
		Expires Instant
	}
	// UseTicket marks a ticket as used, once: the second time it is an error.
	UseTicket struct {
		ID      [16]byte
		Expires Instant
	}
)

func (SealTicket) query() {}
func (OpenTicket) query() {}
func (UseTicket) query()  {}
