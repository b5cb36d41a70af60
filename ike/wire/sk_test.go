package wire

import (
	"reflect"
	"testing"
)

func TestSKF(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "fragment", kind: PayloadSKF, body: "00020003 0a0b", want: &SKF{Fragment: 2, Total: 3, Body: []byte{10, 11}}, cut: atLeast(4)},
		{name: "short", kind: PayloadSKF, body: "000100", err: "SKF payload: 3 octets"},
		{name: "fragment 0", kind: PayloadSKF, body: "00000003", err: "fragment 0 of 3"},
		{name: "of 0", kind: PayloadSKF, body: "00010000", err: "fragment 1 of 0"},
		{name: "beyond the last", kind: PayloadSKF, body: "00040003", err: "fragment 4 of 3"},
	})
	if _, _, err := AppendPayloads(nil, &SKF{Fragment: 4, Total: 3}); err == nil {
		t.Error("fragment 4 of 3 is written")
	}
}

func TestSK(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "data", kind: PayloadSK, body: "0a0b", want: &SK{Body: []byte{10, 11}}, cut: atLeast(0)},
		{name: "empty", kind: PayloadSK, body: "", want: &SK{Body: []byte{}}},
	})
}

// An encrypted payload ends the message, and its Next Payload is that of what it
// holds.
func TestSealedIsLast(t *testing.T) {
	vendor := "2e000005 01" // V, then SK
	sk := "23000006 0a0b"   // SK with IDi
	ps, err := Parse(PayloadVendorID, unhex(t, vendor+sk), Limits{})
	want := []Payload{&VendorID{Data: []byte{1}}, &SK{First: PayloadIDi, Body: []byte{10, 11}}}
	if err != nil || !reflect.DeepEqual(ps, want) {
		t.Fatalf("%+v %v", ps, err)
	}
	rewrites(t, ps, unhex(t, vendor+sk))
	_, err = Parse(PayloadVendorID, unhex(t, vendor+sk+vendor), Limits{})
	wantSyntax(t, err, "5 octets behind the last payload")
	skf := "23000008 00010002"
	ps, err = Parse(PayloadSKF, unhex(t, skf), Limits{})
	if err != nil || !reflect.DeepEqual(ps, []Payload{&SKF{First: PayloadIDi, Fragment: 1, Total: 2, Body: []byte{}}}) {
		t.Fatalf("%+v %v", ps, err)
	}
	rewrites(t, ps, unhex(t, skf))
	for _, p := range []Payload{&SK{}, &SKF{Fragment: 1, Total: 1}} {
		if _, _, err := AppendPayloads(nil, p, &VendorID{}); err == nil {
			t.Errorf("%s is written before another payload", p.Type())
		}
	}
}
