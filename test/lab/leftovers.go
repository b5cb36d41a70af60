//go:build linux

package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// pidFile lists, in the directory of a lab, the processes that it has started.
const pidFile = "pids"

// removeLeftovers ends the processes and removes the namespaces and directories
// of runs whose own process is gone.
func removeLeftovers() error {
	var errs []error
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if abandoned(filepath.Base(dir)) && ours(dir) {
			killRecorded(filepath.Join(dir, pidFile))
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	entries, err := os.ReadDir(netnsDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if abandoned(e.Name()) {
			errs = append(errs, deleteNamespace(e.Name()))
		}
	}
	return errors.Join(errs...)
}

// abandoned tells whether a name belongs to a run that is no more.
func abandoned(name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	pid, _, ok := strings.Cut(rest, "-")
	if !ok {
		return false
	}
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 0 {
		return false
	}
	return errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}

// ours tells whether a directory is one that this user made, and that no one
// else could write to.
func ours(dir string) bool {
	var st syscall.Stat_t
	if syscall.Lstat(dir, &st) != nil {
		return false
	}
	return st.Mode&syscall.S_IFMT == syscall.S_IFDIR && st.Mode&0o077 == 0 && int(st.Uid) == os.Geteuid()
}

// record notes a process in the lab's directory, so that a later run can end
// it. The time of its start tells it from another that got its number.
func (l *Lab) record(pid int) error {
	f, err := os.OpenFile(filepath.Join(l.Dir, pidFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %s\n", pid, startTime(pid))
	return errors.Join(err, f.Close())
}

func killRecorded(file string) {
	f, err := os.Open(file)
	if err != nil {
		return // it had started none
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		number, started, _ := strings.Cut(lines.Text(), " ")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 1 && started != "" && startTime(pid) == started {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// startTime is when a process started, in the kernel's ticks, or "".
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return ""
	}
	return fields[19]
}
