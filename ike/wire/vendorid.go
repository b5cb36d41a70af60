package wire

import "bytes"

// Type implements Payload.
func (*VendorID) Type() PayloadType { return PayloadVendorID }

// Critical implements Payload.
func (*VendorID) Critical() bool { return false }

func parseVendorID(b []byte, _ Limits) (Payload, error) { return &VendorID{Data: b}, nil }

// AppendBody implements Payload.
func (v *VendorID) AppendBody(b []byte) []byte { return append(b, v.Data...) }

// Clone implements Payload.
func (v *VendorID) Clone() Payload { return &VendorID{Data: bytes.Clone(v.Data)} }
