//go:build linux

package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty opens a terminal and its other side.
func pty(t *testing.T) (outside, inside *os.File) {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = outside.Close() })
	fd := int(outside.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	inside, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = inside.Close() })
	return outside, inside
}

// Keys come at once, those that are signals elsewhere too, and afterwards the terminal is
// what it was.
func TestTerminal(t *testing.T) {
	outside, inside := pty(t)
	if !isTerminal(inside) {
		t.Error("a terminal is none")
	}
	if err := unix.IoctlSetWinsize(int(inside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	screen := tty{inside, inside}
	if columns, lines := screen.size(); columns != 80 || lines != 24 {
		t.Errorf("%d x %d", columns, lines)
	}
	settings := func() unix.Termios {
		v, err := unix.IoctlGetTermios(int(inside.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *v
	}
	before := settings()
	pressed, restore := screen.keys()
	if settings() == before {
		t.Error("keys come in lines")
	}
	if _, err := outside.WriteString("a\x03q"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []byte{'a', ctrlC, 'q'} {
		select {
		case got := <-pressed:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("%q does not arrive", want)
		}
	}
	restore()
	if settings() != before {
		t.Error("the terminal is not what it was")
	}
}

// A terminal that goes away is told, and one whose keys nobody takes can be left.
func TestTerminalGone(t *testing.T) {
	outside, inside := pty(t)
	_, restore := tty{inside, inside}.keys()
	if _, err := outside.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	restore()
	var pressed <-chan byte
	pressed, restore = tty{inside, inside}.keys()
	_ = outside.Close()
	for key := byte(0); key != 'q'; {
		select {
		case key = <-pressed:
		case <-time.After(patience):
			t.Fatal("nobody says that the terminal is gone")
		}
	}
	restore()
}

func TestNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	if isTerminal(w) {
		t.Error("a pipe is a terminal")
	}
	screen := tty{r, w}
	if columns, lines := screen.size(); columns != 0 || lines != 0 {
		t.Errorf("%d x %d", columns, lines)
	}
	if pressed, restore := screen.keys(); pressed != nil {
		t.Error("keys of a pipe")
	} else {
		restore()
	}
}
