package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

func childOf(id uint64, name string, in, out uint64) control.ChildSA {
	return control.ChildSA{ID: id, Name: name, State: "installed", BytesIn: in, PacketsIn: in / 100, BytesOut: out, PacketsOut: out / 100}
}

func glanceOf(at time.Time, children ...control.ChildSA) *glance {
	return &glance{at: at, all: &control.Overview{Connections: []control.ConnStatus{{
		Name: "site", Children: []control.ChildConf{{Name: "lan"}, {Name: "voice"}, {Name: "idle"}}, SAs: []control.SAStatus{{Children: children}},
	}}}, counts: map[string]map[string]uint64{"site": {"ike-rekey-init": 1, "ike-rekey-resp": 2, "child-rekey": 4, "invalid": 8, "invalid-spi": 16, "ike-init-in-req": 32}}}
}

// Rates are differences: of an SA that was replaced in between both count, and one whose
// counters began anew does not count backwards.
func TestRates(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before := glanceOf(begin, childOf(1, "lan", 1000, 5000), childOf(2, "voice", 70000, 0))
	after := glanceOf(begin.Add(2*time.Second), childOf(1, "lan", 3000, 5000), childOf(3, "lan", 400, 600), childOf(2, "voice", 200, 100000))
	text := func(rows []rate) string {
		var s []string
		for _, r := range rows {
			s = append(s, fmt.Sprintf("%s %s in %v %v out %v %v", r.Child, r.State, r.BytesIn, r.PacketsIn, r.BytesOut, r.PacketsOut))
			if r.Rekeys != 7 || r.Errors != 24 {
				t.Errorf("%+v", r)
			}
		}
		return strings.Join(s, ", ")
	}
	if got := text(after.since(before)); got != "voice installed in 100 1 out 50000 500, lan installed in 1200 12 out 300 3, idle down in 0 0 out 0 0" {
		t.Error(got)
	}
	if got := text(after.since(nil)); got != "lan installed in 0 0 out 0 0, voice installed in 0 0 out 0 0, idle down in 0 0 out 0 0" {
		t.Error(got)
	}
	for n, want := range map[float64]string{0: "0 bit/s", 124.9: "999.2 bit/s", 125: "1 kbit/s", 1e6: "8 Mbit/s", 1.25e9: "10 Gbit/s", 1.25e12: "10000 Gbit/s"} {
		if got := bits(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
}

// liveRun runs a command that shows itself again and again: at each tick once more.
type liveRun struct {
	out   watcher
	ticks chan time.Time
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
	go func() { l.code <- a.run(ctx, append([]string{"--socket", path}, args...)) }()
	return l
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

func (k keyboard) size() int { return k.lines }

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
	l.ticks <- time.Time{}
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
	l.ticks <- time.Time{}
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
	if len(pictures) != 2 || pictures[0] != pictures[1] || strings.Count(pictures[0], eraseLine) != 4 || !strings.HasSuffix(pictures[0], eraseRest) || !strings.Contains(pictures[0], "CONNECTION") {
		t.Errorf("%q", pictures)
	}
}

// Without a terminal pictures stand one below the other, and JSON is one object a line.
func TestWatchElsewhere(t *testing.T) {
	f := newFake()
	path, stop := serve(t, f)
	l := startLive(t, path, nil, "status", "site", "--watch", "--json")
	l.shows(t, "\n", 1)
	l.ticks <- time.Time{}
	l.shows(t, "\n", 2)
	for line := range bytes.Lines([]byte(l.out.text())) {
		if !bytes.HasPrefix(line, []byte(`{"schema":1,"daemon":"goike"`)) {
			t.Errorf("%s", line)
		}
	}
	stop()
	l.ticks <- time.Time{}
	if code := <-l.code; code != exitFailed {
		t.Errorf("exit code %d when the daemon has ended", code)
	}
	if strings.Contains(l.out.text(), "\x1b") {
		t.Errorf("%q", l.out.text())
	}
}
