package wire

import "testing"

// The length of a nonce is Check's.
func TestNonce(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadNonce, body: "0102030405", want: &Nonce{Data: []byte{1, 2, 3, 4, 5}}, cut: atLeast(0)},
		{name: "empty", kind: PayloadNonce, body: "", want: &Nonce{Data: []byte{}}},
	})
}

func TestGoldenNonce(t *testing.T) {
	_, ps := readGolden(t, "psk-01-init-request").outer(t)
	if n, _ := Find[*Nonce](ps); len(n.Data) != 32 {
		t.Errorf("nonce of %d octets", len(n.Data))
	}
}
