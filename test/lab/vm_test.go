//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// tiedEnv makes this program start a process that is tied to it.
const tiedEnv = "GOIKE_TEST_TIED"

func TestMain(m *testing.M) {
	VMInit()
	if os.Getenv(tiedEnv) != "" {
		t, err := startTied(exec.Command("sleep", "1000"), true)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(t.cmd.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

// forVM prepares a request of a shell script for a virtual machine.
func forVM(t *testing.T, script string) (dir string, r request) {
	t.Helper()
	Need(t, vmPrograms...)
	unlock, err := lockVM(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	if dir, err = vmDir(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if r, err = newRequest([]string{"sh", "-c", script}); err != nil {
		t.Fatal(err)
	}
	return dir, r
}

// What a program in the virtual machine prints, its exit code and what it writes
// to a shared directory are there at the end; what it writes elsewhere, or
// leaves running, is not.
func TestVM(t *testing.T) {
	defer goleak.VerifyNone(t)
	shared, elsewhere := t.TempDir(), t.TempDir()
	dir, r := forVM(t, `
		sleep 1000 &
		seq 1 200000
		echo "$GOIKE_VM $(pwd) $(id -u)" >&2
		mkdir -p "`+elsewhere+`"
		echo kept >"`+shared+`/file" && echo lost >"`+elsewhere+`/file" && test ! -e "`+elsewhere+`/before" &&
		ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel aead 'rfc4106(gcm(aes))' 0x`+strings.Repeat("11", 20)+` 128 &&
		test -c /dev/net/tun && ping -c 1 127.0.0.1 >&2 && exit 7`)
	r.Shared = append(r.Shared, shared)
	var out, errs bytes.Buffer
	code, err := runVM(t.Context(), dir, r, time.Minute, &out, &errs)
	if err != nil || code != 7 {
		t.Errorf("exit code %d, %v: %s", code, err, &errs)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 200000 || !strings.HasSuffix(out.String(), "\n200000\n") {
		t.Errorf("%d lines of 200000", lines)
	}
	if want := "inside " + r.Dir + " 0\n"; !strings.HasPrefix(errs.String(), want) {
		t.Errorf("%q on standard error, want %q", &errs, want)
	}
	if b, err := os.ReadFile(filepath.Join(shared, "file")); string(b) != "kept\n" {
		t.Errorf("shared: %q %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of the host was changed: %v", err)
	}
}

// A kernel that panics is an error with its last words.
func TestVMPanic(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir, r := forVM(t, "echo c >/proc/sysrq-trigger")
	var out bytes.Buffer
	_, err := runVM(t.Context(), dir, r, time.Minute, &out, &out)
	if err == nil || !strings.Contains(err.Error(), "Kernel panic") {
		t.Errorf("%v %s", err, &out)
	}
}

// fakeVM is one whose processes do nothing. It has said this line.
func fakeVM(t *testing.T, line string) *vm {
	t.Helper()
	v := newVM(t.TempDir())
	for _, p := range []**tied{&v.qemu, &v.virtiofsd} {
		var err error
		if *p, err = startTied(exec.Command("sleep", "1000"), true); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(v.stop)
	for i := range v.streams {
		v.streams[i] = newStream(strings.NewReader(""), &bytes.Buffer{})
	}
	if line != "" {
		v.lines <- line
	}
	_, _ = v.console.Write([]byte("first\nlast\n"))
	return v
}

func TestVMWait(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		line    string
		disturb func(*vm)
		code    int
		want    string
	}{
		{name: "it ends", line: fmt.Sprintf(controlExit, 3, 0, 0), code: 3},
		{name: "nonsense", line: "exit?", want: "exit?"},
		{name: "it hangs", want: "no answer"},
		{name: "interrupted", ctx: cancelled, want: "cancel"},
		{name: "it is closed", disturb: func(v *vm) { close(v.lines) }, want: "ended"},
		{name: "virtiofsd ends", disturb: func(v *vm) { v.virtiofsd.stop() }, want: "ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			v := fakeVM(t, c.line)
			defer v.stop()
			if c.disturb != nil {
				c.disturb(v)
			}
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			code, err := v.wait(c.ctx, 20*time.Millisecond)
			if code != c.code || (err == nil) != (c.want == "") {
				t.Errorf("code %d, error %v", code, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "first\nlast")) {
				t.Errorf("%v, without %q or the console", err, c.want)
			}
		})
	}
}

func TestBoot(t *testing.T) {
	mount := "mount /proc: no such device"
	for _, c := range []struct {
		name  string
		lines []string // of each boot; "" is one that hangs
		boots int
		want  string
	}{
		{"at once", []string{controlUp}, 1, ""},
		{"at last", []string{"", "", controlUp}, 3, ""},
		{"never", []string{"", "", ""}, 3, "did not start: no answer"},
		{"its set-up fails", []string{mount}, 1, "did not start: " + mount},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			boots := 0
			v, err := bootAgain(t.Context(), 10*time.Millisecond, io.Discard, func(n int) (*vm, error) {
				boots = n
				return fakeVM(t, c.lines[n-1]), nil
			})
			if v != nil {
				v.stop()
			}
			if boots != c.boots || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d boots, error %v", boots, err)
			}
		})
	}
}

// The kernel ends what is tied to a process that is killed.
func TestTied(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), tiedEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	_, err = fmt.Fscan(out, &pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := Eventually(5*time.Second, func() error {
		if ended(pid) {
			return nil
		}
		return fmt.Errorf("process %d lives", pid)
	}); err != nil {
		t.Error(err)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// ended tells whether a process is gone, or waits to be taken by its parent.
func ended(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(b), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}

func TestVMLock(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	unlock, err := lockVM(t.Context(), func() { t.Error("busy") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockVM(ctx, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a second lock: %v", err)
	}
	second, err := lockVM(t.Context(), unlock)
	if err != nil {
		t.Fatal(err)
	}
	second()
}

func TestTestArgs(t *testing.T) {
	got := testArgs([]string{"-test.testlogfile=/tmp/log", "-test.timeout=10m0s", "-test.run=A", "file"}, time.Minute)
	if want := []string{"-test.timeout=1m0s", "-test.run=A", "file"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := testArgs([]string{"-test.timeout=0s"}, 0); !slices.Equal(got, []string{"-test.timeout=0s"}) {
		t.Errorf("%q", got)
	}
}
