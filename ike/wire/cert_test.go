package wire

import (
	"crypto/sha1"
	"crypto/x509"
	"testing"
)

func TestCert(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadCert, body: "04 3082", want: &Cert{Encoding: CertX509Signature, Data: []byte{0x30, 0x82}}, cut: atLeast(1)},
		{name: "no data", kind: PayloadCert, body: "0c", want: &Cert{Encoding: CertHashAndURL, Data: []byte{}}},
		{name: "empty", kind: PayloadCert, body: "", err: "CERT payload: 0 octets"},
	})
}

func TestCertReq(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadCertReq, body: "04 0102", want: &CertReq{Encoding: CertX509Signature, Data: []byte{1, 2}}, cut: atLeast(1)},
		{name: "no data", kind: PayloadCertReq, body: "04", want: &CertReq{Encoding: CertX509Signature, Data: []byte{}}},
		{name: "empty", kind: PayloadCertReq, body: "", err: "CERTREQ payload: 0 octets"},
	})
}

// The certificates of charon are ones; it asks for their CA by the hash of its key.
func TestGoldenCert(t *testing.T) {
	for name, subject := range map[string]string{
		"cert-03-auth-request":  "a.example.org",
		"cert-04-auth-response": "b.example.org",
	} {
		c, ok := Find[*Cert](readGolden(t, name).inner(t))
		if !ok || c.Encoding != CertX509Signature {
			t.Fatal(name, c)
		}
		if x, err := x509.ParseCertificate(c.Data); err != nil || x.Subject.CommonName != subject {
			t.Error(name, err)
		}
	}
	_, ps := readGolden(t, "cert-02-init-response").outer(t)
	if r, _ := Find[*CertReq](ps); r.Encoding != CertX509Signature || len(r.Data) != sha1.Size {
		t.Errorf("CERTREQ %+v", r)
	}
}
