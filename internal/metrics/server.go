package metrics

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Path is where metrics are.
const Path = "/metrics"

// What clients can take up. Nobody but Prometheus has anything to do here.
const (
	maxClients  = 32
	maxWaiting  = 4 // scrapes that wait for the one under way
	maxHeader   = 8 << 10
	readTime    = 5 * time.Second
	gatherTime  = 15 * time.Second
	writeTime   = 30 * time.Second // gathering included
	idleTime    = 2 * time.Minute
	closingTime = 2 * time.Second
)

// Gather makes a page. It is called once at a time, and ends with ctx.
type Gather func(ctx context.Context) *Page

// Server serves metrics. Close it.
type Server struct {
	gather  Gather
	http    *http.Server
	places  chan struct{} // scrapes that are under way or wait
	one     chan struct{} // the one under way
	serving sync.WaitGroup
}

// Serve answers scrapes at a listener, which it closes at the end. warn is told when
// the listener fails.
func Serve(l net.Listener, gather Gather, warn func(text string)) *Server {
	s := &Server{gather: gather, places: make(chan struct{}, 1+maxWaiting), one: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc(Path, s.answer)
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: readTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0),
	}
	s.serving.Go(func() {
		if err := s.http.Serve(&limited{Listener: l, places: make(chan struct{}, maxClients)}); !errors.Is(err, http.ErrServerClosed) {
			warn("metrics are not served any more: " + err.Error())
		}
	})
	return s
}

// Close ends the server: scrapes under way have a moment to end.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closingTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.serving.Wait()
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET is answered", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), gatherTime)
	defer cancel()
	page := s.scrape(ctx)
	if page == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(page.Bytes())))
	_, _ = w.Write(page.Bytes())
}

// scrape gathers a page; nil when others are before it for too long.
func (s *Server) scrape(ctx context.Context) *Page {
	select {
	case s.places <- struct{}{}:
	default:
		return nil
	}
	defer func() { <-s.places }()
	select {
	case s.one <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-s.one }()
	return s.gather(ctx)
}

// limited is a listener with so many connections at once; further ones are closed.
type limited struct {
	net.Listener
	places chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &limitedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = conn.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}
