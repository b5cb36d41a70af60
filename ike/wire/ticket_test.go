package wire

import (
	"bytes"
	"testing"
)

// The layout of RFC 5723, 7.2 and 7.3, and the numbers of IANA.
func TestTicket(t *testing.T) {
	lt := Ticket{Lifetime: 10800, Opaque: []byte{0xca, 0xfe}}
	testPayloads(t, []payloadCase{
		{name: "lifetime and ticket", kind: PayloadNotify, body: "00004019 00002a30 cafe", cut: atLeast(4),
			want: &Notify{Kind: NotifyTicketLTOpaque, SPI: []byte{}, Data: lt.Append(nil)}},
		{name: "request", kind: PayloadNotify, body: "0000401a", want: &Notify{Kind: NotifyTicketRequest, SPI: []byte{}, Data: []byte{}}},
		{name: "ack", kind: PayloadNotify, body: "0000401b", want: &Notify{Kind: NotifyTicketAck, SPI: []byte{}, Data: []byte{}}},
		{name: "nack", kind: PayloadNotify, body: "0000401c", want: &Notify{Kind: NotifyTicketNack, SPI: []byte{}, Data: []byte{}}},
		{name: "ticket", kind: PayloadNotify, body: "0000401d cafe", cut: atLeast(4), want: &Notify{Kind: NotifyTicketOpaque, SPI: []byte{}, Data: []byte{0xca, 0xfe}}},
	})
	if got, err := ParseTicket(lt.Append(nil)); err != nil || got.Lifetime != lt.Lifetime || !bytes.Equal(got.Opaque, lt.Opaque) {
		t.Errorf("%+v %v", got, err)
	}
	for n := range 5 {
		if _, err := ParseTicket(make([]byte, n)); err == nil {
			t.Errorf("%d octets", n)
		}
	}
}
