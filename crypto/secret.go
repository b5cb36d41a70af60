package crypto

import (
	"fmt"
	"log/slog"
)

// redacted stands wherever a secret would have been printed.
const redacted = "[redacted]"

// Secret is key material or a passphrase. Whatever prints, marshals or logs it
// shows "[redacted]"; the octets are reached only by converting to []byte. One
// way remains: package fmt calls no methods of unexported fields, so a struct that
// holds secrets in such fields has a Format method of its own.
type Secret []byte

// Format prints "[redacted]" for every verb, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// LogValue keeps the secret out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the secret out of JSON and every other text encoding.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Zero overwrites the secret. Copies made of it are not reached.
func (s Secret) Zero() { clear(s) }
