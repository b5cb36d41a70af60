package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the group whose members may steer the daemon.
const Group = "goike"

// ErrInUse says that a daemon answers at the socket.
var ErrInUse = errors.New("another goiked answers")

// maxSocketPath is how long the path of a Unix socket can be.
const maxSocketPath = 107

// Listen opens the control socket: mode 0660, of the group Group where that exists
// and we may give it away. The socket of a daemon that is gone is replaced; the
// error for one that answers wraps ErrInUse. What is no socket is left alone.
func Listen(path string) (net.Listener, error) { return ListenAs("control socket", path) }

// ListenAs is Listen for another socket of the daemon; what names it in errors.
func ListenAs(what, path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%s %s: the path has %d octets, at most %d are possible", what, path, len(path), maxSocketPath)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("%s %w", what, err)
	}
	// On Linux the mode of the socket itself becomes that of its file, so that there
	// is no moment at which others could connect.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, path, err)
	}
	if err := open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s: %w", what, path, err), l.Close())
	}
	return l, nil
}

// open gives the socket to the group.
func open(path string) error {
	if g, err := user.LookupGroup(Group); err == nil {
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return err
		}
		if err := os.Lchown(path, -1, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// removeStale removes a socket at which nobody answers.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s: there is something that is no socket; remove it, or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, dialTime)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("is in use: %w at %s", ErrInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: cannot tell whether a daemon answers: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// dialTime bounds a connection attempt: connecting waits only while the daemon
// accepts nobody.
const dialTime = 5 * time.Second
