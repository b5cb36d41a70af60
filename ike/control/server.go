package control

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Options bound what clients can take up; zero values stand for the defaults.
type Options struct {
	Clients      int           // connections at once; 256
	WriteTimeout time.Duration // for a client to read what waits for it; 10 s
	Outbox       int           // octets that may wait for a client; 1 MB
	Loader       Loader        // keeps what clients load; nil: they cannot
}

func (o Options) withDefaults() Options {
	if o.Clients <= 0 {
		o.Clients = 256
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.Outbox <= 0 {
		o.Outbox = 1 << 20
	}
	return o
}

// Server answers VICI clients from a Backend.
type Server struct {
	backend Backend
	opts    Options
	clients clients
}

// NewServer makes a server.
func NewServer(backend Backend, opts Options) *Server {
	return &Server{backend: backend, opts: opts.withDefaults(), clients: clients{all: make(map[*session]bool)}}
}

// acceptPause is the wait after an error that may pass, such as a lack of file
// descriptors.
const acceptPause = 100 * time.Millisecond

// Serve answers the clients of a listener until ctx is done or the listener fails,
// and returns when all of them are gone. It closes the listener. Once ctx is done
// the error is nil. When there are too many clients, the one that has been silent
// for longest gives way to the next, unless a command of its is under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	slots := make(chan struct{}, s.opts.Clients)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if !passing(err) {
				return errors.Join(err, l.Close())
			}
			pause(ctx)
			continue
		}
		if !s.admit(ctx, slots) {
			_ = conn.Close() // too many
			continue
		}
		client := newSession(s, conn)
		s.clients.add(client)
		clients.Go(func() {
			client.run(ctx)
			s.clients.remove(client)
			<-slots
		})
	}
}

// admit takes a place for another client.
func (s *Server) admit(ctx context.Context, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	if !s.clients.dismiss() {
		return false
	}
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// passing tells whether accepting may work again later.
func passing(err error) bool {
	var e net.Error
	return errors.As(err, &e) && !errors.Is(err, net.ErrClosed)
}

func pause(ctx context.Context) {
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
