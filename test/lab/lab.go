//go:build linux

// Package lab builds small networks out of network namespaces and runs IKE
// daemons in them: goiked and strongSwan. The tests use it, and `make run`.
//
// Everything a Lab makes (namespaces, processes, files) is gone after Close.
// Namespaces are called goike-<pid>-<lab>-<name>, so that runs do not meet, and
// New removes what runs that were killed have left behind. It needs root.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
)

// prefix begins the name of every namespace and directory of a lab.
const prefix = "goike-"

var labs atomic.Uint32

// Lab owns what was made for one network, and takes it away again.
type Lab struct {
	// Dir holds sockets, configurations and logs. It is removed by Close.
	Dir string

	name    string
	ctx     context.Context // of the programs that are run to their end
	cancel  context.CancelFunc
	running sync.WaitGroup // these programs
	mu      sync.Mutex
	closers []func() error
	closed  bool
}

// ErrNotRoot says that the lab cannot be built by this user.
var ErrNotRoot = errors.New("the lab needs root: it makes network namespaces")

// New prepares an empty lab.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	if err := removeLeftovers(); err != nil {
		return nil, fmt.Errorf("removing what an earlier run left: %w", err)
	}
	name := fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), labs.Add(1))
	dir, err := os.MkdirTemp("", name)
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, name: name}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.Defer(func() error { return os.RemoveAll(dir) })
	return l, nil
}

// Defer adds f to what Close does, last added first. After Close it is done at
// once, so that nothing is left of what was being made meanwhile.
func (l *Lab) Defer(f func() error) {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.closers = append(l.closers, f)
	}
	l.mu.Unlock()
	if closed {
		_ = f()
	}
}

// Close stops all processes and removes all that the lab made. It may be called
// several times.
func (l *Lab) Close() error {
	l.mu.Lock()
	closers := l.closers
	l.closers, l.closed = nil, true
	l.mu.Unlock()
	l.cancel()
	l.running.Wait()
	var errs []error
	for _, f := range slices.Backward(closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// run notes that a program is being run to its end: Close ends it and waits for
// that. The error is that of a closed lab.
func (l *Lab) run(ctx context.Context) (_ context.Context, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errClosed
	}
	l.running.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel(); l.running.Done() }, nil
}

var errClosed = errors.New("the lab is closed")

// Mkdir makes a directory of the lab.
func (l *Lab) Mkdir(name string) (string, error) {
	dir := filepath.Join(l.Dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}
