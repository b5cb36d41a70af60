//go:build linux

package main

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// heldSAs are one of each direction, with all that there may be.
func heldSAs() []esp.Held {
	out := esp.Held{
		SA: esp.SA{
			ID:  esp.SAID{Dst: netip.MustParseAddr("198.51.100.2"), SPI: 0xc0ffee01, Proto: esp.ProtoESP},
			Src: netip.MustParseAddr("192.0.2.2"), Dir: esp.Out, Mode: esp.Transport,
			Encr: crypto.Alg{Type: crypto.Encr, ID: 12, KeyBits: 256}, EncrKey: bytes.Repeat([]byte{1}, 32),
			Integ: crypto.Alg{Type: crypto.Integ, ID: 12}, IntegKey: bytes.Repeat([]byte{2}, 32),
			ESN: true, Window: 64, Encap: &esp.Encap{Local: 4500, Remote: 33333, Keepalive: true}, ReqID: 0x40000001,
			Limits:   esp.Limits{SoftBytes: 1, HardBytes: 2, SoftPackets: 3, HardPackets: 4, SoftTime: time.Second, HardTime: time.Hour},
			NoCopyDF: true, CopyDSCP: true, NoECN: true, TFCPad: 1400,
		},
		Last: 1 << 40, Bytes: 77, Packets: 7, Age: time.Minute,
	}
	in := esp.Held{
		SA: esp.SA{
			ID:  esp.SAID{Dst: netip.MustParseAddr("2001:db8::1"), SPI: 0x101, Proto: esp.ProtoESP},
			Src: netip.MustParseAddr("2001:db8::2"), Dir: esp.In,
			Encr: crypto.Alg{Type: crypto.Encr, ID: 20, KeyBits: 128}, EncrKey: bytes.Repeat([]byte{3}, 20),
			Window: 32, ReqID: 0x40000001, DecapDSCP: true,
			Selectors: []esp.Selector{{
				Src: netip.MustParsePrefix("10.2.0.0/16"), Dst: netip.MustParsePrefix("10.1.0.0/16"), Proto: 6,
				SrcPorts: esp.AnyPort, DstPorts: esp.PortRange{First: 443, Last: 443},
			}},
		},
		Last: 5, Seen: []uint64{0x2e, 0},
	}
	return []esp.Held{out, in}
}

func TestHeld(t *testing.T) {
	for i, h := range heldSAs() {
		data := encodeHeld(&h)
		got, err := decodeHeld(data)
		if err != nil || !reflect.DeepEqual(got, h) && !bytes.Equal(encodeHeld(&got), data) {
			t.Errorf("%d: %+v, %v", i, got, err)
		}
		if got.SA.Encap == nil != (h.SA.Encap == nil) || got.SA.ID != h.SA.ID || got.Last != h.Last {
			t.Errorf("%d: %+v", i, got)
		}
		for n := range data {
			if _, err := decodeHeld(data[:n]); err == nil {
				t.Errorf("%d: %d octets of %d are taken", i, n, len(data))
			}
		}
		if _, err := decodeHeld(append(data, 0)); err == nil {
			t.Errorf("%d: with something behind it is taken", i)
		}
		data[0]++
		if _, err := decodeHeld(data); err == nil {
			t.Errorf("%d: another format is taken", i)
		}
	}
}

func FuzzHeld(f *testing.F) {
	for _, h := range heldSAs() {
		f.Add(encodeHeld(&h))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := decodeHeld(data)
		if err != nil {
			return
		}
		if again := encodeHeld(&h); !bytes.Equal(again, data) {
			t.Errorf("%x is read as %x", data, again)
		}
		if h.SA.Dir == esp.Out {
			_, _ = esp.ResumeSender(h)
		} else {
			_, _ = esp.ResumeReceiver(h)
		}
	})
}
