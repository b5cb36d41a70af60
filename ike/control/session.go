package control

import (
	"bufio"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting is how many packets of a client may wait behind the one that is
// handled. VICI has one command at a time, so that a client has no use for more.
const maxWaiting = 64

// session is one client. Three goroutines serve it: one reads, so that it is seen
// at once when the client goes; one handles packets in order; one writes.
type session struct {
	server *Server
	conn   net.Conn
	out    *outbox
	heard  atomic.Int64 // when it last sent something, in nanoseconds
	busy   atomic.Bool  // a command is under way

	unsubscribe func() // of the goroutine that handles; set while an event of the backend is registered

	mu     sync.Mutex
	events map[string]bool // registered
}

func newSession(s *Server, conn net.Conn) *session {
	c := &session{server: s, conn: conn, out: newOutbox(s.opts.Outbox), events: make(map[string]bool)}
	c.heard.Store(time.Now().UnixNano())
	return c
}

// run serves the client until it goes, breaks the protocol, does not read what is
// written to it, or ctx is done.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	packets := make(chan packet, maxWaiting)
	var parts sync.WaitGroup
	parts.Go(func() { s.read(packets); cancel() })
	parts.Go(func() { s.write(ctx); cancel() })
	s.handleAll(ctx, packets)
	cancel()
	_ = s.conn.Close()
	s.drop()
	parts.Wait()
}

func (s *session) read(packets chan<- packet) {
	r := bufio.NewReader(s.conn)
	for {
		p, err := readPacket(r)
		if err != nil {
			return
		}
		s.heard.Store(time.Now().UnixNano())
		select {
		case packets <- p:
		default:
			return
		}
	}
}

func (s *session) handleAll(ctx context.Context, packets <-chan packet) {
	for {
		select {
		case p := <-packets:
			if s.handle(ctx, p) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) write(ctx context.Context) {
	for {
		packets, lost, err := s.out.take(ctx)
		if err != nil {
			return
		}
		if lost > 0 {
			s.sendEvent("log", lostMessage(lost))
		}
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.server.opts.WriteTimeout)); err != nil {
			return
		}
		buffers := net.Buffers(slices.Clone(packets))
		_, err = buffers.WriteTo(s.conn)
		for _, p := range packets {
			clear(p) // there may be keys in it
		}
		if err != nil {
			return
		}
	}
}

// lostMessage is the log event about lost events.
func lostMessage(lost int) *Message {
	return logMessage(LogLine{Subsystem: "vici", Text: strconv.Itoa(lost) + " events were lost: this client reads too slowly"}, true)
}

var errProtocol = errors.New("the client breaks the protocol")

// handle answers one packet of the client.
func (s *session) handle(ctx context.Context, p packet) error {
	switch p.kind {
	case cmdRequest:
		return s.command(ctx, p)
	case eventRegister, eventUnregister:
		if !knownEvent(p.name) {
			return s.answer(ctx, packet{kind: eventUnknown})
		}
		s.register(p.name, p.kind == eventRegister)
		return s.answer(ctx, packet{kind: eventConfirm})
	}
	return errProtocol
}

func (s *session) command(ctx context.Context, p packet) error {
	run := commands[p.name]
	if run == nil {
		return s.answer(ctx, packet{kind: cmdUnknown})
	}
	s.busy.Store(true)
	defer s.busy.Store(false)
	reply := run(ctx, s, p.message)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.answer(ctx, packet{kind: cmdResponse, message: reply})
}

// answer queues a packet that must not be lost. One that is too large is replaced
// by an error.
func (s *session) answer(ctx context.Context, p packet) error {
	b, err := p.encode()
	if err != nil {
		b, err = packet{kind: cmdResponse, message: failure(err)}.encode()
	}
	if err != nil {
		return err
	}
	return s.out.put(ctx, b)
}

// register adds or removes an event, and follows the backend while an event of
// its is registered.
func (s *session) register(name string, on bool) {
	s.mu.Lock()
	if on {
		s.events[name] = true
	} else {
		delete(s.events, name)
	}
	follow := false
	for e := range s.events {
		follow = follow || backendEvents[e]
	}
	s.mu.Unlock()
	if follow && s.unsubscribe == nil {
		s.unsubscribe = s.server.backend.Subscribe(s.publish)
	}
	if !follow {
		s.drop()
	}
}

// drop ends the subscription, if there is one.
func (s *session) drop() {
	if s.unsubscribe != nil {
		s.unsubscribe()
	}
	s.unsubscribe = nil
}

func (s *session) wants(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[name]
}

// sendEvent sends an event to the client if that is registered and there is room.
func (s *session) sendEvent(name string, m *Message) {
	if !s.wants(name) {
		return
	}
	if b, err := (packet{kind: eventPacket, name: name, message: m}).encode(); err == nil {
		s.out.offer(b)
	}
}

// stream sends an event of a command, whose message build makes of items: one
// event, or several with a part of the items each, where one would be too large.
// It waits for room.
func stream[T any](ctx context.Context, s *session, name string, items []T, build func([]T) *Message) error {
	if !s.wants(name) {
		return nil
	}
	b, err := packet{kind: eventPacket, name: name, message: build(items)}.encode()
	if errors.Is(err, errTooLarge) && len(items) > 1 {
		half := len(items) / 2
		if err := stream(ctx, s, name, items[:half], build); err != nil {
			return err
		}
		return stream(ctx, s, name, items[half:], build)
	}
	if err != nil {
		return err
	}
	return s.out.put(ctx, b)
}
