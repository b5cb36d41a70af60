package wire

import "bytes"

// Type implements Payload.
func (*Auth) Type() PayloadType { return PayloadAuth }

// Critical implements Payload.
func (*Auth) Critical() bool { return false }

func parseAuth(b []byte, _ Limits) (Payload, error) {
	const fixed = 4
	if len(b) < fixed {
		return nil, tooShort(PayloadAuth, b, fixed)
	}
	return &Auth{Method: AuthMethod(b[0]), Data: b[fixed:]}, nil
}

// AppendBody implements Payload.
func (a *Auth) AppendBody(b []byte) []byte {
	return append(append(b, byte(a.Method), 0, 0, 0), a.Data...)
}

// Clone implements Payload.
func (a *Auth) Clone() Payload { return &Auth{Method: a.Method, Data: bytes.Clone(a.Data)} }
