//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Command says what to run in a namespace.
type Command struct {
	Args  []string
	Env   []string // added to the environment
	Stdin string
	// Private directories: each key is covered by the directory that is its value,
	// for this process alone.
	Mounts map[string]string
	// Attr is given to the process as it is; nil: none.
	Attr *syscall.SysProcAttr
}

// Process is a program that runs in a namespace until Stop.
type Process struct {
	Log string // file with its standard output and standard error

	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs a program in the namespace and keeps what it prints in a log file
// of the lab that is called name.
func (n *Namespace) Start(name string, c Command) (*Process, error) {
	file, err := os.OpenFile(filepath.Join(n.lab.Dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd := n.command(context.Background(), c)
	cmd.Stdout, cmd.Stderr = file, file
	p := &Process{Log: file.Name(), cmd: cmd, done: make(chan struct{})}
	if err := n.Do(cmd.Start); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // the exit code is in cmd.ProcessState
		close(p.done)
	}()
	n.lab.Defer(func() error { p.Stop(); return nil })
	return p, n.lab.record(p.Pid())
}

// Run runs a program in the namespace to its end and returns its standard
// output. The error holds what it printed on standard error.
func (n *Namespace) Run(ctx context.Context, args ...string) (string, error) {
	return n.RunCommand(ctx, Command{Args: args})
}

// RunCommand is Run with more to say.
func (n *Namespace) RunCommand(ctx context.Context, c Command) (string, error) {
	var out, errs bytes.Buffer
	ctx, done, err := n.lab.run(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	cmd := n.command(ctx, c)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	if err := n.Do(cmd.Start); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err,
			strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

func (n *Namespace) command(ctx context.Context, c Command) *exec.Cmd {
	args := c.Args
	attr := &syscall.SysProcAttr{}
	if c.Attr != nil {
		*attr = *c.Attr
	}
	attr.Pdeathsig = 0 // tied to the thread that started it, not to this process
	attr.Setpgid = true
	if len(c.Mounts) > 0 {
		attr.Unshareflags |= syscall.CLONE_NEWNS
		var script strings.Builder
		for at, dir := range c.Mounts {
			fmt.Fprintf(&script, "mount --bind '%s' '%s' && ", dir, at)
		}
		script.WriteString(`exec "$@"`)
		args = append([]string{"sh", "-c", script.String(), "sh"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	cmd.SysProcAttr = attr
	return cmd
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the process to end (SIGTERM), and after ten seconds makes it. It
// returns the exit code, -1 when a signal ended it.
func (p *Process) Stop() int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
	}
	_ = p.Signal(syscall.SIGTERM)
	if _, ended := p.Wait(10 * time.Second); !ended {
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, as a crash would.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Wait waits for the process to end by itself, and returns its exit code.
func (p *Process) Wait(limit time.Duration) (code int, ended bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Running tells whether the process still runs.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Output is what the process has printed so far.
func (p *Process) Output() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ErrEnded says that a process ended while something was expected of it.
var ErrEnded = errors.New("the process has ended")

// WaitLine waits until the process has printed a line that matches.
func (p *Process) WaitLine(pattern string, limit time.Duration) error {
	re := regexp.MustCompile(`(?m)` + pattern)
	return Eventually(limit, func() error {
		if re.MatchString(p.Output()) {
			return nil
		}
		if !p.Running() {
			return Final(fmt.Errorf("%w before it printed %q: %s", ErrEnded, pattern, tail(p.Output(), 20)))
		}
		return fmt.Errorf("no line %q: %s", pattern, tail(p.Output(), 20))
	})
}

// final is an error that waiting will not cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Final marks an error that Eventually does not wait to go away.
func Final(err error) error { return final{err} }

// Eventually calls f until it returns nil, for at most limit. The error is the
// last one of f.
func Eventually(limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := f()
		var end final
		if err == nil || errors.As(err, &end) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(wait)
	}
}

// How long daemons may take to start, and to answer their tools. On a busy machine, or
// an emulated one, it can take long; a test ends earlier only when all is well.
const (
	startLimit = time.Minute
	askLimit   = time.Minute
)

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
