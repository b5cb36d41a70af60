package wire

import (
	"reflect"
	"testing"
)

func TestRaw(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "unknown", kind: 200, body: "0102", want: &Raw{Kind: 200, Data: []byte{1, 2}}, cut: atLeast(0)},
		{name: "known by name", kind: PayloadGSA, body: "", want: &Raw{Kind: PayloadGSA, Data: []byte{}}},
		{name: "of IKEv1", kind: 1, body: "00", want: &Raw{Kind: 1, Data: []byte{0}}, cut: atLeast(0)},
	})
}

// The critical bit of an unknown payload is kept, that of a known one is not.
func TestCritical(t *testing.T) {
	b := unhex(t, "2b800005 01 00800005 02") // an unknown one, then V
	ps, err := Parse(200, b, Limits{})
	want := []Payload{&Raw{Kind: 200, CriticalFlag: true, Data: []byte{1}}, &VendorID{Data: []byte{2}}}
	if err != nil || !reflect.DeepEqual(ps, want) || !ps[0].Critical() || ps[1].Critical() {
		t.Fatalf("%+v %v", ps, err)
	}
	rewrites(t, ps, unhex(t, "2b800005 01 00000005 02"))
	if c := ps[0].Clone(); !c.Critical() {
		t.Error("the clone is not critical")
	}
}
