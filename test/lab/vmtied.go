//go:build linux

package lab

import (
	"os/exec"
	"runtime"
	"syscall"
)

// tied is a process that ends when this one does.
type tied struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// startTied starts a process that the kernel kills when the thread that started
// it ends: a thread that is kept until the process has ended. In a group of its
// own it does not get the signals of the terminal.
func startTied(cmd *exec.Cmd, group bool) (*tied, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: group}
	t := &tied{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(t.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return t, nil
}

// stop ends the process, if there is one.
func (t *tied) stop() {
	if t == nil {
		return
	}
	_ = t.cmd.Process.Kill()
	<-t.done
}
