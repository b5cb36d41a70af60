package control

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vici")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "goiked.vici")
}

func TestListen(t *testing.T) {
	path := socketPath(t)
	defer syscall.Umask(syscall.Umask(0)) // a lax one opens nothing
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v: %v", info.Mode(), err)
	}
	if g, err := user.LookupGroup(Group); err == nil && os.Geteuid() == 0 {
		if have := info.Sys().(*syscall.Stat_t).Gid; strconv.Itoa(int(have)) != g.Gid {
			t.Errorf("group %d, want %s", have, g.Gid)
		}
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "another goiked answers at "+path) {
		t.Errorf("a second one: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

// What a killed daemon leaves is replaced.
func TestListenOnStaleSocket(t *testing.T) {
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestListenRefuses(t *testing.T) {
	path := socketPath(t)
	target := path + ".target"
	if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]string{"a symbolic link": path, "a file": target, "a directory": filepath.Dir(path)} {
		if l, err := Listen(p); err == nil || !strings.Contains(err.Error(), p) || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "precious" {
		t.Errorf("the file: %q, %v", b, err)
	}
	for _, p := range []string{filepath.Join(path+".no", "such"), "/" + strings.Repeat("x", 120)} {
		if l, err := Listen(p); err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v, %v", p, l, err)
		}
	}
}

func TestDialWithoutDaemon(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path+".file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".file"} {
		_, err := Dial(p)
		if !errors.Is(err, ErrNoDaemon) || !strings.HasPrefix(err.Error(), "no daemon at "+p+": ") {
			t.Errorf("%s: %v", p, err)
		}
	}
}
