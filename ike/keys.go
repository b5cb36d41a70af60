package ike

import (
	"fmt"
	"io"

	"github.com/goike/goike/crypto"
)

// Keys are those by which the messages of an IKE SA are protected (RFC 7296, 2.14), for
// who may read them. They are not printed.
type Keys struct {
	Conn       string // empty while unknown
	SPIi, SPIr uint64
	Suite      crypto.Suite
	Ei, Er     crypto.Secret // encryption of the initiator's and the responder's messages
	Ai, Ar     crypto.Secret // integrity, none with ciphers that authenticate by themselves
}

// Format implements fmt.Formatter.
func (Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Discloser is a Machine that can tell its keys; ok is false until it has some. They are
// copies.
type Discloser interface {
	Disclose() (k Keys, ok bool)
}
