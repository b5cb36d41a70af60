//go:build linux

package lab

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// The ports of the virtual machine, and what is said on the one for control.
const (
	portConsole = "console"
	portControl = "control"

	controlUp   = "up"
	controlExit = "exit %d %d %d" // code, bytes sent to out and err
)

// streamPorts are those for the standard output and the standard error.
var streamPorts = [2]string{"out", "err"}

// readControl passes on the lines until the port is closed.
func readControl(r io.Reader, lines chan<- string) {
	defer close(lines)
	for s := bufio.NewScanner(r); s.Scan(); {
		select {
		case lines <- s.Text():
		default: // more than there ever is
		}
	}
}

// stream is something that the virtual machine prints.
type stream struct {
	from io.Reader
	to   io.Writer

	mu   sync.Mutex
	got  int64
	more chan struct{} // closed and made anew when got grows
}

func newStream(from io.Reader, to io.Writer) *stream {
	return &stream{from: from, to: to, more: make(chan struct{})}
}

// copy passes on what comes, until the line is closed.
func (s *stream) copy() {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.from.Read(buf)
		if n > 0 {
			_, _ = s.to.Write(buf[:n]) // nobody reads it: the tests go on
		}
		s.mu.Lock()
		s.got += int64(n)
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// reach waits until so many bytes have come.
func (s *stream) reach(want int64, limit time.Duration) bool {
	for deadline := time.After(limit); ; {
		s.mu.Lock()
		got, more := s.got, s.more
		s.mu.Unlock()
		if got >= want {
			return true
		}
		select {
		case <-more:
		case <-deadline:
			return false
		}
	}
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	max int

	mu  sync.Mutex
	buf []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - l.max; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
