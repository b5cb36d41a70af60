//go:build linux

package interop

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// What the machine or the administrator can do to goiked: each ends in one clear
// line, and the exit code that is promised for it.
func TestBadEnvironment(t *testing.T) {
	empty := t.TempDir()
	config := func(w *world) string {
		a, _ := w.ends(newLink())
		return a.config()
	}
	for _, c := range []struct {
		name   string
		config func(*world) string
		opts   lab.GoikedOptions
		before func(*testing.T, *world)
		code   int
		want   []string // all in one line
	}{
		{name: "port in use", before: occupy, code: 3, want: []string{"500", "in use"}},
		{name: "no CAP_NET_ADMIN", opts: lab.GoikedOptions{Wrap: []string{"setpriv", "--bounding-set", "-net_admin"}},
			code: 3, want: []string{"CAP_NET_ADMIN"}},
		{name: "no capabilities", opts: lab.GoikedOptions{Wrap: []string{"setpriv", "--bounding-set", "-all"}},
			code: 3, want: []string{"CAP_NET_"}},
		{name: "no TUN device", opts: lab.GoikedOptions{Mounts: map[string]string{"/dev": empty}},
			code: 3, want: []string{"/dev/net/tun"}},
		{name: "unknown key", config: func(w *world) string { return strings.Replace(config(w), "pre_shared_key", "preshared_key", 1) },
			code: 2, want: []string{"goike.toml:", "preshared_key", "pre_shared_key"}},
		{name: "bad network", config: func(w *world) string { return strings.Replace(config(w), "10.1.0.0/16", "10.1.0.0/36", 1) },
			code: 2, want: []string{"goike.toml:", "10.1.0.0/36"}},
		{name: "no such file", opts: lab.GoikedOptions{Args: []string{"--config", filepath.Join(empty, "missing.toml")}},
			code: 2, want: []string{"missing.toml", "no such file"}},
		{name: "unknown flag", opts: lab.GoikedOptions{Args: []string{"--nonsense"}}, code: 2, want: []string{"nonsense"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.before != nil {
				c.before(t, w)
			}
			if c.config == nil {
				c.config = config
			}
			c.opts.NotReady = true
			g, err := lab.StartGoiked(w.A, binaries(t), c.config(w), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			code, ended := g.Wait(wait)
			if !ended {
				g.Stop()
				t.Fatalf("goiked runs on: %s", g.Output())
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !hasLine(g.Output(), c.want) {
				t.Errorf("no line with all of %q: %s", c.want, g.Output())
			}
			if n := strings.Count(strings.TrimSpace(g.Output()), "\n"); n > 3 {
				t.Errorf("one clear line was wanted, not %d: %s", n+1, g.Output())
			}
		})
	}
}

// occupy takes UDP port 500 at A until the end of the test.
func occupy(t *testing.T, w *world) {
	t.Helper()
	if err := w.A.Do(func() error {
		c, err := net.ListenPacket("udp4", "0.0.0.0:500")
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func hasLine(text string, words []string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// A second goiked on the same run directory is refused; one in another
// namespace with another is none of its business.
func TestTwoInstances(t *testing.T) {
	w := newWorld(t)
	a, _ := w.ends(newLink())
	first := a.start(t)
	run := filepath.Dir(first.Socket())
	g, err := lab.StartGoiked(w.A, binaries(t), a.config(), lab.GoikedOptions{Args: []string{"--run-dir", run}, NotReady: true})
	if err != nil {
		t.Fatal(err)
	}
	code, ended := g.Wait(wait)
	if !ended || code != 3 || !hasLine(g.Output(), []string{run}) {
		t.Errorf("exit code %d, ended %v: %s", code, ended, g.Output())
	}
	if _, _, err := first.Ctl("status"); err != nil {
		t.Error("the first one:", err)
	}
}

// Without a daemon goikectl says so, with its own exit code.
func TestNoDaemon(t *testing.T) {
	w := newWorld(t)
	a, _ := w.ends(newLink())
	g := a.start(t)
	g.Stop()
	_, code, err := g.Ctl("status")
	if code != 4 || err == nil || !strings.Contains(err.Error(), g.Socket()) {
		t.Errorf("exit code %d: %v", code, err)
	}
}

// The configuration of the README is one that works.
func TestREADME(t *testing.T) {
	w := newWorld(t)
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```toml\n")
	config, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("the README has no configuration")
	}
	if n := strings.Count(config, "\n"); n > 20 {
		t.Errorf("%d lines are promised to be 20", n)
	}
	file := filepath.Join(t.TempDir(), "goike.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := w.A.Run(t.Context(), binaries(t).Goiked, "--check", file)
	if err != nil {
		t.Error(err, out)
	}
}
