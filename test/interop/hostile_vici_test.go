//go:build linux

package interop

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Clients of the control socket that break the protocol, go away half-way, do not
// read, or come in thousands: `goikectl status` works meanwhile, and afterwards
// nothing is left of them.
func TestHostileClients(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.start(t), a.startQuiet(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	sa := agree(t, ga, gb, 1)
	before := usage(t, ga)
	for _, c := range []struct {
		name  string
		many  int
		write []byte
	}{
		{"no VICI", 50, []byte("GET / HTTP/1.1\r\nHost: goiked\r\n\r\n")},
		{"random", 50, random(4096)},
		{"no packet", 50, []byte{0, 0, 0, 0}},
		{"largest length", 50, []byte{0xff, 0xff, 0xff, 0xff, 0}},
		{"half a length", 500, []byte{0, 0}},
		{"half a packet", 500, append([]byte{0, 7, 0xff, 0, 0}, random(100)...)},
		{"packets for the client", 50, vici(7, "log", nil)},
		{"deep sections", 50, vici(0, "stats", []byte(strings.Repeat("\x01\x01a", 100000)))},
		{"a name that is cut off", 50, []byte{0, 0, 0, 3, 0, 9, 'a'}},
		{"many requests, no reading", 20, repeat(vici(0, "list-conns", nil), 5000)},
		{"subscribers that do not read", 100, append(vici(3, "log", nil), vici(3, "list-conn", nil)...)},
		{"thousands", 3000, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var open []net.Conn
			defer func() {
				for _, conn := range open {
					_ = conn.Close()
				}
			}()
			for range c.many {
				conn, err := net.Dial("unix", ga.Socket())
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, conn)
				_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
				_, _ = conn.Write(c.write) // it may be disconnected already
			}
			begun := time.Now()
			w.goesOn(t, ga, gb, sa)
			if out, _, err := ga.Ctl("status"); err != nil || !strings.Contains(out, "site") {
				t.Errorf("goikectl status: %v %s", err, out)
			}
			if took := time.Since(begun); took > 2*wait {
				t.Errorf("it took %s", took)
			}
		})
	}
	bounded(t, ga, before)
}

// Who has subscribed and does not read is disconnected in the end, and holds up
// nobody.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	b.start(t)
	ga := a.start(t) // with the log of all details
	conn, err := net.Dial("unix", ga.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, event := range []string{"log", "ike-updown", "child-updown"} {
		if _, err := conn.Write(vici(3, event, nil)); err != nil {
			t.Fatal(err)
		}
	}
	before := usage(t, ga)
	for range 30 {
		if err := errors.Join(ga.Up("lan"), ga.Down()); err != nil {
			t.Fatal(err)
		}
	}
	bounded(t, ga, resources{rss: before.rss, threads: before.threads, files: before.files, goroutines: before.goroutines, lines: 1 << 20})
	// What it was sent is whole packets.
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	got, err := io.ReadAll(conn)
	var timeout net.Error
	if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
		t.Error(err)
	}
	if n := packets(got); n < 100 {
		t.Errorf("%d packets in %d octets", n, len(got))
	}
}

// vici is a VICI packet of a type that carries a name.
func vici(kind byte, name string, message []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(2+len(name)+len(message)))
	b = append(b, kind, byte(len(name)))
	return append(append(b, name...), message...)
}

// packets counts the whole packets.
func packets(b []byte) (n int) {
	for len(b) >= 4 {
		size := 4 + int(binary.BigEndian.Uint32(b))
		if len(b) < size {
			return n
		}
		b = b[size:]
		n++
	}
	return n
}

func repeat(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }
