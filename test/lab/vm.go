//go:build linux

package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goike/goike/test/vm/store"
)

// KernelMain runs the tests of a package that need a kernel with ESP, and
// returns the exit code; TestMain calls it instead of m.Run. Where this kernel
// cannot hold an ESP SA they run in a virtual machine, as root, with the same
// arguments, directory and environment: this very program is started there. The
// host's files are all there, and what is written to them is lost, but for the
// directory of the package, those of the test's own files (profiles) and
// GOIKE_ARTEFACTS. goiked and goikectl are built before, for Build to find.
//
// GOIKE_VM=never keeps the tests on this kernel, GOIKE_VM=always off it.
func KernelMain(m *testing.M) int {
	VMInit()
	started := time.Now()
	if !flag.Parsed() {
		flag.Parse()
	}
	if here() {
		return m.Run()
	}
	if reason := missingForVM(); reason != "" {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, reason)
			return 1
		}
		fmt.Printf("--- SKIP: TestKernel (0.00s)\n    %s\nPASS\n", reason)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	code, err := testInVM(ctx, started)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// here tells whether the tests run on this kernel.
func here() bool {
	switch os.Getenv(vmEnv) {
	case "inside", "never":
		return true
	case "always":
		return false
	}
	list := flag.Lookup("test.list")
	return list != nil && list.Value.String() != "" || kernelHasESP()
}

// InVM tells whether this is a virtual machine that KernelMain or `make vm` has
// started.
func InVM() bool { return os.Getenv(vmEnv) == "inside" }

func missingForVM() string {
	if os.Geteuid() != 0 {
		return "this kernel has no ESP, and the virtual machine that has needs root"
	}
	for _, p := range vmPrograms {
		if _, err := exec.LookPath(p); err != nil {
			return "this kernel has no ESP, and a program for the virtual machine is missing (`make deps` installs it): " + p
		}
	}
	if _, err := store.FindKernel(); err != nil {
		return err.Error()
	}
	return ""
}

// testInVM runs this test program in a virtual machine.
func testInVM(ctx context.Context, started time.Time) (int, error) {
	unlock, err := lockVM(ctx, func() {})
	if err != nil {
		return 0, err
	}
	defer unlock()
	dir, err := vmDir()
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built, err := Build(filepath.Join(dir, "bin"))
	if err == nil {
		_, err = built.Newer() // in the machine it would take long
	}
	if err != nil {
		return 0, err
	}
	r, limit, err := testRequest(started, filepath.Dir(built.Goiked))
	if err != nil {
		return 0, err
	}
	return runVM(ctx, dir, r, limit, os.Stdout, os.Stderr)
}

// runVM runs a request in a virtual machine.
func runVM(ctx context.Context, dir string, r request, limit time.Duration, stdout, stderr io.Writer) (int, error) {
	v, err := bootAgain(ctx, bootLimit, stderr, func(boots int) (*vm, error) {
		d := filepath.Join(dir, fmt.Sprintf("boot-%d", boots))
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
		return boot(d, r, stdout, stderr)
	})
	if err != nil {
		return 0, err
	}
	defer v.stop()
	return v.wait(ctx, limit)
}

// bootAgain boots until it succeeds, three times at most: on a busy machine QEMU
// is seen to get nowhere, once in a hundred times.
func bootAgain(ctx context.Context, limit time.Duration, stderr io.Writer, boot func(int) (*vm, error)) (*vm, error) {
	for boots := 1; ; boots++ {
		v, err := boot(boots)
		if err != nil {
			return nil, err
		}
		err = v.up(ctx, limit)
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, errNoAnswer) || boots == maxBoots {
			return nil, err
		}
		_, _ = fmt.Fprintf(stderr, "%v\nIt is started again.\n", err)
	}
}

// vmDir makes a directory for a virtual machine, which New removes when it is
// left behind.
func vmDir() (string, error) {
	if err := removeLeftovers(); err != nil {
		return "", err
	}
	return os.MkdirTemp("", fmt.Sprintf("%s%d-vm-", prefix, os.Getpid()))
}

// testRequest asks for this test program with its arguments. The limit is beyond
// the one that it sets itself, 0 when there is none.
func testRequest(started time.Time, bin string) (request, time.Duration, error) {
	var limit time.Duration
	if f, ok := flag.Lookup("test.timeout").Value.(flag.Getter); ok {
		limit, _ = f.Get().(time.Duration)
	}
	if limit > 0 {
		limit = max(limit-time.Since(started), time.Second)
	}
	program, err := os.Executable()
	if err != nil {
		return request{}, 0, err
	}
	r, err := newRequest(append([]string{program}, testArgs(os.Args[1:], limit)...))
	if err != nil {
		return r, 0, err
	}
	artefacts, err := filepath.Abs(artefactsDir())
	if err != nil {
		return r, 0, err
	}
	if err := os.MkdirAll(artefacts, 0o755); err != nil {
		return r, 0, err
	}
	r.Env = append(r.Env, "GOIKE_ARTEFACTS="+artefacts, binariesEnv+"="+bin)
	r.Shared = append(r.Shared, bin, artefacts)
	r.Shared = append(r.Shared, writtenByTests()...)
	if limit > 0 {
		limit += hangLimit
	}
	return r, limit, r.absolute()
}

// writtenByTests are the directories in which the flags of the tests tell them to
// write.
func writtenByTests() (dirs []string) {
	for _, name := range []string{"outputdir", "gocoverdir", "coverprofile", "cpuprofile", "memprofile",
		"blockprofile", "mutexprofile", "trace"} {
		f := flag.Lookup("test." + name)
		if f == nil || f.Value.String() == "" {
			continue
		}
		dir := f.Value.String()
		if !strings.HasSuffix(name, "dir") {
			if !filepath.IsAbs(dir) {
				continue // in the output directory
			}
			dir = filepath.Dir(dir)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// testArgs are the arguments for the test program inside. The log that go test
// asks for is left out: without it the result is not cached, and it depends on
// more than that log tells.
func testArgs(args []string, limit time.Duration) []string {
	var out []string
	for _, a := range args {
		switch name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); {
		case name == "test.testlogfile" && strings.Contains(a, "="):
		case name == "test.timeout" && strings.Contains(a, "=") && limit > 0:
			out = append(out, "-test.timeout="+limit.String())
		default:
			out = append(out, a)
		}
	}
	return out
}

// newRequest asks for a program in this directory, with this environment. The
// directory of this program is shared too.
func newRequest(args []string) (request, error) {
	kernel, err := store.FindKernel()
	if err != nil {
		return request{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return request{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return request{}, err
	}
	env := slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return name == "TMPDIR" || name == vmEnv || name == "GOIKE_ARTEFACTS"
	})
	return request{Args: args, Env: append(env, vmEnv+"=inside"), Dir: dir,
		Shared: []string{dir, filepath.Dir(program)}, Kernel: kernel}, nil
}

// absolute makes the shared directories absolute, and names each once.
func (r *request) absolute() error {
	for i, dir := range r.Shared {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		r.Shared[i] = abs
	}
	slices.Sort(r.Shared) // what is inside another comes after it
	r.Shared = slices.Compact(r.Shared)
	return nil
}

// lockVM waits until no other process of this user has a virtual machine: there
// is memory and time for one.
func lockVM(ctx context.Context, busy func()) (unlock func(), err error) {
	dir, err := store.Dir()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if first {
			busy()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
