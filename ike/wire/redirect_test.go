package wire

import (
	"bytes"
	"strings"
	"testing"
)

// The layout of RFC 5685, 8.2 and 8.3: type, length, identity, nonce.
func TestRedirect(t *testing.T) {
	for _, c := range []struct{ data, gateway, nonce string }{
		{"01 04 c6336403", "198.51.100.3", ""},
		{"01 04 c6336403 0102030405060708090a0b0c0d0e0f10", "198.51.100.3", "0102030405060708090a0b0c0d0e0f10"},
		{"02 10 20010db8000000000000000000000003", "2001:db8::3", ""},
		{"03 0f 6777322e6578616d706c652e6f7267 ff", "gw2.example.org", "ff"},
	} {
		data := unhex(t, c.data)
		r, err := ParseRedirect(data)
		if err != nil || r.String() != c.gateway || !bytes.Equal(r.Nonce, unhex(t, c.nonce)) {
			t.Errorf("%s: %+v, %v", c.data, r, err)
		}
		again := RedirectTo(c.gateway)
		again.Nonce = r.Nonce
		if !bytes.Equal(again.Append(nil), data) {
			t.Errorf("%s is written %x", c.gateway, again.Append(nil))
		}
	}
	for _, bad := range []string{
		"", "01", "01 04 c63364", "01 03 c63364", "01 05 c633640300", "02 04 c6336403", "00 04 c6336403", "04 04 c6336403",
		"03 00", "03 03 612062", "03 02 610a", "03 01 ff", "03 fe" + strings.Repeat("61", 254),
	} {
		if r, err := ParseRedirect(unhex(t, bad)); err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
	if r := RedirectTo("::ffff:192.0.2.1"); r.Kind != GatewayIPv4 || r.String() != "192.0.2.1" {
		t.Errorf("%+v", r)
	}
}

// The notifications as they stand in a message (RFC 5685, 8; numbers of IANA).
func TestRedirectNotifies(t *testing.T) {
	testPayloads(t, []payloadCase{
		{name: "supported", kind: PayloadNotify, body: "00004016", want: &Notify{Kind: NotifyRedirectSupported, SPI: []byte{}, Data: []byte{}}},
		{name: "redirect", kind: PayloadNotify, body: "00004017 0104 c6336403", cut: atLeast(4),
			want: &Notify{Kind: NotifyRedirect, SPI: []byte{}, Data: RedirectTo("198.51.100.3").Append(nil)}},
		{name: "from", kind: PayloadNotify, body: "00004018 0104 c6336402", cut: atLeast(4),
			want: &Notify{Kind: NotifyRedirectedFrom, SPI: []byte{}, Data: RedirectTo("198.51.100.2").Append(nil)}},
		{name: "childless", kind: PayloadNotify, body: "00004022", want: &Notify{Kind: NotifyChildlessIKEv2Supported, SPI: []byte{}, Data: []byte{}}},
	})
}

func FuzzRedirect(f *testing.F) {
	f.Add([]byte{1, 4, 198, 51, 100, 3})
	f.Add([]byte("\x03\x0fgw2.example.orgnonce"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRedirect(data)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Append(nil), data) || r.String() == "" {
			t.Errorf("%x becomes %x", data, r.Append(nil))
		}
	})
}
