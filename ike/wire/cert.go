package wire

import "bytes"

// Type implements Payload.
func (*Cert) Type() PayloadType { return PayloadCert }

// Critical implements Payload.
func (*Cert) Critical() bool { return false }

func parseCert(b []byte, _ Limits) (Payload, error) {
	if len(b) < 1 {
		return nil, tooShort(PayloadCert, b, 1)
	}
	return &Cert{Encoding: CertEncoding(b[0]), Data: b[1:]}, nil
}

// AppendBody implements Payload.
func (c *Cert) AppendBody(b []byte) []byte { return append(append(b, byte(c.Encoding)), c.Data...) }

// Clone implements Payload.
func (c *Cert) Clone() Payload { return &Cert{Encoding: c.Encoding, Data: bytes.Clone(c.Data)} }

// Type implements Payload.
func (*CertReq) Type() PayloadType { return PayloadCertReq }

// Critical implements Payload.
func (*CertReq) Critical() bool { return false }

func parseCertReq(b []byte, _ Limits) (Payload, error) {
	if len(b) < 1 {
		return nil, tooShort(PayloadCertReq, b, 1)
	}
	return &CertReq{Encoding: CertEncoding(b[0]), Data: b[1:]}, nil
}

// AppendBody implements Payload.
func (c *CertReq) AppendBody(b []byte) []byte { return append(append(b, byte(c.Encoding)), c.Data...) }

// Clone implements Payload.
func (c *CertReq) Clone() Payload { return &CertReq{Encoding: c.Encoding, Data: bytes.Clone(c.Data)} }
