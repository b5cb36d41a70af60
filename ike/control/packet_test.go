package control

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPackets(t *testing.T) {
	for _, p := range []packet{
		{kind: cmdRequest, name: "version", message: &Message{}},
		{kind: cmdRequest, name: "initiate", message: exampleMessage()},
		{kind: cmdResponse, message: exampleMessage()},
		{kind: cmdUnknown, message: &Message{}},
		{kind: eventRegister, name: "list-sa", message: &Message{}},
		{kind: eventUnregister, name: "list-sa", message: &Message{}},
		{kind: eventConfirm, message: &Message{}},
		{kind: eventUnknown, message: &Message{}},
		{kind: eventPacket, name: "log", message: exampleMessage()},
	} {
		b, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := readPacket(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v comes back as %+v: %v", p, got, err)
		}
		if _, err := readPacket(bytes.NewReader(b[:len(b)-1])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut short: %v", err)
		}
	}
	// A request for the version as libvici sends it: length, type, name.
	want := "\x00\x00\x00\x09\x00\x07version"
	if b, err := (packet{kind: cmdRequest, name: "version"}).encode(); err != nil || string(b) != want {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
}

func TestPacketLimits(t *testing.T) {
	m := &Message{}
	for range 8 {
		m.Set("k", strings.Repeat("v", 65000))
	}
	if b, err := (packet{kind: cmdResponse, message: m}).encode(); err != nil || len(b) > MaxPacket+4 {
		t.Errorf("%d octets: %v", len(b), err)
	}
	m.Set("k", strings.Repeat("v", 65000))
	if _, err := (packet{kind: cmdResponse, message: m}).encode(); !errors.Is(err, errTooLarge) {
		t.Errorf("nine values of 65000 octets: %v", err)
	}
	for name, in := range map[string]string{
		"length 0":          "\x00\x00\x00\x00",
		"length 512K+1":     "\x00\x08\x00\x01\x00",
		"length 4G":         "\xff\xff\xff\xff\x00",
		"type 8":            "\x00\x00\x00\x01\x08",
		"no name":           "\x00\x00\x00\x01\x00",
		"name cut short":    "\x00\x00\x00\x04\x00\x07ab",
		"malformed message": "\x00\x00\x00\x02\x01\x09",
	} {
		if p, err := readPacket(strings.NewReader(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := readPacket(strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// The length alone takes no memory: that comes with the octets.
func TestLengthAloneTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		if _, err := readPacket(strings.NewReader("\x00\x08\x00\x00\x01")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 16<<10 {
		t.Errorf("%d octets are taken for each announcement of 512 KB", n)
	}
}

func FuzzPacket(f *testing.F) {
	for _, p := range []packet{{kind: cmdRequest, name: "version"}, {kind: eventPacket, name: "log", message: exampleMessage()}} {
		b, err := p.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x00\x00\x00\x01\x05"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := readPacket(bytes.NewReader(b))
		if err != nil || !p.kind.named() && p.name != "" {
			return
		}
		again, err := p.encode()
		if err != nil || !bytes.Equal(again, b[:len(again)]) {
			t.Errorf("%q is encoded as %q: %v", b, again, err)
		}
	})
}
