//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/test/lab"
)

// servedDir names, for the test program that TestServe runs in a network namespace,
// the directory of the daemon that it is to be.
const servedDir = "GOIKE_TEST_SERVE"

// TestServe runs the whole daemon with all that it opens, and lets it end while
// clients are connected and a negotiation is under way: no goroutine is left.
func TestServe(t *testing.T) {
	if dir := os.Getenv(servedDir); dir != "" {
		beDaemon(t, dir)
		return
	}
	lab.Need(t)
	for _, backend := range []string{"userspace", "none"} {
		t.Run(backend, func(t *testing.T) { testServe(t, backend) })
	}
}

func beDaemon(t *testing.T, dir string) {
	before := goleak.IgnoreCurrent()
	o, err := parseArgs([]string{"--config", filepath.Join(dir, "goike.toml"), "--run-dir", dir, "--log-level", "debug"})
	if err != nil {
		t.Fatal(err)
	}
	if err := serve(o, os.Stderr); err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func testServe(t *testing.T, backend string) {
	l := lab.ForTest(t)
	n, err := l.Namespace("a", true)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := strings.Replace(good, `"none"`, `"`+backend+`"`, 1)
	config = strings.Replace(config, "198.51.100.2", "127.0.0.2", 1) // where it finds itself, whom it does not answer
	config += "\n[metrics]\nlisten = \"unix:" + filepath.Join(dir, "metrics") + "\"\n"
	if err := os.WriteFile(filepath.Join(dir, "goike.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Start("daemon.log", lab.Command{Args: []string{program, "-test.run", "^TestServe$", "-test.v"}, Env: []string{servedDir + "=" + dir}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WaitLine(`\bready\b`, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c, err := control.Dial(defaultSocket(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Call(t.Context(), "stats", nil); err != nil {
			t.Error(err)
		}
		go func() { _ = c.Subscribe(t.Context(), []string{"log", "ike-updown"}, func(string, *control.Message) {}) }()
	}
	scrape(t, filepath.Join(dir, "metrics"))
	moved := strings.Replace(config, "/metrics\"", "/moved\"", 1)
	if err := os.WriteFile(filepath.Join(dir, "goike.toml"), []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitLine("configuration reloaded", 10*time.Second); err != nil {
		t.Error(err)
	}
	scrape(t, filepath.Join(dir, "moved"))
	if _, err := os.Lstat(filepath.Join(dir, "metrics")); err == nil {
		t.Error("the old socket of the metrics is still there")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, ended := p.Wait(20 * time.Second); !ended || code != 0 {
		t.Errorf("exit code %d, ended %v: %s", code, ended, p.Output())
	}
	left, err := filepath.Glob(filepath.Join(dir, "goiked.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
