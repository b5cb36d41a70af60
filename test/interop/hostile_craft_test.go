//go:build linux

package interop

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/test/lab"
)

// attacker is a stranger in the internet, who can also send under the addresses of
// others.
type attacker struct {
	conn *net.UDPConn
	raw  int // socket that takes whole IPv4 packets
	to   netip.Addr
}

func (w *world) attacker(t *testing.T, to netip.Addr) *attacker {
	t.Helper()
	x := &attacker{to: to}
	if err := w.Internet.Do(func() (err error) {
		if x.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: lab.InternetB.AsSlice()}); err == nil {
			x.raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(x.conn.Close(), unix.Close(x.raw)) })
	return x
}

// send sends a message to a port, on 4500 behind the non-ESP marker when it has an
// IKE header.
func (x *attacker) send(t *testing.T, port uint16, m []byte) {
	t.Helper()
	if _, err := x.conn.WriteToUDPAddrPort(marked(port, m), netip.AddrPortFrom(x.to, port)); err != nil {
		t.Fatal(err)
	}
}

// marked puts the marker before what is long enough for an IKE header; shorter
// things go to port 4500 as ESP.
func marked(port uint16, m []byte) []byte {
	if port == 4500 && len(m) >= 28 {
		return append(make([]byte, 4, 4+len(m)), m...)
	}
	return m
}

// spoof sends a message that seems to come from the same port of another.
func (x *attacker) spoof(t *testing.T, from netip.Addr, port uint16, m []byte) {
	t.Helper()
	m = marked(port, m)
	udp := binary.BigEndian.AppendUint16(nil, port)
	udp = binary.BigEndian.AppendUint16(udp, port)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(m)))
	x.packet(t, from, unix.IPPROTO_UDP, append(append(udp, 0, 0), m...))
}

// spoofESP sends an ESP packet in the name of another.
func (x *attacker) spoofESP(t *testing.T, from netip.Addr, b []byte) {
	t.Helper()
	x.packet(t, from, unix.IPPROTO_ESP, b)
}

// packet sends an IPv4 packet that fits the link; the kernel adds the checksum.
func (x *attacker) packet(t *testing.T, from netip.Addr, proto byte, body []byte) {
	t.Helper()
	body = body[:min(len(body), 1480)]
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
	b = slices.Concat(b, from.AsSlice(), x.to.AsSlice(), body)
	if err := unix.Sendto(x.raw, b, 0, &unix.SockaddrInet4{Addr: x.to.As4()}); err != nil {
		t.Fatal(err)
	}
}

// receive waits for an answer.
func (x *attacker) receive(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, 1<<16)
	_ = x.conn.SetReadDeadline(time.Now().Add(wait))
	n, err := x.conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// count counts the answers from now on; the function tells how many there were.
func (x *attacker) count(t *testing.T) (so func() int) {
	t.Helper()
	var n atomic.Int64
	_ = x.conn.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<16)
		for {
			if _, err := x.conn.Read(b); err != nil {
				return
			}
			n.Add(1)
		}
	}()
	t.Cleanup(func() {
		_ = x.conn.SetReadDeadline(time.Unix(1, 0))
		<-done
	})
	return func() int { return int(n.Load()) }
}

// header is a message with a header as said, and a body behind it.
func header(spiI, spiR uint64, next, exchange, flags byte, id uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, spiI)
	b = binary.BigEndian.AppendUint64(b, spiR)
	b = append(b, next, 0x20, exchange, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, uint32(28+len(body)))
	return append(b, body...)
}

// edit returns a message with one octet changed.
func edit(m []byte, at int, value byte) []byte {
	m = slices.Clone(m)
	m[at] = value
	return m
}

func version(m []byte, major byte) []byte { return edit(m, 17, major<<4) }

// sized is a message whose header tells another length.
func sized(m []byte, n uint32) []byte {
	m = slices.Clone(m)
	binary.BigEndian.PutUint32(m[24:], n)
	return m
}

// critical puts a payload of the private type 200 before those of a first message,
// with the critical bit.
func critical(m []byte) []byte {
	extra := []byte{m[16], 0x80, 0, 8, 1, 2, 3, 4}
	m = slices.Concat(m[:28], extra, m[28:])
	m[16] = 200
	return sized(m, uint32(len(m)))
}

// otherGroup makes a first message begin with a key exchange for ECP 256, which it
// also offers (in place of nothing else, so that Curve25519 remains the choice).
func otherGroup(m []byte) []byte {
	at := payloads(m)[1] // KE
	ke := append([]byte{40, 0, 0, 72, 0, 19, 0, 0}, random(64)...)
	m = slices.Concat(m[:at], ke, m[at+40:])
	return sized(m, uint32(len(m)))
}

// payloads are the offsets of the payloads of a message.
func payloads(m []byte) []int {
	var out []int
	for at := 28; at+4 <= len(m); at += int(binary.BigEndian.Uint16(m[at+2:])) {
		out = append(out, at)
	}
	return out
}

// notifyOf reads the only payload of an unprotected answer, a notify (RFC 7296,
// 3.10).
func notifyOf(t *testing.T, m []byte) (kind uint16, data []byte) {
	t.Helper()
	if len(m) < 36 || m[16] != 41 || int(binary.BigEndian.Uint32(m[24:])) != len(m) {
		t.Fatalf("not an answer with a notify: % x", m)
	}
	return binary.BigEndian.Uint16(m[34:]), m[36+int(m[33]):]
}

// volley is messages of one kind.
type volley struct {
	name     string
	messages [][]byte
}

func volleys(live spis) []volley {
	return []volley{
		{"truncated", truncated()},
		{"oversized", oversized()},
		{"looping", looping()},
		{"duplicated", slices.Repeat([][]byte{firstMessage(20)}, 100)},
		{"out of order", outOfOrder()},
		{"other versions", otherVersions()},
		{"exchange types", exchanges()},
		{"critical payloads", [][]byte{critical(firstMessage(21)), critical(critical(firstMessage(22)))}},
		{"garbage", garbage()},
		{"for the live IKE SA", aimed(live)},
	}
}

func truncated() (out [][]byte) {
	m := firstMessage(30)
	for n := 8; n < len(m); n++ {
		out = append(out, m[:n])
		if n >= 28 {
			out = append(out, sized(m[:n], uint32(n)))
		}
	}
	return out
}

func oversized() [][]byte {
	m := firstMessage(31)
	huge := append(slices.Clone(m), make([]byte, 60000)...)
	return [][]byte{
		sized(m, 0), sized(m, 27), sized(m, 28), sized(m, uint32(len(m)+1)), sized(m, 1<<31), sized(m, 1<<32-1),
		huge, sized(huge, uint32(len(huge))), header(32, 0, 33, 34, 0x08, 0, random(60000)),
	}
}

// looping has payloads that end where they begin, or before.
func looping() (out [][]byte) {
	m := firstMessage(33)
	for _, at := range payloads(m) {
		for n := range byte(4) {
			out = append(out, edit(edit(m, at+2, 0), at+3, n))
		}
		out = append(out, edit(m, at+2, 0xff))
	}
	// Inside of the SA payload: proposal and transforms.
	for _, at := range []int{28 + 4, 28 + 4 + 8, 28 + 4 + 8 + 12} {
		for n := range byte(4) {
			out = append(out, edit(edit(m, at+2, 0), at+3, n))
		}
	}
	return out
}

func outOfOrder() (out [][]byte) {
	for _, id := range []uint32{1, 2, 1 << 31, 1<<32 - 1} {
		m := firstMessage(uint64(40 + id%7))
		binary.BigEndian.PutUint32(m[20:], id)
		out = append(out, m, header(uint64(id), 0, 46, 35, 0x08, id, random(100)), header(uint64(id), 9, 46, 35, 0x08, id, random(100)))
	}
	return append(out, edit(firstMessage(48), 19, 0x28), edit(firstMessage(49), 19, 0x20), edit(firstMessage(50), 19, 0))
}

func otherVersions() (out [][]byte) {
	for major := range byte(16) {
		if major != 2 {
			out = append(out, version(firstMessage(51), major), edit(version(firstMessage(52), major), 19, 0x28))
		}
	}
	return append(out, edit(firstMessage(53), 17, 0x2f)) // a higher minor version is none
}

func exchanges() (out [][]byte) {
	for _, x := range []byte{0, 1, 2, 4, 5, 33, 35, 36, 37, 38, 43, 239, 240, 255} {
		out = append(out, edit(firstMessage(54), 18, x), header(55, 56, 46, x, 0x08, 1, random(80)))
	}
	return out
}

func garbage() (out [][]byte) {
	for n := 8; n < 1400; n += 7 {
		out = append(out, random(n), header(rand.Uint64(), 0, byte(rand.IntN(256)), 34, 0x08, 0, random(n)))
	}
	return out
}

// aimed are messages with the SPIs of a live IKE SA, as one sends who has listened.
func aimed(live spis) (out [][]byte) {
	notify := func(kind byte) []byte { return []byte{0, 0, 0, 8, 0, 0, 0, kind} }
	for _, exchange := range []byte{34, 35, 36, 37, 240} {
		for _, flags := range []byte{0x08, 0x28, 0x20, 0} {
			for id := range uint32(6) {
				sk := slices.Concat([]byte{0, 0, 0, 64}, random(60))
				skf := slices.Concat([]byte{0, 0, 0, 68, 0, 1, 0, 2}, random(60))
				out = append(out,
					header(live.i, live.r, 46, exchange, flags, id, sk), header(live.i, live.r, 53, exchange, flags, id, skf),
					header(live.i, live.r, 41, exchange, flags, id, notify(24)), header(live.i, live.r, 41, exchange, flags, id, notify(4)),
					header(live.i, live.r, 42, exchange, flags, id, []byte{0, 0, 0, 8, 1, 0, 0, 0}),
					header(live.i, live.r, 0, exchange, flags, id, nil),
					header(live.i, 0, 46, exchange, flags, id, sk), header(0, live.r, 46, exchange, flags, id, sk))
			}
		}
	}
	return append(out, firstMessage(live.i), firstMessage(live.r))
}
