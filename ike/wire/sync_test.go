package wire

import (
	"bytes"
	"testing"
)

// The layout of RFC 6311, 7.1 and 7.2, and the numbers of IANA.
func TestMessageIDSync(t *testing.T) {
	sync := MessageIDSync{[4]byte{0xde, 0xad, 0xbe, 0xef}, 0x01020304, 0x05060708}
	testPayloads(t, []payloadCase{
		{name: "supported", kind: PayloadNotify, body: "00004024", want: &Notify{Kind: NotifyMessageIDSyncSupported, SPI: []byte{}, Data: []byte{}}},
		{name: "sync", kind: PayloadNotify, body: "00004026 deadbeef 01020304 05060708", cut: atLeast(4),
			want: &Notify{Kind: NotifyMessageIDSync, SPI: []byte{}, Data: sync.Append(nil)}},
	})
	data := unhex(t, "deadbeef 01020304 05060708")
	if got, err := ParseMessageIDSync(data); err != nil || got != sync || !bytes.Equal(got.Append(nil), data) {
		t.Errorf("%+v %v", got, err)
	}
	for n := range 20 {
		if _, err := ParseMessageIDSync(make([]byte, n)); (err == nil) != (n == 12) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}
