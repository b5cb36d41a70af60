package wire

import (
	"bytes"
	"testing"
)

func TestEAP(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "success", kind: PayloadEAP, body: "03010004", want: &EAP{Data: []byte{3, 1, 0, 4}}},
		{name: "identity", kind: PayloadEAP, body: "02010006 0141", want: &EAP{Data: []byte{2, 1, 0, 6, 1, 'A'}}},
		{name: "short", kind: PayloadEAP, body: "030100", err: "EAP payload: 3 octets"},
		{name: "longer than it says", kind: PayloadEAP, body: "03010004 00", err: "EAP message of length 4 in 5 octets"},
		{name: "shorter than it says", kind: PayloadEAP, body: "02010006 01", err: "EAP message of length 6 in 5 octets"},
		{name: "length 0", kind: PayloadEAP, body: "03010000", err: "EAP message of length 0"},
	})
}

func TestGoldenEAP(t *testing.T) {
	e, _ := Find[*EAP](readGolden(t, "eap-05-auth-request").inner(t))
	if !bytes.HasSuffix(e.Data, []byte("\x01carol")) {
		t.Errorf("EAP %q", e.Data)
	}
}
