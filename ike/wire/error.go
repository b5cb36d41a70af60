package wire

import "fmt"

// ProtocolError says that a message breaks the protocol. It is answered with the
// notification that it names (RFC 7296, 2.21).
type ProtocolError struct {
	Notify NotifyType
	Data   []byte // of the notification
	Reason string // for people: what is wrong with the message
}

// Error implements error.
func (e *ProtocolError) Error() string {
	if e.Reason == "" {
		return e.Notify.String()
	}
	return e.Notify.String() + ": " + e.Reason
}

// syntaxError is a ProtocolError with INVALID_SYNTAX.
func syntaxError(format string, args ...any) error {
	return &ProtocolError{Notify: NotifyInvalidSyntax, Reason: fmt.Sprintf(format, args...)}
}
