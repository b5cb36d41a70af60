package control

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long tests wait for what must happen.
const patience = 10 * time.Second

// serve serves a backend on a socket until the end of the test.
func serve(t testing.TB, b Backend, o Options) (path string) {
	t.Helper()
	dir := socketPath(t.(*testing.T))
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- NewServer(b, o).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return dir
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ask calls a command and returns its events and answer, one a line.
func ask(t *testing.T, c *Client, command string, events []string, args ...string) string {
	t.Helper()
	m := &Message{}
	for i := 0; i < len(args); i += 2 {
		m.Set(args[i], args[i+1])
	}
	var lines []string
	reply, err := c.Stream(within(t), command, events, m, func(e string, m *Message) { lines = append(lines, e+" "+m.String()) })
	var failed *CommandError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.Join(append(lines, reply.String()), "\n")
}

// A client that goes while it waits ends its waiting.
func TestDisconnectEndsWaiting(t *testing.T) {
	f := newFake()
	f.block = true
	c := dial(t, serve(t, f, Options{}))
	ctx, cancel := context.WithCancel(within(t))
	f.set(func() { f.steps = []LogLine{{Text: "begun"}} })
	m := &Message{}
	m.Set("child", "lan")
	_, err := c.Stream(ctx, "initiate", []string{"control-log"}, m, func(string, *Message) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Stream: %v", err)
	}
	select {
	case <-f.left:
		t.Error("waiting ended while the client was there")
	default:
	}
	_ = c.Close()
	select {
	case <-f.left:
	case <-time.After(patience):
		t.Error("it still waits")
	}
}

// Requests of one client are answered in order, also when they come at once.
func TestPipelined(t *testing.T) {
	path := serve(t, newFake(), Options{})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var out []byte
	want := []packetType{cmdResponse, eventConfirm, cmdUnknown, eventUnknown, eventConfirm, cmdResponse}
	for _, p := range []packet{
		{kind: cmdRequest, name: "version"}, {kind: eventRegister, name: "log"}, {kind: cmdRequest, name: "nonsense"},
		{kind: eventRegister, name: "nonsense"}, {kind: eventUnregister, name: "log"}, {kind: cmdRequest, name: "stats"},
	} {
		b, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	for i, kind := range want {
		p, err := readPacket(conn)
		if err != nil || p.kind != kind {
			t.Fatalf("answer %d is of type %d, want %d: %v", i, p.kind, kind, err)
		}
	}
}

// Who breaks the protocol is disconnected; others are not.
func TestProtocolErrors(t *testing.T) {
	path := serve(t, newFake(), Options{})
	good := dial(t, path)
	register := strings.Repeat("\x00\x00\x00\x05\x03\x03log", maxWaiting*4)
	for name, in := range map[string]string{
		"no packet": "GET / HTTP/1.1\r\n\r\n", "a response": "\x00\x00\x00\x01\x01", "an event": "\x00\x00\x00\x05\x07\x03log",
		"bad message": "\x00\x00\x00\x0a\x00\x07version\x05", "empty packet": "\x00\x00\x00\x00", "flood that nobody reads": strings.Repeat(register, 200),
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = io.WriteString(conn, in)
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: still connected", name)
		}
		_ = conn.Close()
	}
	if got := ask(t, good, "get-pools", nil); got != "{}" {
		t.Error(got)
	}
}

// When there are too many clients, the one that has been silent for longest gives
// way; one whose command is under way does not.
func TestTooManyClients(t *testing.T) {
	f := newFake()
	path := serve(t, f, Options{Clients: 2})
	a, b := dial(t, path), dial(t, path)
	for _, c := range []*Client{a, b} {
		ask(t, c, "version", nil)
	}
	ask(t, dial(t, path), "version", nil)
	if _, err := a.Call(within(t), "version", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("the first, when there is a third: %v", err)
	}
	ask(t, b, "version", nil)
}

func TestTooManyBusyClients(t *testing.T) {
	f := newFake()
	f.block = true
	path := serve(t, f, Options{Clients: 1})
	busy := dial(t, path)
	m := &Message{}
	m.Set("child", "lan")
	begun, ended := make(chan struct{}), make(chan error, 1)
	f.set(func() { f.steps = []LogLine{{Text: "begun"}} })
	go func() {
		_, err := busy.Stream(within(t), "initiate", []string{"control-log"}, m, func(string, *Message) { close(begun) })
		ended <- err
	}()
	<-begun
	if _, err := dial(t, path).Call(within(t), "version", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("the second: %v", err)
	}
	_ = busy.Close()
	if err := <-ended; err == nil {
		t.Error("the command has ended")
	}
	eventually(t, "the place of a client that went", func() bool {
		c, err := Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_, err = c.Call(within(t), "version", nil)
		return err == nil
	})
}

// A client that does not read is disconnected. Neither the backend nor other
// clients wait for it.
func TestSlowReader(t *testing.T) {
	f := newFake()
	path := serve(t, f, Options{WriteTimeout: 300 * time.Millisecond, Outbox: 64 << 10})
	slow, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	b, err := packet{kind: eventRegister, name: "log"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Write(b); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription", func() bool { return f.publish(Event{}) == 1 })
	line := LogLine{Text: strings.Repeat("x", 1000)}
	good := dial(t, path)
	eventually(t, "the end of the slow client", func() bool {
		begun := time.Now()
		n := 1
		for range 200 {
			n = f.publish(Event{Log: &line})
		}
		if took := time.Since(begun); took > patience/2 {
			t.Fatalf("the backend was held up for %s", took)
		}
		ask(t, good, "version", nil)
		return n == 0
	})
}

// A client that reads too slowly loses events, and is told how many.
func TestLostEvents(t *testing.T) {
	o := newOutbox(1000)
	for range 10 {
		o.offer(make([]byte, 100))
	}
	if err := o.put(within(t), make([]byte, 400)); err != nil { // answers have room of their own
		t.Fatal(err)
	}
	packets, lost, err := o.take(within(t))
	if err != nil || len(packets) != 6 || lost != 5 {
		t.Errorf("%d packets, %d lost: %v", len(packets), lost, err)
	}
	if got := lostMessage(5).String(); got != "{group=VICI level=0 thread=0 msg=5 events were lost: this client reads too slowly}" {
		t.Error(got)
	}
	// Answers wait for room.
	if err := o.put(within(t), make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := o.put(ctx, make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a full outbox: %v", err)
	}
	var putter sync.WaitGroup
	putter.Go(func() { _ = o.put(context.Background(), make([]byte, 1)) })
	if packets, _, err := o.take(within(t)); err != nil || len(packets) == 0 {
		t.Error(err)
	}
	putter.Wait()
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("%s has not come", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// A listener that fails ends the server; clients are let go.
func TestServeEnds(t *testing.T) {
	l, err := Listen(socketPath(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- NewServer(newFake(), Options{}).Serve(context.Background(), l) }()
	c := dial(t, l.Addr().String())
	ask(t, c, "version", nil)
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := c.Call(within(t), "version", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Call: %v", err)
	}
}

// FuzzServer writes arbitrary octets to the server, which must neither fail nor
// forget the client.
func FuzzServer(f *testing.F) {
	for _, p := range []packet{
		{kind: cmdRequest, name: "version"}, {kind: cmdRequest, name: "stats"}, {kind: cmdRequest, name: "list-sas"},
		{kind: eventRegister, name: "list-sa"}, {kind: eventUnregister, name: "log"}, {kind: cmdRequest, name: "goike-status"},
		{kind: cmdRequest, name: "terminate", message: exampleMessage()}, {kind: cmdRequest, name: "initiate", message: exampleMessage()},
		{kind: cmdRequest, name: "load-conn", message: tree("version", "2", "site")}, {kind: cmdRequest, name: "load-conn", message: exampleMessage()},
		{kind: cmdRequest, name: "load-shared", message: sharedMessage()}, {kind: cmdRequest, name: "load-pool", message: tree("addrs", "10.0.0.0/8", "p")},
		{kind: cmdRequest, name: "rekey", message: exampleMessage()}, {kind: cmdRequest, name: "get-counters"}, {kind: eventRegister, name: "child-state-installed"},
	} {
		b, err := p.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add([]byte("\x00\x00\x00\x09\x03\x07list-sa\x00\x00\x00\x0a\x00\x08list-sas"))
	f.Add([]byte("\x00\x00\x00\x00"))
	server := NewServer(newFake(), Options{Loader: discard{}})
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		var parts sync.WaitGroup
		parts.Go(func() { newSession(server, theirs).run(context.Background()) })
		parts.Go(func() { _, _ = io.Copy(io.Discard, ours) })
		_ = ours.SetWriteDeadline(time.Now().Add(patience))
		_, _ = ours.Write(b)
		_ = ours.Close()
		parts.Wait()
	})
}

var _ Backend = (*fake)(nil)
