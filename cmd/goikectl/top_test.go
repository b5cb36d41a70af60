package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// liveRun runs a command that shows itself again and again: at each tick once more.
type liveRun struct {
	out   watcher
	ticks chan time.Time
	clock atomic.Int64 // seconds; each tick adds two
	end   context.CancelFunc
	code  chan int
}

func startLive(t *testing.T, path string, screen terminal, args ...string) *liveRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	l := &liveRun{ticks: make(chan time.Time), end: cancel, code: make(chan int, 1)}
	a := newApp(&l.out, io.Discard)
	a.screen, a.ticks = screen, l.ticks
	begin := a.now()
	a.now = func() time.Time { return begin.Add(time.Duration(l.clock.Load()) * time.Second) }
	go func() { l.code <- a.run(ctx, append([]string{"--socket", path}, args...)) }()
	return l
}

// tick has it shown once more.
func (l *liveRun) tick(t *testing.T) {
	t.Helper()
	l.clock.Add(2)
	select {
	case l.ticks <- time.Time{}:
	case <-time.After(patience):
		t.Fatalf("it does not go on; so far: %s", l.out.text())
	}
}

// shows waits until something has been printed so often.
func (l *liveRun) shows(t *testing.T, text string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for strings.Count(l.out.text(), text) < times {
		pause(ctx, t, &l.out)
	}
}

// keyboard is a terminal of some lines whose user presses keys.
type keyboard struct {
	lines    int
	pressed  chan byte
	restored chan bool
}

func (k keyboard) size() (int, int) { return 30, k.lines }

func (k keyboard) keys() (<-chan byte, func()) { return k.pressed, func() { k.restored <- true } }

func TestTop(t *testing.T) {
	f := newFake()
	of := control.ConnCounters{Conn: "site"}
	of.Counts[ike.ChildRekeys] = 3
	f.counters.Conns = []control.ConnCounters{of}
	path, _ := serve(t, f)
	l := startLive(t, path, nil, "top")
	l.shows(t, "site/lan", 1)
	f.set(func() {
		f.sas = sampleSAs()
		f.sas[0].Usage[0].In.Bytes += 1000
	})
	l.tick(t)
	l.shows(t, "site/lan", 2)
	l.end()
	if code := <-l.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	golden(t, "top.txt", l.out.text())
}

// On a terminal the picture takes the place of the last, no longer than the screen, and q
// ends it: then all is as before.
func TestWatch(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	k := keyboard{5, make(chan byte), make(chan bool, 1)}
	l := startLive(t, path, k, "status", "--watch")
	l.shows(t, toTop, 1)
	l.tick(t)
	l.shows(t, toTop, 2)
	k.pressed <- 'x'
	k.pressed <- 'q'
	if code := <-l.code; code != exitOK || !<-k.restored {
		t.Errorf("exit code %d", code)
	}
	shown, ok := strings.CutSuffix(l.out.text(), leaveScreen)
	shown, began := strings.CutPrefix(shown, enterScreen)
	if !ok || !began {
		t.Errorf("%q", shown)
	}
	pictures := strings.Split(shown, toTop)[1:]
	if len(pictures) != 2 || pictures[0] != pictures[1] || strings.Count(pictures[0], eraseLine) != 4 || !strings.Contains(pictures[0], "\nsite           up          198"+eraseLine) || !strings.HasSuffix(pictures[0], eraseRest) || !strings.Contains(pictures[0], "CONNECTION") {
		t.Errorf("%q", pictures)
	}
}

// Without a terminal pictures stand one below the other, and JSON is one object a line.
func TestWatchElsewhere(t *testing.T) {
	f := newFake()
	path, stop := serve(t, f)
	l := startLive(t, path, nil, "status", "site", "--watch", "--json")
	l.shows(t, "\n", 1)
	l.tick(t)
	l.shows(t, "\n", 2)
	for line := range bytes.Lines([]byte(l.out.text())) {
		if !bytes.HasPrefix(line, []byte(`{"schema":1,"daemon":"goike"`)) {
			t.Errorf("%s", line)
		}
	}
	stop()
	l.tick(t)
	if code := <-l.code; code != exitFailed {
		t.Errorf("exit code %d when the daemon has ended", code)
	}
	if strings.Contains(l.out.text(), "\x1b") {
		t.Errorf("%q", l.out.text())
	}
}

// Ctrl-C ends it as q does, and so does a context that ends: the terminal is given back.
func TestWatchEnds(t *testing.T) {
	path, _ := serve(t, newFake())
	for _, end := range []func(*liveRun, keyboard){
		func(_ *liveRun, k keyboard) { k.pressed <- ctrlC },
		func(l *liveRun, _ keyboard) { l.end() },
	} {
		k := keyboard{5, make(chan byte), make(chan bool, 1)}
		l := startLive(t, path, k, "top")
		l.shows(t, toTop, 1)
		end(l, k)
		if code := <-l.code; code != exitOK || !<-k.restored || !strings.HasSuffix(l.out.text(), leaveScreen) {
			t.Errorf("exit code %d: %q", code, l.out.text())
		}
	}
}

// A daemon that ends gives the terminal back, too.
func TestWatchWithoutDaemon(t *testing.T) {
	path, stop := serve(t, newFake())
	k := keyboard{5, make(chan byte), make(chan bool, 1)}
	l := startLive(t, path, k, "top")
	l.shows(t, toTop, 1)
	stop()
	l.tick(t)
	if code := <-l.code; code != exitFailed || !<-k.restored || !strings.HasSuffix(l.out.text(), leaveScreen) {
		t.Errorf("exit code %d: %q", code, l.out.text())
	}
}

func TestFitted(t *testing.T) {
	for _, c := range []struct {
		line    string
		columns int
		want    string
	}{
		{"12345", 0, "12345"}, {"12345", 5, "12345"}, {"123456", 5, "12345"}, {"東京東", 5, "東京"}, {"bu\u0308ro", 4, "bu\u0308ro"},
		{"1\x1b[31m23\x1b[0m45", 5, "1\x1b[31m23\x1b[0m45"}, {"1\x1b[31m2345", 3, "1\x1b[31m23\x1b[0m"},
	} {
		if got := fitted(c.line, c.columns); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.line, c.columns, got, c.want)
		}
	}
}
