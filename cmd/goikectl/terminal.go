//go:build linux

package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tty is the terminal that goikectl runs on.
type tty struct{ in, out *os.File }

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (t tty) size() (columns, lines int) {
	w, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(w.Col), int(w.Row)
}

// keys switches line editing, echo and the keys off that end or stop the process: those
// would leave the terminal as it is. Ctrl-S would hold the output, and with it the end.
func (t tty) keys() (pressed <-chan byte, restore func()) {
	fd := int(t.in.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, func() {} // input is no terminal
	}
	raw := *was
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG | unix.IEXTEN
	raw.Iflag &^= unix.IXON
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 0, 0
	r, w, err := os.Pipe()
	if err != nil {
		return nil, func() {}
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		_, _ = r.Close(), w.Close()
		return nil, func() {}
	}
	keys, quit, done := make(chan byte), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		readKeys(fd, int(r.Fd()), keys, quit)
	}()
	return keys, func() {
		close(quit)
		_ = w.Close()
		<-done
		_ = r.Close()
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, was)
	}
}

// readKeys hands the keys of a terminal over until quit is closed, and with it the other
// end of the pipe ended.
func readKeys(in, ended int, keys chan<- byte, quit <-chan struct{}) {
	buf := make([]byte, 64)
	for {
		fds := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(ended)}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil, fds[1].Revents != 0:
			return
		}
		n, err := unix.Read(in, buf)
		got := buf[:max(n, 0)]
		gone := n <= 0 && (fds[0].Revents&^unix.POLLIN != 0 || err != nil && !errors.Is(err, unix.EINTR))
		if gone {
			got = []byte{'q'}
		}
		for _, key := range got {
			select {
			case keys <- key:
			case <-quit:
				return
			}
		}
		if gone {
			return
		}
	}
}
