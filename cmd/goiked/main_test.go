//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/logging"
)

const good = `[dataplane]
backend = "none"

[[phase1]]
name = "branch"
key_exchange = "ikev2"
remote_gateway = "198.51.100.2"
pre_shared_key = "a secret that is long enough for the test"

  [[phase1.phase2]]
  name = "lan"
  local_network = ["10.1.0.0/16"]
  remote_network = ["10.2.0.0/16"]
`

const goodSwanctl = `connections {
  branch {
    remote_addrs = 198.51.100.2
    local {
      auth = psk
    }
    remote {
      auth = psk
    }
    children {
      lan {
        local_ts = 10.1.0.0/16
        remote_ts = 10.2.0.0/16
      }
    }
  }
}
secrets {
  ike {
    secret = "a secret that is long enough for the test"
  }
}
`

func write(t *testing.T, text string) string { return writeAs(t, "goike.toml", text) }

func writeAs(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCommandLine(t *testing.T) {
	valid, broken := write(t, good), write(t, strings.Replace(good, "10.1.0.0/16", "10.1.0.0/36", 1)+"nonsense = 1\n")
	swanctl, brokenSwanctl := writeAs(t, "swanctl.conf", goodSwanctl), writeAs(t, "swanctl.conf", strings.Replace(goodSwanctl, "local_ts", "local_tss", 1))
	charon, brokenCharon := writeAs(t, "strongswan.conf", "charon {\n  retransmit_tries = 3\n}\n"), writeAs(t, "strongswan.conf", "charon {\n  retransmit_tries = x\n}\n")
	for _, c := range []struct {
		args []string
		code int
		want []string // in what is printed, all of them
	}{
		{[]string{"--version"}, 0, []string{"goiked "}},
		{[]string{"--help"}, 0, []string{"--config FILE", "--check FILE", "SIGHUP", "Exit codes"}},
		{[]string{"--check", valid}, 0, []string{"valid, 1 phase 1, 1 phase 2"}},
		{[]string{"--check", broken}, 2, []string{"10.1.0.0/36", "nonsense"}},
		{[]string{"--check", valid + ".missing"}, 2, []string{"goike.toml.missing", "no such file"}},
		{[]string{"--config", broken}, 2, []string{"10.1.0.0/36", "nonsense"}},
		{[]string{"--nonsense"}, 2, []string{"nonsense", "--help"}},
		{[]string{"extra"}, 2, []string{`"extra"`, "--help"}},
		{[]string{"--log-level", "loud"}, 2, []string{"loud", "debug, info, warn and error"}},
		{[]string{"--check", swanctl}, 0, []string{"valid, 1 phase 1, 1 phase 2"}},
		{[]string{"--check", brokenSwanctl}, 2, []string{brokenSwanctl + ":12:9: ", "local_tss", "did you mean local_ts?"}},
		{[]string{"--check", swanctl, "--strongswan-conf", charon}, 0, []string{"valid, 1 phase 1, 1 phase 2"}},
		{[]string{"--check", swanctl, "--strongswan-conf", brokenCharon}, 2, []string{brokenCharon + ":2:", "retransmit_tries"}},
		{[]string{"--check", valid, "--strongswan-conf", charon}, 2, []string{"write them into " + valid}},
		{[]string{"--config", "none", "--strongswan-conf", brokenCharon}, 2, []string{brokenCharon + ":2:"}},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, &out, &errs); code != c.code {
			t.Errorf("goiked %v: exit code %d, want %d", c.args, code, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String()+errs.String(), want) {
				t.Errorf("goiked %v does not print %q: %s%s", c.args, want, out.String(), errs.String())
			}
		}
	}
}

func TestExitCodes(t *testing.T) {
	for err, want := range map[error]int{
		nil:                           0,
		errors.New("broken"):          1,
		usageError{errors.New("bad")}: 2,
		missing(fs.ErrNotExist):       3,
		fmt.Errorf("x: %w", missing(flag.ErrHelp)): 3,
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
	if missing(nil) != nil {
		t.Error("nothing is missing, and it is an error")
	}
}

func TestRunDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	first, err := openRunDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "goiked.pid"))
	if err != nil || string(b) != fmt.Sprintf("%d\n", os.Getpid()) {
		t.Errorf("pid file: %q, %v", b, err)
	}
	if _, err := openRunDir(dir); exitCode(err) != exitMissing || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second instance: %v", err)
	}
	if err := first.close(); err != nil {
		t.Error(err)
	}
	again, err := openRunDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
	if _, err := openRunDir(filepath.Join(write(t, ""), "sub")); exitCode(err) != exitMissing || !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("no directory: %v", err)
	}
}

func TestLacking(t *testing.T) {
	all := uint64(1)<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BIND_SERVICE
	if err := lacking(all); err != nil {
		t.Error(err)
	}
	err := lacking(1 << unix.CAP_NET_RAW)
	if exitCode(err) != exitMissing || !strings.Contains(err.Error(), "CAP_NET_ADMIN, CAP_NET_BIND_SERVICE") || strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Error(err)
	}
}

func TestReporter(t *testing.T) {
	var b bytes.Buffer
	log, _ := logging.New(&b, logging.Levels{Default: slog.LevelInfo}, false)
	report := reporter(log)
	path := ike.Path{Remote: netip.MustParseAddrPort("192.0.2.1:500")}
	report(ike.Report{Kind: ike.Step, Conn: "branch", Text: "detail"})
	report(ike.Report{Kind: ike.ChildUp, Conn: "branch", Child: "lan", Text: "up", Path: path})
	report(ike.Report{Kind: ike.Failed, Text: "no proposal", Path: path})
	report(ike.Report{Kind: ike.Failed, Conn: "branch", Text: "no answer"})
	report(ike.Report{Kind: ike.Failed, Conn: "branch", Text: "ended", Why: &ike.Refusal{Cause: ike.Terminated}})
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	want := []string{"info  child  branch/lan: up", "warn  ike    no proposal peer=192.0.2.1:500", "error ike    branch: no answer", "info  ike    branch: ended"}
	if len(lines) != len(want) {
		t.Fatalf("logged %q", lines)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("logged %q, want %q", line, want[i])
		}
	}
}

func TestNeedRestart(t *testing.T) {
	old := conf.Default()
	c := conf.Default()
	if got := needRestart(old, c); len(got) != 0 {
		t.Errorf("nothing changed: %v", got)
	}
	c.Dataplane, c.Network.InstallRoutes, c.Control.Socket = conf.BackendNone, !c.Network.InstallRoutes, "/x"
	if got := strings.Join(needRestart(old, c), " "); got != "dataplane.backend [network] control.socket" {
		t.Error(got)
	}
}
