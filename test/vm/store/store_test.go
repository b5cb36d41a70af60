package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNewestKernel(t *testing.T) {
	dir := t.TempDir()
	if _, err := kernelIn(dir); !errors.Is(err, ErrMissing) {
		t.Errorf("no kernel: %v", err)
	}
	now := time.Now()
	for i, v := range []string{"6.1.0-9-cloud-amd64", "6.1.0-10-cloud-amd64", "6.1.0-8-cloud-amd64"} {
		d := filepath.Join(dir, kernelPrefix+v)
		if err := errors.Join(os.Mkdir(d, 0o755), os.Chtimes(d, now, now.Add(-time.Duration(i*i-2*i)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	k, err := kernelIn(dir)
	want := Kernel{Version: "6.1.0-10-cloud-amd64",
		Image:   filepath.Join(dir, "linux-image-6.1.0-10-cloud-amd64/boot/vmlinuz-6.1.0-10-cloud-amd64"),
		Modules: filepath.Join(dir, "linux-image-6.1.0-10-cloud-amd64/lib/modules/6.1.0-10-cloud-amd64")}
	if err != nil || k != want {
		t.Errorf("%+v %v", k, err)
	}
}

func TestKernelOf(t *testing.T) {
	show := "Package: linux-image-cloud-amd64\nDepends: base (>= 1), linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\nSize: 3\n"
	if got := kernelOf(show); got != "linux-image-6.1.0-56-cloud-amd64" {
		t.Errorf("%q", got)
	}
	if got := kernelOf("Package: x\n"); got != "" {
		t.Errorf("%q", got)
	}
}

func TestDir(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	dir, err := Dir()
	if err != nil || dir != filepath.Join(cache, "goike", "vm") {
		t.Fatal(dir, err)
	}
	if _, err := Unpacked("libreswan"); !errors.Is(err, ErrMissing) {
		t.Errorf("a package that is not there: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory that others may write to: %v", err)
	}
}

// system plays the programs that fetch and unpack.
type system struct {
	ran   []string
	stale bool // its package lists are too old
	fail  string
}

func (s *system) run(_ context.Context, dir string, args ...string) (string, error) {
	command := strings.Join(args, " ")
	s.ran = append(s.ran, filepath.Base(args[0])+" "+args[1])
	switch {
	case s.fail != "" && strings.Contains(command, s.fail):
		return "", errors.New("it does not work")
	case args[0] == "apt-cache":
		return "Depends: linux-image-6.1.0-1-cloud-amd64 (= 1)\n", nil
	case strings.Contains(command, " update"):
		s.stale = false
	case s.stale:
		return "", errors.New("404")
	case args[0] == "apt-get":
		return "", os.WriteFile(filepath.Join(dir, args[len(args)-1]+"_1_amd64.deb"), nil, 0o600)
	case args[0] == "dpkg-deb":
		return "", errors.Join(os.MkdirAll(filepath.Join(args[3], "lib"), 0o755),
			os.WriteFile(filepath.Join(args[3], "lib", "x"), nil, 0o600))
	}
	return "", nil
}

func TestFetch(t *testing.T) {
	for _, stale := range []bool{false, true} {
		s := &system{stale: stale}
		f := &fetcher{dir: t.TempDir(), out: io.Discard, run: s.run}
		if err := f.twice(t.Context(), f.kernel); err != nil {
			t.Fatal(err)
		}
		if k, err := kernelIn(f.dir); err != nil || k.Version != "6.1.0-1-cloud-amd64" {
			t.Errorf("%+v %v", k, err)
		}
		if err := f.peer(t.Context(), "libreswan"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(f.dir, "libreswan/usr/lib/x")); err != nil {
			t.Errorf("/lib is not in /usr: %v", err)
		}
		if err := f.peer(t.Context(), "libreswan"); err != nil {
			t.Errorf("what another process has unpacked meanwhile: %v", err)
		}
		if updated := slices.ContainsFunc(s.ran, func(c string) bool { return c == "apt-get update" }); updated != stale {
			t.Errorf("stale %v: %q", stale, s.ran)
		}
		onlyTrees(t, f.dir, 2)
	}
}

// What fails half way leaves nothing behind that could be taken for whole.
func TestFetchFails(t *testing.T) {
	for _, fail := range []string{"apt-cache", "download", "dpkg-deb", "depmod"} {
		s := &system{fail: fail}
		f := &fetcher{dir: t.TempDir(), out: io.Discard, run: s.run}
		if err := f.twice(t.Context(), f.kernel); err == nil {
			t.Errorf("%s fails, but not the whole", fail)
		}
		onlyTrees(t, f.dir, 0)
	}
}

func onlyTrees(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%d entries in the store, want %d: %v %v", len(entries), want, entries, err)
	}
}

func TestMergeUsr(t *testing.T) {
	tree := t.TempDir()
	write(t, filepath.Join(tree, "lib/a/one"), "1")
	write(t, filepath.Join(tree, "usr/lib/a/two"), "2")
	write(t, filepath.Join(tree, "sbin/three"), "3")
	if err := mergeUsr(tree); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"usr/lib/a/one": "1", "usr/lib/a/two": "2", "usr/sbin/three": "3"} {
		if b, err := os.ReadFile(filepath.Join(tree, file)); string(b) != text {
			t.Errorf("%s: %q %v", file, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(tree, "lib")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("/lib is still there: %v", err)
	}
}
