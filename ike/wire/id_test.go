package wire

import "testing"

func TestID(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "FQDN", kind: PayloadIDi, body: "02000000 612e6578", want: &ID{Kind: IDFQDN, Data: []byte("a.ex")}, cut: atLeast(4)},
		{name: "address", kind: PayloadIDr, body: "01000000 c0000201", want: &ID{Responder: true, Kind: IDIPv4Addr, Data: []byte{192, 0, 2, 1}}, cut: atLeast(4)},
		{name: "NULL", kind: PayloadIDi, body: "0d000000", want: &ID{Kind: IDNull, Data: []byte{}}},
		{name: "reserved", kind: PayloadIDr, body: "0bffffff 01", canon: "0b000000 01", want: &ID{Responder: true, Kind: IDKeyID, Data: []byte{1}}, cut: atLeast(4)},
		{name: "short", kind: PayloadIDi, body: "020000", err: "IDi payload: 3 octets"},
		{name: "empty", kind: PayloadIDr, body: "", err: "IDr payload: 0 octets"},
	})
}

func TestGoldenID(t *testing.T) {
	ps := readGolden(t, "psk-03-auth-request").inner(t)
	if i := FindID(ps, false); i == nil || i.Kind != IDFQDN || string(i.Data) != "a.example.org" {
		t.Errorf("IDi %+v", i)
	}
	if r := FindID(ps, true); r == nil || r.Kind != IDFQDN || string(r.Data) != "b.example.org" {
		t.Errorf("IDr %+v", r)
	}
	if i := FindID(readGolden(t, "eap-03-auth-request").inner(t), false); i.Kind != IDRFC822Addr || string(i.Data) != "carol@example.org" {
		t.Errorf("IDi %+v", i)
	}
}
