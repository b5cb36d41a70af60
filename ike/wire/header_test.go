package wire

import (
	"bytes"
	"testing"
)

const headerHex = "0102030405060708 090a0b0c0d0e0f10 21 20 22 08 00000005 0000001c"

func TestParseHeader(t *testing.T) {
	b := unhex(t, headerHex)
	want := Header{
		SPIi: 0x0102030405060708, SPIr: 0x090a0b0c0d0e0f10, NextPayload: PayloadSA, Major: 2,
		Exchange: IKESAInit, Flags: FlagInitiator, MessageID: 5, Length: HeaderLen,
	}
	h, err := ParseHeader(b)
	if err != nil || h != want {
		t.Fatalf("%+v %v, want %+v", h, err, want)
	}
	if again := h.append(nil); !bytes.Equal(again, b) {
		t.Errorf("written again %x, want %x", again, b)
	}
	for n := range b {
		_, err := ParseHeader(b[:n])
		wantSyntax(t, err, "at least 28 are needed")
	}
}

func TestParseHeaderVersion(t *testing.T) {
	b := unhex(t, headerHex)
	for _, v := range []byte{0x00, 0x10, 0x2f, 0x30, 0xff} {
		b[17] = v
		if h, err := ParseHeader(b); err != nil || h.Major != v>>4 || h.Minor != v&15 {
			t.Errorf("%#x: %d.%d %v", v, h.Major, h.Minor, err)
		}
	}
}

func TestParseHeaderLength(t *testing.T) {
	for _, c := range []struct {
		length string
		octets int
		err    string
	}{
		{"0000001c", 28, ""},
		{"0000001c", 100, ""}, // the rest is the caller's
		{"00000064", 100, ""},
		{"00000065", 100, "length 101 in a datagram of 100 octets"},
		{"0000001b", 100, "length 27"},
		{"00000000", 100, "length 0"},
		{"ffffffff", 100, "length 4294967295"},
		{"8000001c", 100, "length 2147483676"},
	} {
		b := append(unhex(t, headerHex[:len(headerHex)-8]+c.length), make([]byte, c.octets-28)...)
		_, err := ParseHeader(b)
		if c.err != "" {
			wantSyntax(t, err, c.err)
		} else if err != nil {
			t.Error(c, err)
		}
	}
}
