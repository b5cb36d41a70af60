package wire

import "testing"

func TestAuth(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "shared key", kind: PayloadAuth, body: "02000000 010203", want: &Auth{Method: AuthSharedKey, Data: []byte{1, 2, 3}}, cut: atLeast(4)},
		{name: "no data", kind: PayloadAuth, body: "0d000000", want: &Auth{Method: AuthNull, Data: []byte{}}},
		{name: "reserved", kind: PayloadAuth, body: "0effffff 01", canon: "0e000000 01", want: &Auth{Method: AuthDigitalSignature, Data: []byte{1}}, cut: atLeast(4)},
		{name: "short", kind: PayloadAuth, body: "0e0000", err: "AUTH payload: 3 octets"},
	})
}

func TestGoldenAuth(t *testing.T) {
	if a, _ := Find[*Auth](readGolden(t, "psk-03-auth-request").inner(t)); a.Method != AuthSharedKey || len(a.Data) != 32 {
		t.Errorf("AUTH %+v", a)
	}
	if a, _ := Find[*Auth](readGolden(t, "cert-04-auth-response").inner(t)); a.Method != AuthDigitalSignature || len(a.Data) < 64 {
		t.Errorf("AUTH %+v", a)
	}
}
