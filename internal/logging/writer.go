package logging

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Writer collects lines and writes them from a goroutine of its own, so that a
// reader who does not keep up never holds the daemon. What does not fit is dropped
// and counted, and the count is written when there is room again.
type Writer struct {
	out   io.Writer
	limit int
	wake  chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	lines  []byte
	lost   int
	closed bool
}

// NewWriter returns a writer that keeps up to limit octets. Close it.
func NewWriter(out io.Writer, limit int) *Writer {
	w := &Writer{out: out, limit: limit, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes one line. It never waits and never fails.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.closed || len(w.lines)+len(line) > w.limit {
		w.lost++
	} else {
		w.lines = append(w.lines, line...)
	}
	w.mu.Unlock()
	w.signal()
	return len(line), nil
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Writer) run() {
	defer close(w.done)
	var lines []byte
	for range w.wake {
		w.mu.Lock()
		lines, w.lines = w.lines, lines[:0]
		lost, closed := w.lost, w.closed
		w.lost = 0
		w.mu.Unlock()
		// There is nobody to tell of an error.
		_, _ = w.out.Write(lines)
		if lost > 0 {
			_, _ = fmt.Fprintf(w.out, "%s warn  log    %d lines lost, standard error is too slow\n", stamp(time.Now()), lost)
		}
		if closed {
			return
		}
	}
}

// closeTime is how long Close waits for a reader who does not read.
const closeTime = 2 * time.Second

// Close writes what waits.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.done:
	case <-time.After(closeTime):
	}
}
