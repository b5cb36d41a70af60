//go:build linux

package lab

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Need skips the test, with the reason, when programs are missing or the user
// is not root. Where CI=true nothing may be missing, and it fails.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	reason := ""
	if os.Geteuid() != 0 {
		reason = ErrNotRoot.Error()
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			reason = "missing program (`make deps` installs it): " + p
		}
	}
	switch {
	case reason == "":
	case os.Getenv("CI") == "true":
		t.Fatal(reason)
	default:
		t.Skip(reason)
	}
}

// Programs are the programs that tests with strongSwan need.
var Programs = []string{charonPath, "swanctl", "nft", "iperf3", "ping", "ss"}

// ForTest makes a lab that ends with the test. When the test fails its logs are
// kept (see Keep).
func ForTest(t testing.TB) *Lab {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs: %s", l.Keep(t.Name(), time.Time{}))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Keep copies the files of the lab, but no binaries and sockets, below the
// directory named by GOIKE_ARTEFACTS, or goike-artefacts in the directory for
// temporary files, and returns where they are. Files that were not written to
// since then are left out.
func (l *Lab) Keep(name string, since time.Time) string {
	dir := filepath.Join(artefactsDir(), notInName.ReplaceAllString(name, "_"))
	_ = os.RemoveAll(dir) // of an earlier run
	err := filepath.WalkDir(l.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !wanted(path) {
			return nil // what cannot be read is not kept
		}
		if info, err := d.Info(); err != nil || info.ModTime().Before(since) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		rel, err := filepath.Rel(l.Dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644))
	})
	if err != nil {
		return err.Error()
	}
	return dir
}

func artefactsDir() string {
	if dir := os.Getenv("GOIKE_ARTEFACTS"); dir != "" {
		return dir
	}
	return filepath.Join(os.TempDir(), "goike-artefacts")
}

func wanted(path string) bool {
	for _, end := range []string{".log", ".out", ".conf", ".toml", ".pcap"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}
