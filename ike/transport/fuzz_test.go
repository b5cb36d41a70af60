package transport

import (
	"encoding/binary"
	"testing"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

// Whatever comes, only what has a header that fits is delivered, and a copy of it.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte{0xff}, 0)
	f.Add(marked(message("m", 28)), 0)
	f.Add(append(marked(message("m", 28)), marked(message("n", 28))...), 32)
	f.Add(append(marked(message("m", 60)), "ESP"...), 64)
	f.Add(message("m", 40), 7)
	f.Fuzz(func(t *testing.T, data []byte, seg int) {
		var tr Transport
		count := uint64(0)
		r := tr.newReceiver(ike.NATTPort, func(dgs []ike.Datagram) {
			for _, dg := range dgs {
				if len(dg.Data) < headerLen || len(dg.Data) > len(data) {
					t.Fatalf("a message of %d octets out of %d", len(dg.Data), len(data))
				}
				if n := binary.BigEndian.Uint32(dg.Data[lengthAt:]); n < headerLen || int64(n) > int64(len(dg.Data)) {
					t.Fatalf("a message of %d octets with length %d", len(dg.Data), n)
				}
				dg.Data[0]++ // it is the receiver's
				count++
			}
		})
		before := string(data)
		r.natt([]udp.Packet{{Data: data, Seg: seg}})
		r.plain([]udp.Packet{{Data: data}})
		if string(data) != before {
			t.Fatal("a delivered message is not a copy")
		}
		if got := tr.Counters()["ike_received"]; got != count {
			t.Fatalf("%d messages are counted, %d were delivered", got, count)
		}
	})
}
