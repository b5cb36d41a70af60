package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goike/goike/ike/control"
)

var update = flag.Bool("update", false, "write the golden files")

const patience = 10 * time.Second

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "goiked.vici")
}

// serve serves a backend until the end of the test, or until it is stopped.
func serve(t *testing.T, b control.Backend) (path string, stop func()) {
	t.Helper()
	return serveLoader(t, b, nil)
}

// serveLoader is serve with something that loads.
func serveLoader(t *testing.T, b control.Backend, loader control.Loader) (path string, stop func()) {
	t.Helper()
	path = socketPath(t)
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- control.NewServer(b, control.Options{Loader: loader}).Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return path, stop
}

// result is what a run of goikectl shows.
type result struct {
	out, errs string
	code      int
}

func newApp(out, errs io.Writer) *app {
	return &app{out: out, errs: errs, now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
}

func run(t *testing.T, path string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	code := newApp(&out, &errs).run(ctx, append([]string{"--socket", path}, args...))
	return result{out.String(), errs.String(), code}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (-update writes it):\n%s\nwant:\n%s", name, got, want)
	}
}

func TestNoDaemon(t *testing.T) {
	path := socketPath(t)
	for _, args := range [][]string{{"status"}, {"up", "site"}, {"down", "site"}, {"log"}, {"version"}, {"rekey", "site"}, {"policies"}, {"counters"}, {"events"}, {"top"}, {"status", "--watch"}} {
		r := run(t, path, args...)
		if r.code != exitNoDaemon || r.errs != "goikectl: no daemon at "+path+": no such file or directory\n" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestUsage(t *testing.T) {
	path, _ := serve(t, newFake())
	for _, args := range [][]string{
		{}, {"nonsense"}, {"status", "a", "b"}, {"status", "--nonsense"}, {"up"}, {"up", "a", "b"}, {"up", ""}, {"up", "site/"}, {"up", "/lan"},
		{"down"}, {"--timeout", "soon", "status"}, {"log", "x", "y"}, {"log", "--level", "9"}, {"events", "--type", "nonsense"}, {"events", "x", "y"}, {"rekey"}, {"rekey", "site/lan", "--reauth"},
		{"policies", "x", "y"}, {"counters", "x", "--all"}, {"top", "x"}, {"top", "--interval", "1ms"}, {"status", "--watch=0s"}, {"log", "--level", "x"}, {"version", "x"},
		{"genpsk", "--bits", "64"}, {"genpsk", "--bits", "129"}, {"genpsk", "--bits", "100000"}, {"completion"}, {"completion", "tcsh"},
	} {
		if r := run(t, path, args...); r.code != exitUsage || !strings.HasPrefix(r.errs, "goikectl: ") || strings.Count(r.errs, "\n") != 1 {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"--help"}, {"help", "up"}, {"status", "--help"}} {
		if r := run(t, path, args...); r.code != exitOK || !strings.Contains(r.out, "Usage:") {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestVersion(t *testing.T) {
	path, _ := serve(t, newFake())
	if r := run(t, path, "version"); r != (result{"goikectl devel\ngoike 1.2.3 (Linux, 6.1, x86_64)\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	golden(t, "version.json", run(t, path, "version", "--json").out)
}

func TestGenPSK(t *testing.T) {
	seen := make(map[string]bool)
	for _, test := range []struct {
		args   []string
		octets int
	}{{nil, 32}, {[]string{"--bits", "128"}, 16}, {[]string{"--bits", "512"}, 64}, {nil, 32}} {
		r := run(t, "/nonexistent", append([]string{"genpsk"}, test.args...)...)
		text, ok := strings.CutPrefix(strings.TrimSuffix(r.out, "\n"), "0s")
		key, err := base64.StdEncoding.DecodeString(text)
		if r.code != exitOK || !ok || err != nil || len(key) != test.octets || seen[text] {
			t.Errorf("%v: %+v, %v", test.args, r, err)
		}
		seen[text] = true
	}
	var v generated
	if err := json.Unmarshal([]byte(run(t, "", "genpsk", "--json").out), &v); err != nil || !strings.HasPrefix(v.PSK, "0s") {
		t.Errorf("%v, %v", v, err)
	}
}

func TestCompletion(t *testing.T) {
	path, _ := serve(t, newFake())
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := run(t, path, "completion", shell); r.code != exitOK || !strings.Contains(r.out, "goikectl") {
			t.Errorf("%s: exit code %d: %s", shell, r.code, r.errs)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"up", ""}, "site site/lan site/voice hq hq/all büro 東京 büro 東京/all road road/all lab lab/hosts :4"},
		{[]string{"down", ""}, "site site/lan site/voice hq hq/all büro 東京 büro 東京/all road road/all lab lab/hosts :4"},
		{[]string{"rekey", ""}, "site site/lan site/voice hq hq/all büro 東京 büro 東京/all road road/all lab lab/hosts :4"},
		{[]string{"status", ""}, "site site/lan site/voice hq hq/all büro 東京 büro 東京/all road road/all lab lab/hosts :4"},
		{[]string{"log", ""}, "site hq büro 東京 road lab :4"},
		{[]string{"events", ""}, "site hq büro 東京 road lab :4"},
		{[]string{"policies", ""}, "site hq büro 東京 road lab :4"},
		{[]string{"counters", ""}, "site hq büro 東京 road lab :4"},
		{[]string{"redirect", "--name", ""}, "site hq büro 東京 road lab :4"},
		{[]string{"events", "--type", ""}, strings.Join(eventTypes(), " ") + " :4"},
		{[]string{"completion", ""}, "bash zsh fish :4"},
		{[]string{"up", "site", ""}, ":4"},
	} {
		r := run(t, path, append([]string{"__complete"}, test.args...)...)
		if got := strings.Join(strings.Split(strings.TrimSpace(r.out), "\n"), " "); got != test.want {
			t.Errorf("%v: %s", test.args, got)
		}
	}
	for _, command := range []string{"up", "status", "log"} {
		if r := run(t, path+".none", "__complete", command, ""); r.code != exitOK || strings.TrimSpace(r.out) != ":4" {
			t.Errorf("without a daemon: %s: %+v", command, r)
		}
	}
}

// The daemon may end while it is asked.
func TestDaemonDies(t *testing.T) {
	path := socketPath(t)
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	})
	for _, args := range [][]string{{"status"}, {"up", "site"}, {"down", "site"}, {"version"}, {"rekey", "site"}, {"policies"}, {"counters"}} {
		r := run(t, path, args...)
		if r.code != exitFailed || !strings.Contains(r.errs, path+": the daemon closed the connection") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"log"}, {"events"}, {"top"}, {"status", "--watch"}} {
		if r := run(t, path, args...); r.code != exitFailed || r.errs != "goikectl: the daemon at "+path+" has ended\n" {
			t.Errorf("%v: %+v", args, r)
		}
	}
	_ = l.Close()
	server.Wait()
}

// A daemon that does not answer is not waited for without end.
func TestTimeout(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path) // accepts nobody: the kernel does
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, args := range [][]string{{"status"}, {"version"}, {"up", "site"}} {
		r := run(t, path, append([]string{"--timeout", "50ms"}, args...)...)
		if r.code != exitFailed || !strings.HasSuffix(r.errs, "no answer from the daemon at "+path+" within 50ms\n") {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
