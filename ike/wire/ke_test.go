package wire

import "testing"

func TestKE(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadKE, body: "001f0000 010203", want: &KE{Method: 31, Data: []byte{1, 2, 3}}, cut: atLeast(4)},
		{name: "no data", kind: PayloadKE, body: "000e0000", want: &KE{Method: 14, Data: []byte{}}},
		{name: "reserved", kind: PayloadKE, body: "000effff 05", canon: "000e0000 05", want: &KE{Method: 14, Data: []byte{5}}, cut: atLeast(4)},
		{name: "short", kind: PayloadKE, body: "000e00", err: "KE payload: 3 octets, at least 4"},
	})
}

func TestGoldenKE(t *testing.T) {
	_, ps := readGolden(t, "invalid-ke-01-init-request").outer(t)
	if k, _ := Find[*KE](ps); k.Method != 14 || len(k.Data) != 256 {
		t.Errorf("method %d with %d octets", k.Method, len(k.Data))
	}
	_, ps = readGolden(t, "psk-02-init-response").outer(t)
	if k, _ := Find[*KE](ps); k.Method != 31 || len(k.Data) != 32 {
		t.Errorf("method %d with %d octets", k.Method, len(k.Data))
	}
}
