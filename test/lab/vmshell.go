//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// RunInVM runs a command in a virtual machine, in this directory, and returns
// its exit code. Without a command it is a shell on this terminal.
func RunInVM(ctx context.Context, args ...string) (int, error) {
	if reason := missingForVM(); reason != "" {
		return 0, errors.New(reason)
	}
	unlock, err := lockVM(ctx, func() {
		fmt.Fprintln(os.Stderr, "waiting for the end of another virtual machine")
	})
	if err != nil {
		return 0, err
	}
	defer unlock()
	dir, err := vmDir()
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r, err := newRequest(args)
	if err != nil {
		return 0, err
	}
	if len(args) > 0 {
		return runVM(ctx, dir, r, 0, os.Stdout, os.Stderr)
	}
	r.Args, r.Terminal = []string{"bash", "-i"}, true
	if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil {
		r.Rows, r.Columns = size.Row, size.Col
	}
	if saved, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		defer func() { _ = unix.IoctlSetTermios(0, unix.TCSETS, saved) }() // QEMU is killed
	}
	return runVM(ctx, dir, r, 0, os.Stdout, os.Stderr)
}
