package wire

import "testing"

func TestVendorID(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadVendorID, body: "676f696b65", want: &VendorID{Data: []byte("goike")}, cut: atLeast(0)},
		{name: "empty", kind: PayloadVendorID, body: "", want: &VendorID{Data: []byte{}}},
	})
}
