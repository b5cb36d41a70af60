//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// runDir is the directory of one instance, locked while it runs.
type runDir struct {
	pid *os.File
}

// openRunDir makes the directory and locks it. A second instance on the same
// directory is refused.
func openRunDir(dir string) (*runDir, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, missing(fmt.Errorf("run directory: %w", err))
	}
	name := filepath.Join(dir, "goiked.pid")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, missing(fmt.Errorf("run directory: %w", err))
	}
	// The lock goes with the process, however that ends.
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = writePid(f)
	} else if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another goiked runs on %s; give this one a --run-dir of its own", dir)
	}
	if err != nil {
		return nil, missing(errors.Join(err, f.Close()))
	}
	return &runDir{pid: f}, nil
}

func writePid(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

// close removes the pid file and frees the directory.
func (d *runDir) close() error {
	return errors.Join(os.Remove(d.pid.Name()), d.pid.Close())
}
