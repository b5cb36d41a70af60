package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func serve(t *testing.T, gather Gather) (*Server, string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, gather, func(text string) { t.Error(text) })
	t.Cleanup(s.Close)
	return s, l.Addr().String()
}

func onePage(context.Context) *Page {
	p := &Page{}
	p.Family("goike_x", Gauge, "x")
	p.Sample(1)
	return p
}

// ask sends a request as it stands and returns the status line and the body.
func ask(t *testing.T, addr, request string) (status int, body string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body) // who refuses a request unread resets the connection
	return resp.StatusCode, string(b)
}

func TestServe(t *testing.T) {
	_, addr := serve(t, onePage)
	const rest = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for request, want := range map[string]int{
		"GET /metrics" + rest: 200, "GET /metrics?x=y" + rest: 200, "GET /" + rest: 404, "GET /metrics/" + rest: 404, "GET /debug/pprof/" + rest: 404,
		"POST /metrics" + rest: 405, "DELETE /metrics" + rest: 405, "rubbish\r\n\r\n": 400,
		"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 12600) + "\r\n\r\n": 431,
	} {
		status, body := ask(t, addr, request)
		if status != want {
			t.Errorf("%.40q: %d, want %d", request, status, want)
		}
		if has := strings.Contains(body, "goike_x 1\n"); has != (want == 200) {
			t.Errorf("%.40q: body %q", request, body)
		}
	}
}

// Scrapes come one after another, and few of them wait; the others are told so.
func TestScrapesAreBounded(t *testing.T) {
	begun, end := make(chan struct{}, 100), make(chan struct{})
	var s *Server
	s, _ = serve(t, func(ctx context.Context) *Page {
		begun <- struct{}{}
		<-end
		return onePage(ctx)
	})
	pages := make(chan *Page, 1+maxWaiting)
	var all sync.WaitGroup
	for range 1 + maxWaiting {
		all.Go(func() { pages <- s.scrape(context.Background()) })
	}
	<-begun
	for len(s.places) < cap(s.places) { // the others take their places without more ado
		select {
		case p := <-pages:
			t.Fatalf("a scrape has ended: %v", p)
		default:
		}
	}
	if p := s.scrape(t.Context()); p != nil {
		t.Error("one scrape too many")
	}
	if len(begun) != 0 {
		t.Error("two scrapes at a time")
	}
	close(end)
	all.Wait()
	for range 1 + maxWaiting {
		if <-pages == nil {
			t.Error("a scrape that waited got nothing")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.one <- struct{}{}
	cancel()
	if s.scrape(ctx) != nil {
		t.Error("a scrape whose client is gone got something")
	}
	<-s.one
}

// Connections beyond the limit are closed; when some end there is room again. Those that
// are idle do not hold up the end.
func TestConnectionsAreBounded(t *testing.T) {
	s, addr := serve(t, onePage)
	var conns []net.Conn
	for range maxClients {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		conns = append(conns, conn)
	}
	refused, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = refused.Close() }()
	if n, err := refused.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d octets from a connection too many", n)
	}
	// One of the many still works.
	_, _ = fmt.Fprint(conns[0], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conns[0]), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	s.Close()
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr); err == nil {
		t.Error("still there")
	}
}
