package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/udp"
)

func TestIKEMessagesArrive(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	for _, f := range families {
		s := socket(t, peer, at(f.peer, 1234), false)
		for _, tc := range []struct {
			port uint16
			to   netip.Addr
			wire func([]byte) []byte
		}{
			{ike.Port, f.daemon, bytes.Clone},
			{ike.Port, f.also, bytes.Clone},
			{ike.NATTPort, f.daemon, marked},
			{ike.NATTPort, f.also, marked},
		} {
			first, second := message("a", 300), message("b", 300)
			write(t, s, udp.Packet{Data: tc.wire(first), Remote: at(tc.to, tc.port)})
			got := d.ike.take(t, 1)[0]
			write(t, s, udp.Packet{Data: tc.wire(second), Remote: at(tc.to, tc.port)})
			also := d.ike.take(t, 1)[0]
			if !bytes.Equal(got.Data, first) || !bytes.Equal(also.Data, second) {
				t.Errorf("%s: the messages to %s port %d are not what was sent", f.name, tc.to, tc.port)
			}
			want := ike.Path{Local: at(tc.to, tc.port), Remote: at(f.peer, 1234)}
			if got.Path != want {
				t.Errorf("%s: path %v, want %v", f.name, got.Path, want)
			}
		}
	}
	wantCount(t, d.Transport, "ike_received", 16)
	wantCount(t, d.Transport, "ike_malformed", 0)
}

// Paths have the ports of the protocol, whatever the sockets have.
func TestOtherPorts(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{Port: 1500, NATTPort: 14500})
	for _, f := range families {
		s := socket(t, peer, at(f.peer, 1234), false)
		write(t, s, udp.Packet{Data: message("a", 40), Remote: at(f.daemon, 1500)})
		plain := d.ike.take(t, 1)[0]
		write(t, s, udp.Packet{Data: marked(message("b", 40)), Remote: at(f.daemon, 14500)})
		natt := d.ike.take(t, 1)[0]
		if plain.Path.Local != at(f.daemon, ike.Port) || natt.Path.Local != at(f.daemon, ike.NATTPort) {
			t.Errorf("%s: local %s and %s", f.name, plain.Path.Local, natt.Path.Local)
		}
		d.Send([]ike.Send{{Path: plain.Path, Data: plain.Data}, {Path: natt.Path, Data: natt.Data}})
		for _, want := range []struct {
			port uint16
			data []byte
		}{{1500, message("a", 40)}, {14500, marked(message("b", 40))}} {
			if p := receive(t, s, 1)[0]; p.Remote != at(f.daemon, want.port) || !bytes.Equal(p.Data, want.data) {
				t.Errorf("%s: %q from %s, want port %d", f.name, p.Data, p.Remote, want.port)
			}
		}
	}
}

func TestWhatIsNoMessageIsNotDelivered(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	long := message("x", 100)
	long[lengthAt+3]++
	tiny := message("x", 40)
	tiny[lengthAt+3] = headerLen - 1
	for _, f := range families {
		s := socket(t, peer, at(f.peer, 1234), false)
		for _, data := range [][]byte{
			nil, []byte("x"), message("x", 28)[:27], long, tiny, // all malformed but the first
		} {
			write(t, s, udp.Packet{Data: data, Remote: at(f.daemon, ike.Port)})
		}
		last := message("z", 28)
		write(t, s, udp.Packet{Data: last, Remote: at(f.daemon, ike.Port)})
		if got := d.ike.take(t, 1)[0]; !bytes.Equal(got.Data, last) {
			t.Errorf("%s: %q was delivered", f.name, got.Data)
		}
		for _, data := range [][]byte{
			nil, {0xff}, {0}, {0, 0, 0}, // keepalives
			marked(nil), marked([]byte("x")), marked(long), // the first is nothing
		} {
			write(t, s, udp.Packet{Data: data, Remote: at(f.daemon, ike.NATTPort)})
		}
		write(t, s, udp.Packet{Data: marked(last), Remote: at(f.daemon, ike.NATTPort)})
		if got := d.ike.take(t, 1)[0]; !bytes.Equal(got.Data, last) {
			t.Errorf("%s: %q was delivered", f.name, got.Data)
		}
	}
	wantCount(t, d.Transport, "ike_malformed", 2*(4+2))
	if n := d.esp.len(); n != 0 {
		t.Errorf("%d ESP packets", n)
	}
}

func TestLargestMessage(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	for i, f := range families {
		most := 65535 - 8
		if i == 0 {
			most -= 20
		}
		s := socket(t, peer, at(f.peer, 1234), false)
		for _, port := range []uint16{ike.Port, ike.NATTPort} {
			want, wire := message("m", most), message("m", most)
			if port == ike.NATTPort {
				want = message("m", most-udp.MarkerLen)
				wire = marked(want)
			}
			write(t, s, udp.Packet{Data: wire, Remote: at(f.daemon, port)})
			got := d.ike.take(t, 1)[0]
			if !bytes.Equal(got.Data, want) {
				t.Errorf("%s: %d octets, want %d", f.name, len(got.Data), len(want))
			}
			d.Send([]ike.Send{{Path: got.Path, Data: got.Data}})
			if p := receive(t, s, 1)[0]; !bytes.Equal(p.Data, wire) {
				t.Errorf("%s: %d octets came back, want %d", f.name, len(p.Data), len(wire))
			}
		}
	}
}

// ESP of both kinds goes to its own function, IKE in between to the engine.
func TestESPArrives(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	for _, f := range families {
		s := socket(t, peer, at(f.peer, 4500), false)
		var ps []udp.Packet
		for i := range 50 {
			data := bytes.Repeat([]byte{byte(i + 1)}, 200)
			if i == 20 {
				data = marked(message("k", 196))
			}
			ps = append(ps, udp.Packet{Data: data, Remote: at(f.daemon, ike.NATTPort), TOS: 2})
		}
		write(t, s, ps...)
		if got := d.ike.take(t, 1)[0]; !bytes.Equal(got.Data, message("k", 196)) {
			t.Errorf("%s: message %q", f.name, got.Data)
		}
		got := d.esp.take(t, 49)
		for i, p := range append(ps[:20:20], ps[21:]...) {
			if g := got[i]; !bytes.Equal(g.Data, p.Data) || g.Remote != at(f.peer, 4500) || g.Local != at(f.daemon, ike.NATTPort) || g.TOS != 2 {
				t.Fatalf("%s: ESP packet %d came as %+v", f.name, i, g)
			}
		}
		raw := socket(t, peer, at(f.peer, 0), true)
		write(t, raw, udp.Packet{Data: []byte("an ESP packet"), Remote: at(f.also, 0)}, udp.Packet{Remote: at(f.also, 0)},
			udp.Packet{Data: []byte("another"), Remote: at(f.daemon, 0)})
		both := d.raw.take(t, 2)
		if string(both[0].Data) != "an ESP packet" || both[0].Local.Addr() != f.also || string(both[1].Data) != "another" || both[1].Remote.Addr() != f.peer {
			t.Errorf("%s: raw ESP came as %+v", f.name, both)
		}
	}
	wantCount(t, d.Transport, "esp_raw_malformed", 2)
	wantCount(t, d.Transport, "esp_udp_dropped", 0)
}

func TestESPIsDroppedWhenNobodyWantsIt(t *testing.T) {
	host, peer := newHosts(t)
	d := &daemon{ike: newInbox[ike.Datagram]()}
	err := host.Do(func() (err error) {
		d.Transport, err = Open(t.Context(), Options{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, func(dgs []ike.Datagram) { d.ike.put(dgs...) }) }()
	s := socket(t, peer, at(families[0].peer, 4500), false)
	to := at(families[0].daemon, ike.NATTPort)
	write(t, s, udp.Packet{Data: []byte("ESP packet"), Remote: to}, udp.Packet{Data: marked(message("k", 28)), Remote: to})
	d.ike.take(t, 1)
	cancel()
	if err := errors.Join(<-done, d.Close()); err != nil {
		t.Error(err)
	}
	wantCount(t, d.Transport, "esp_udp_dropped", 1)
	if err := d.WriteRaw([]udp.Packet{{Data: []byte("x"), Remote: at(families[0].peer, 0)}}); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("raw ESP without a raw socket: %v", err)
	}
}

// With Encap the kernel takes ESP and keepalives away.
func TestEncap(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{Encap: true, ESP: func(ps []udp.Packet) { t.Errorf("%d ESP packets", len(ps)) }})
	for _, f := range families {
		s := socket(t, peer, at(f.peer, 4500), false)
		to := at(f.daemon, ike.NATTPort)
		write(t, s, udp.Packet{Data: []byte{0xff}, Remote: to}, udp.Packet{Data: []byte("ESP packet"), Remote: to},
			udp.Packet{Data: marked(message("k", 28)), Remote: to})
		if got := d.ike.take(t, 1)[0]; !bytes.Equal(got.Data, message("k", 28)) {
			t.Errorf("%s: %q", f.name, got.Data)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	host, peer := newHosts(t)
	d := start(t, host, Options{})
	d.stop()
	err := <-d.done
	d.done <- nil
	if err != nil {
		t.Errorf("got %v", err)
	}
	// What is left to be said is still sent.
	for _, f := range families {
		s := socket(t, peer, at(f.peer, ike.Port), false)
		d.Send([]ike.Send{{Path: ike.Path{Local: at(f.daemon, ike.Port), Remote: at(f.peer, ike.Port)}, Data: message("x", 28)}})
		receive(t, s, 1)
	}
}

func TestServeEndsWhenClosed(t *testing.T) {
	host, _ := newHosts(t)
	d := start(t, host, Options{})
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	err := <-d.done
	d.done <- nil
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	d.Send([]ike.Send{{Path: ike.Path{Local: at(families[0].daemon, ike.Port), Remote: at(families[0].peer, ike.Port)}, Data: message("x", 28)}})
	wantCount(t, d.Transport, "ike_send_errors", 1)
	if err := d.WriteUDP([]udp.Packet{{Data: []byte("x"), Remote: at(families[1].peer, 4500)}}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// faulty fails some times before it delivers, and then is closed.
type faulty struct{ errs []error }

func (f *faulty) ReadBatch(ps []udp.Packet) (int, error) {
	if len(f.errs) == 0 {
		return 0, fmt.Errorf("reading: %w", net.ErrClosed)
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	if err != nil {
		return 0, err
	}
	ps[0].Data = append(ps[0].Data[:0], "data"...)
	return 1, nil
}

func TestErrorsOfReadingAreNotTheEnd(t *testing.T) {
	var tr Transport
	warnings := newInbox[string]()
	tr.warnings.out = func(s string) { warnings.put(s) }
	got := 0
	s := &faulty{errs: []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, nil, syscall.ECONNREFUSED, nil, errors.New("odd")}}
	err := tr.read(t.Context(), s, func(ps []udp.Packet) {
		if len(ps) == 1 && string(ps[0].Data) == "data" {
			got++
		}
	})
	if !errors.Is(err, net.ErrClosed) || got != 2 {
		t.Errorf("%d packets, error %v", got, err)
	}
	wantCount(t, &tr, "read_errors", 4)
	if w := warnings.take(t, 3); w[0] != "receiving failed: connection refused" {
		t.Errorf("warnings %q", w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.read(ctx, s, nil); err != nil {
		t.Errorf("after its end: %v", err)
	}
	if pause(ctx, 100) {
		t.Error("a pause goes on after the end")
	}
}

// A flood of garbage is not worth one allocation.
func TestGarbageIsNotCopied(t *testing.T) {
	var tr Transport
	r := tr.newReceiver(ike.NATTPort, func(dgs []ike.Datagram) { t.Errorf("%d messages", len(dgs)) })
	large := marked(bytes.Repeat([]byte{'x'}, 60000))
	ps := []udp.Packet{
		{Data: large}, {Data: []byte{0xff}}, {Data: []byte("ESP of no SA")}, {Data: marked([]byte("short"))},
		{Data: append(bytes.Clone(large), large...), Seg: len(large)},
	}
	if n := testing.AllocsPerRun(100, func() { r.natt(ps) }); n != 0 {
		t.Errorf("%v allocations in port 4500's reader", n)
	}
	if n := testing.AllocsPerRun(100, func() { r.plain(ps) }); n != 0 {
		t.Errorf("%v allocations in port 500's reader", n)
	}
}

// ESP goes from the socket to its function without an allocation.
func TestESPIsNotCopied(t *testing.T) {
	var tr Transport
	seen := 0
	tr.opts.ESP = func(ps []udp.Packet) { seen += len(ps) }
	tr.opts.RawESP = tr.opts.ESP
	r := tr.newReceiver(ike.NATTPort, nil)
	ps := []udp.Packet{{Data: []byte("an ESP packet and another one."), Seg: 14}, {Data: []byte("more")}}
	n := testing.AllocsPerRun(100, func() {
		r.natt(ps)
		tr.rawESP(ps)
	})
	if n != 0 || seen != 101*4 {
		t.Errorf("%v allocations, %d packets", n, seen)
	}
}
