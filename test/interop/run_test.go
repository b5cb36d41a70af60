//go:build linux

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// `make run` cleans up when it is interrupted, wherever it is.
func TestRunInterrupted(t *testing.T) {
	newWorld(t)
	bins := binaries(t)
	dir := filepath.Dir(bins.Goiked)
	run := filepath.Join(dir, "run")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", run, "github.com/goike/goike/test/run").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	for _, at := range []string{"* starting goiked on a", "* iperf3", "Ctrl-C ends it"} {
		t.Run(strings.Trim(at, "* "), func(t *testing.T) { interrupt(t, run, dir, at) })
	}
}

func interrupt(t *testing.T, run, bin, at string) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	mark := fmt.Sprintf("GOIKE_INTERRUPTED=%d-%s", os.Getpid(), file.Name())
	cmd := exec.Command(run, "-bin", bin)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed := func() string {
		b, err := os.ReadFile(file.Name())
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	err = lab.Eventually(30*time.Second, func() error {
		if !strings.Contains(printed(), at) {
			return fmt.Errorf("no line %q: %s", at, printed())
		}
		return nil
	})
	_ = cmd.Process.Signal(syscall.SIGINT)
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // interrupted: its exit code is not 0
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("does not end: %s", printed())
	}
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(fmt.Sprintf("/run/netns/goike-%d-*", cmd.Process.Pid))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if left := runningWith(t, mark); len(left) > 0 {
		t.Errorf("these programs run on: %v", left)
	}
}

// runningWith lists the programs that have a word in their environment.
func runningWith(t *testing.T, word string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(env), word) {
			continue // gone meanwhile, or not ours
		}
		if cmd, err := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline")); err == nil {
			found = append(found, strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	return found
}
