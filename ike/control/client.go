package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// ErrNoDaemon says that nobody answers at the socket.
var ErrNoDaemon = errors.New("no daemon")

// ErrClosed says that the daemon closed the connection: it ended, or it gave the
// client up.
var ErrClosed = errors.New("the daemon closed the connection")

// ErrUnknown says that the daemon does not know a command or event.
var ErrUnknown = errors.New("not known to the daemon")

// Client is a VICI client. It is not for concurrent use. After an error of the
// connection or a done context it is of no further use but to be closed.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	path string
}

// Dial connects to the daemon at a Unix socket. The error wraps ErrNoDaemon when
// nobody listens there.
func Dial(path string) (*Client, error) {
	conn, err := net.DialTimeout("unix", path, dialTime)
	switch {
	case err == nil:
		return &Client{conn: conn, r: bufio.NewReader(conn), path: path}, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w at %s: %w", ErrNoDaemon, path, reason(err))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: not permitted: only root and members of the socket's group may use it", path)
	}
	return nil, fmt.Errorf("control socket %s: %w", path, reason(err))
}

// reason is the innermost error, without the addresses around it.
func reason(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Call sends a command and returns the answer. An answer that says success=no is
// an error with its errmsg; the answer is returned too.
func (c *Client) Call(ctx context.Context, command string, args *Message) (*Message, error) {
	return c.Stream(ctx, command, nil, args, nil)
}

// Stream is Call for a command that sends events before its answer: they are
// registered, and given to fn in order.
func (c *Client) Stream(ctx context.Context, command string, events []string, args *Message, fn func(event string, m *Message)) (*Message, error) {
	defer c.bound(ctx)()
	if err := c.registerAll(ctx, events, eventRegister, fn); err != nil {
		return nil, err
	}
	p, err := c.exchange(ctx, packet{kind: cmdRequest, name: command, message: args}, fn)
	if err != nil {
		return nil, err
	}
	if p.kind == cmdUnknown {
		return nil, fmt.Errorf("command %s: %w", command, ErrUnknown)
	}
	if err := c.registerAll(ctx, events, eventUnregister, fn); err != nil {
		return nil, err
	}
	if p.message.Get("success") == "no" {
		return p.message, &CommandError{Text: p.message.Get("errmsg")}
	}
	return p.message, nil
}

// CommandError is what the daemon says when it could not do as told.
type CommandError struct{ Text string }

func (e *CommandError) Error() string { return e.Text }

// Subscribe gives events to fn until ctx is done, which is no error, or the
// connection fails.
func (c *Client) Subscribe(ctx context.Context, events []string, fn func(event string, m *Message)) error {
	return c.SubscribeThen(ctx, events, func() error { return nil }, fn)
}

// SubscribeThen is Subscribe that calls then as soon as no event can be missed any more;
// its error ends the subscription.
func (c *Client) SubscribeThen(ctx context.Context, events []string, then func() error, fn func(event string, m *Message)) error {
	defer c.bound(ctx)()
	if err := c.registerAll(ctx, events, eventRegister, fn); ctx.Err() != nil {
		return nil
	} else if err != nil {
		return err
	}
	if err := then(); err != nil {
		return err
	}
	for {
		p, err := readPacket(c.r)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return c.failed(ctx, err)
		case p.kind != eventPacket:
			return malformed("a packet of type %d where events were expected", p.kind)
		}
		fn(p.name, p.message)
	}
}

// bound makes the end of ctx end reading and writing, until the returned function
// is called.
func (c *Client) bound(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

func (c *Client) registerAll(ctx context.Context, events []string, kind packetType, fn func(string, *Message)) error {
	for _, name := range events {
		p, err := c.exchange(ctx, packet{kind: kind, name: name}, fn)
		if err != nil {
			return err
		}
		if p.kind != eventConfirm {
			return fmt.Errorf("event %s: %w", name, ErrUnknown)
		}
	}
	return nil
}

// exchange sends a packet and returns the one that answers it. Events that come
// before that go to fn.
func (c *Client) exchange(ctx context.Context, p packet, fn func(string, *Message)) (packet, error) {
	b, err := p.encode()
	if err != nil {
		return packet{}, err
	}
	if _, err := c.conn.Write(b); err != nil {
		return packet{}, c.failed(ctx, err)
	}
	for {
		answer, err := readPacket(c.r)
		if err != nil {
			return packet{}, c.failed(ctx, err)
		}
		if answer.kind != eventPacket {
			return answer, expect(p.kind, answer.kind)
		}
		if fn != nil {
			fn(answer.name, answer.message)
		}
	}
}

// expect says what may answer what.
func expect(asked, got packetType) error {
	ok := got == eventConfirm || got == eventUnknown
	if asked == cmdRequest {
		ok = got == cmdResponse || got == cmdUnknown
	}
	if !ok {
		return malformed("a packet of type %d as the answer to one of type %d", got, asked)
	}
	return nil
}

// failed makes an error of the connection one for people.
func (c *Client) failed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("control socket %s: %w", c.path, ErrClosed)
	}
	return fmt.Errorf("control socket %s: %w", c.path, err)
}
