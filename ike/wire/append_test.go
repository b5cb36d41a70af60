package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestAppend(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, NextPayload: 99, Major: 2, Exchange: Informational, Flags: FlagResponse, MessageID: 3, Length: 99}
	for _, c := range []struct {
		ps   []Payload
		want string
	}{
		{nil, "0000000000000001 0000000000000002 00 20 25 20 00000003 0000001c"},
		{[]Payload{&Nonce{Data: []byte{7}}, &Raw{Kind: 200, CriticalFlag: true}},
			"0000000000000001 0000000000000002 28 20 25 20 00000003 00000025 c8000005 07 00800004"},
	} {
		b, err := Append([]byte("before"), h, c.ps...)
		if err != nil || !bytes.Equal(b, append([]byte("before"), unhex(t, c.want)...)) {
			t.Errorf("%x %v, want %s", b, err, c.want)
		}
	}
	if b, _ := Append(nil, Header{Major: 0x12, Minor: 0x13}); b[17] != 0x23 {
		t.Errorf("version octet %#x", b[17])
	}
}

func TestAppendPayloadsNone(t *testing.T) {
	b, first, err := AppendPayloads([]byte{1})
	if !bytes.Equal(b, []byte{1}) || first != NoNextPayload || err != nil {
		t.Error(b, first, err)
	}
}

func TestAppendTooLarge(t *testing.T) {
	half, most := &VendorID{Data: make([]byte, 40000)}, &VendorID{Data: make([]byte, maxMessage-HeaderLen-genericLen)}
	if b, err := Append(nil, Header{}, most); err != nil || len(b) != maxMessage {
		t.Error(len(b), err)
	}
	most.Data = append(most.Data, 0)
	for _, ps := range [][]Payload{{half, half}, {most}, {&VendorID{Data: make([]byte, maxMessage-genericLen+1)}}} {
		if _, err := Append(nil, Header{}, ps...); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	}
}

func TestAppendSealed(t *testing.T) {
	h := Header{SPIi: 1, SPIr: 2, Major: 2, Exchange: IKEAuth, Flags: FlagInitiator, MessageID: 1}
	const spis = "0000000000000001 0000000000000002"
	for _, c := range []struct {
		sk   Payload
		n    int
		want string
		head int
	}{
		{&SK{First: PayloadIDi}, 3, spis + "2e 20 23 08 00000001 00000023 23000007 000000", 32},
		{&SK{}, 0, spis + "2e 20 23 08 00000001 00000020 00000004", 32},
		{&SKF{First: PayloadIDi, Fragment: 1, Total: 2}, 3, spis + "35 20 23 08 00000001 00000027 2300000b 00010002 000000", 36},
		{&SKF{Fragment: 2, Total: 2}, 1, spis + "35 20 23 08 00000001 00000025 00000009 00020002 00", 36},
	} {
		b, head, err := AppendSealed(nil, h, c.sk, c.n)
		if err != nil || head != c.head || !bytes.Equal(b, unhex(t, c.want)) {
			t.Errorf("%x %d %v, want %s", b, head, err, c.want)
		}
	}
	const room = maxMessage - HeaderLen - genericLen
	if b, _, err := AppendSealed(nil, h, &SK{}, room); err != nil || len(b) != maxMessage {
		t.Error(len(b), err)
	}
	for _, n := range []int{room + 1, -1, 1 << 30} {
		if _, _, err := AppendSealed(nil, h, &SK{}, n); !errors.Is(err, ErrTooLarge) {
			t.Error(n, err)
		}
	}
	for _, p := range []Payload{&VendorID{}, &SKF{}} {
		if _, _, err := AppendSealed(nil, h, p, 1); err == nil {
			t.Errorf("%+v is sealed", p)
		}
	}
}
