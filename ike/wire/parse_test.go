package wire

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"
)

func TestParseChain(t *testing.T) {
	for _, c := range []struct {
		name  string
		first PayloadType
		chain string
		want  []Payload
		err   string
	}{
		{"nothing", NoNextPayload, "", nil, ""},
		{"two", PayloadNonce, "2b000005 01 00000004", []Payload{&Nonce{Data: []byte{1}}, &VendorID{Data: []byte{}}}, ""},
		{"the same twice", PayloadNonce, "28000005 01 00000005 02", []Payload{&Nonce{Data: []byte{1}}, &Nonce{Data: []byte{2}}}, ""},
		{"nothing announced", NoNextPayload, "00000004", nil, "4 octets behind the last payload"},
		{"announced, nothing there", PayloadNonce, "", nil, "Nonce payload: header cut off after 0 octets"},
		{"next announced, nothing there", PayloadNonce, "2b000005 01", nil, "V payload: header cut off after 0 octets"},
		{"header cut off", PayloadNonce, "000000", nil, "header cut off after 3 octets"},
		{"more than announced", PayloadNonce, "00000005 01 00000004", nil, "4 octets behind the last payload"},
		{"length 0", PayloadNonce, "28000000", nil, "Nonce payload: length 0, 4 octets are left"},
		{"length 1", PayloadNonce, "28000001", nil, "length 1"},
		{"length 2", PayloadNonce, "28000002", nil, "length 2"},
		{"length 3", PayloadNonce, "28000003", nil, "length 3"},
		{"length beyond the end", PayloadNonce, "28000006 01", nil, "length 6, 5 octets are left"},
		{"length 65535", PayloadNonce, "2800ffff 01", nil, "length 65535"},
		{"unknown, length 0", 200, "c8000000", nil, "PAYLOAD_200 payload: length 0"},
		{"a broken one behind a good one", PayloadNonce, "21000005 01 00000005 00", nil, "SA payload"},
	} {
		ps, err := Parse(c.first, unhex(t, c.chain), Limits{})
		if c.err != "" {
			wantSyntax(t, err, c.err)
		} else if err != nil || !reflect.DeepEqual(ps, c.want) {
			t.Errorf("%s: %+v %v", c.name, ps, err)
		}
	}
}

func TestParsePayloadLimit(t *testing.T) {
	b := func(n int) []byte { return unhex(t, repeat("2b000004", n-1)+"00000004") }
	for _, c := range []struct {
		n  int
		l  Limits
		ok bool
	}{
		{128, Limits{}, true}, {129, Limits{}, false}, {3, Limits{Payloads: 3}, true}, {4, Limits{Payloads: 3}, false}, {4, Limits{Payloads: -1}, true},
	} {
		ps, err := Parse(PayloadVendorID, b(c.n), c.l)
		if !c.ok {
			wantSyntax(t, err, "payloads")
		} else if err != nil || len(ps) != c.n {
			t.Error(c, len(ps), err)
		}
	}
}

// Appending to what was parsed does not write into the message.
func TestParsedSlicesAreClosed(t *testing.T) {
	b := unhex(t, "2b000005 01 00000005 02")
	ps, err := Parse(PayloadNonce, b, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := Find[*Nonce](ps)
	_ = append(n.Data, 0xff, 0xff)
	if !bytes.Equal(b, unhex(t, "2b000005 01 00000005 02")) {
		t.Errorf("the message is now %x", b)
	}
}

// Whatever a message says, it takes no more memory than a small multiple of its
// length.
func TestParseMemory(t *testing.T) {
	const size = 60000
	fill := func(s string) []byte { return bytes.Repeat(unhex(t, s), size/len(unhex(t, s))) }
	huge := Limits{Payloads: size, Proposals: size, Transforms: size, Selectors: size, Attributes: size}
	with := func(head string, body []byte) []byte { return chain(t, append(unhex(t, head), body...)) }
	for name, c := range map[string]struct {
		first PayloadType
		b     []byte
	}{
		"payloads":       {200, fill("c8000004")},
		"notifications":  {PayloadNotify, fill("29000008 00000001")},
		"proposals":      {PayloadSA, chain(t, fill("02000008 01040000"))},
		"transforms":     {PayloadSA, chain(t, append(unhex(t, "02000800 010400ff"), fill("03000008 01000001")...))},
		"attributes":     {PayloadSA, chain(t, append(unhex(t, "0000ea68 01040001 0000ea60 01000001"), fill("80010001")...))},
		"SPIs":           {PayloadDelete, with("03043a98", fill("00000001"))},
		"selectors":      {PayloadTSi, with("ff000000", fill("09000004"))},
		"configuration":  {PayloadCP, with("01000000", fill("00010000"))},
		"counts no SPIs": {PayloadDelete, with("0304ffff", nil)},
	} {
		for _, l := range []Limits{{}, huge} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = Parse(c.first, c.b, l)
			runtime.ReadMemStats(&after)
			// growth of slices counted in; 4 octets make a Raw and its place in the list
			if got := after.TotalAlloc - before.TotalAlloc; got > 64*uint64(len(c.b))+4096 {
				t.Errorf("%s: %d octets for a message of %d", name, got, len(c.b))
			}
		}
	}
}
