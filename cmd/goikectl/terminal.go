//go:build linux

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// tty is the terminal that goikectl runs on.
type tty struct{ in, out *os.File }

func (t tty) size() int {
	w, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(w.Row)
}

// keys switches line editing and echo off. The signals of the keyboard stay.
func (t tty) keys() (pressed <-chan byte, restore func()) {
	fd := int(t.in.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, func() {} // input is no terminal
	}
	raw := *was
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, func() {}
	}
	keys := make(chan byte)
	// It ends with the process: nothing ends a read of a terminal.
	go func() {
		b := make([]byte, 1)
		for {
			if n, err := t.in.Read(b); n == 0 || err != nil {
				return
			}
			keys <- b[0]
		}
	}()
	return keys, func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }
}
