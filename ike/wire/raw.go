package wire

import "bytes"

// Type implements Payload.
func (r *Raw) Type() PayloadType { return r.Kind }

// Critical implements Payload.
func (r *Raw) Critical() bool { return r.CriticalFlag }

// AppendBody implements Payload.
func (r *Raw) AppendBody(b []byte) []byte { return append(b, r.Data...) }

// Clone implements Payload.
func (r *Raw) Clone() Payload {
	return &Raw{Kind: r.Kind, CriticalFlag: r.CriticalFlag, Data: bytes.Clone(r.Data)}
}
