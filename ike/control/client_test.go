package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
)

// The daemon can answer anything; the client says so, and takes no harm.
func TestClientAgainstNonsense(t *testing.T) {
	for name, answer := range map[string]string{
		"event instead of answer, then end": "\x00\x00\x00\x05\x07\x03log",
		"request as answer":                 "\x00\x00\x00\x09\x00\x07version",
		"confirmation as answer":            "\x00\x00\x00\x01\x05",
		"no packet":                         "\xff\xff\xff\xff",
		"nothing":                           "",
	} {
		path := socketPath(t)
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		var server sync.WaitGroup
		server.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = readPacket(conn)
			_, _ = io.Copy(conn, bytes.NewReader([]byte(answer)))
			_ = conn.Close()
		})
		c := dial(t, path)
		if m, err := c.Call(within(t), "version", nil); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
		server.Wait()
		_ = l.Close()
	}
}

// Who ends before the daemon has confirmed anything ends all the same without an error.
func TestSubscriptionEndsEarly(t *testing.T) {
	path := socketPath(t)
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var server sync.WaitGroup
	server.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = readPacket(conn)
		cancel()
		_, _ = io.Copy(io.Discard, conn) // until the client goes
		_ = conn.Close()
	})
	c := dial(t, path)
	if err := c.Subscribe(ctx, []string{"log"}, func(string, *Message) {}); err != nil {
		t.Error(err)
	}
	_ = c.Close()
	server.Wait()
}
