package main

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goike/goike/ike/control"
)

func TestUp(t *testing.T) {
	f := newFake()
	f.steps = []control.LogLine{
		{Level: 1, Subsystem: "ike", Conn: "hq", IKE: 7, Text: "phase 1 established with \x1b]0;evil\x07"},
		{Level: 1, Subsystem: "child", Conn: "hq", IKE: 7, Text: "hq/all: installed"},
		{Level: 2, Subsystem: "ike", Text: "detail"},
	}
	path, _ := serve(t, f)
	steps := "[IKE] phase 1 established with \\x1b]0;evil\\x07\n[CHD] hq/all: installed\n"
	if r := run(t, path, "--timeout", "20s", "up", "hq/all"); r != (result{steps + "hq/all is up\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "up", "hq"); r != (result{steps + "hq is up\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "up", "hq", "--json"); r.code != exitOK {
		t.Errorf("%+v", r)
	} else {
		golden(t, "up.json", r.out)
	}
	f.set(func() { f.err = errors.New("no proposal in common: we offered aes256gcm16") })
	if r := run(t, path, "up", "hq"); r != (result{steps, "goikectl: hq is not up: " + f.err.Error() + "\n", exitFailed}) {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "up", "hq", "--json"); r.code != exitFailed || r.errs == "" {
		t.Errorf("%+v", r)
	} else {
		golden(t, "up-failed.json", r.out)
	}
	up, _ := f.requests()
	want := []control.InitiateRequest{{Conn: "hq", Child: "all", Timeout: 20 * time.Second}, {Conn: "hq"}, {Conn: "hq"}, {Conn: "hq"}, {Conn: "hq"}}
	if !reflect.DeepEqual(up, want) {
		t.Errorf("%+v, want %+v", up, want)
	}
}

func TestUpOfWhatIsUp(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	for name, want := range map[string]string{
		"site/lan":   "site/lan is already up\n",
		"site":       "site is up\n", // site/voice was not
		"site/voice": "site/voice is up\n",
		"hq":         "hq is up\n",
		"road":       "road is already up\n",
		"nosuch":     "nosuch is up\n", // the daemon knows best
	} {
		if r := run(t, path, "up", name); r != (result{want, "", exitOK}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	f.set(func() { f.config.Connections[0].Children = nil })
	if r := run(t, path, "up", "site"); r.out != "site is already up\n" {
		t.Errorf("without children: %+v", r)
	}
	f.set(func() { f.sas = nil })
	if r := run(t, path, "up", "site"); r.out != "site is up\n" {
		t.Errorf("without children: %+v", r)
	}
}

func TestDown(t *testing.T) {
	f := newFake()
	f.steps, f.matches = []control.LogLine{{Level: 0, Subsystem: "ike", Conn: "site", IKE: 1, Text: "phase 1 down: taken down by command"}}, 1
	path, _ := serve(t, f)
	step := "[IKE] phase 1 down: taken down by command\n"
	for _, args := range [][]string{{"down", "site"}, {"down", "site/lan", "--force", "--timeout", "1m"}} {
		if r := run(t, path, args...); r != (result{step + args[1] + " is down\n", "", exitOK}) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	f.set(func() { f.steps, f.matches, f.err = nil, 0, errors.New("nothing to take down") })
	if r := run(t, path, "down", "lab"); r != (result{"lab is already down\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"nosuch", "lab/nosuch"} {
		if r := run(t, path, "down", name); r != (result{"", "goikectl: " + name + " is not down: nothing to take down\n", exitFailed}) {
			t.Errorf("%+v", r)
		}
	}
	f.set(func() { f.matches, f.err = 1, errors.New("no outcome within 1s") })
	if r := run(t, path, "down", "site"); r != (result{"", "goikectl: site is not down: no outcome within 1s\n", exitFailed}) {
		t.Errorf("%+v", r)
	}
	_, down := f.requests()
	want := []control.TerminateRequest{{Conn: "site"}, {Conn: "site", Child: "lan", Force: true, Timeout: time.Minute}}
	if !reflect.DeepEqual(down[:2], want) {
		t.Errorf("%+v, want %+v", down[:2], want)
	}
}

// The daemon may end while up waits.
func TestDaemonDiesDuringUp(t *testing.T) {
	f := newFake()
	path, stop := serve(t, f)
	f.set(func() { f.steps = []control.LogLine{{Text: "begun"}} })
	f.set(func() { f.during = func(ctx context.Context) { <-ctx.Done() } })
	var out watcher
	out.on, out.do = "begun", stop
	var errs bytes.Buffer
	code := newApp(&out, &errs).run(context.Background(), []string{"--socket", path, "up", "hq"})
	out.wait()
	if code != exitFailed || !strings.Contains(errs.String(), "hq is not up: ") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestInterrupted(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	f.set(func() { f.steps = []control.LogLine{{Text: "begun"}} })
	f.set(func() { f.during = func(ctx context.Context) { <-ctx.Done() } })
	ctx, cancel := context.WithCancel(context.Background())
	var out watcher
	out.on, out.do = "begun", cancel
	var errs bytes.Buffer
	code := newApp(&out, &errs).run(ctx, []string{"--socket", path, "up", "hq"})
	out.wait()
	if code != exitFailed || errs.String() != "goikectl: hq is not up: interrupted; the daemon goes on by itself\n" {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

// watcher does something, once, when a text has been written to it.
type watcher struct {
	mu   sync.Mutex
	b    strings.Builder
	on   string
	do   func()
	done sync.WaitGroup
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if w.do != nil && strings.Contains(w.b.String(), w.on) {
		w.done.Go(w.do)
		w.do = nil
	}
	return len(p), nil
}

func (w *watcher) wait() { w.done.Wait() }

func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}
