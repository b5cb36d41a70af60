// Package file reads the files of a configuration, and says who else can read them.
package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Open tells whether others than the owner can read a file of that mode, or write it.
func Open(mode fs.FileMode) bool { return mode.Perm()&0o077 != 0 }

// Read reads a regular file of at most so many octets; opening waits for no one. Errors
// do not name the path, their callers do.
func Read(path string, most int64) ([]byte, fs.FileMode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, withoutPath(err)
	case info.IsDir():
		return nil, 0, errors.New("is a directory")
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("is no regular file")
	case info.Size() > most:
		return nil, 0, fmt.Errorf("has %d octets; %d are the most", info.Size(), most)
	}
	b := make([]byte, info.Size()+1)
	n, err := io.ReadFull(f, b)
	if err == nil {
		// It grew, or has no size of its own, as files in /proc.
		var rest []byte
		rest, err = io.ReadAll(io.LimitReader(f, most+1-int64(n)))
		b = append(b, rest...)
		n = len(b)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(b)
		return nil, 0, withoutPath(err)
	}
	if int64(n) > most {
		clear(b)
		return nil, 0, fmt.Errorf("has more than %d octets", most)
	}
	return b[:n], info.Mode(), nil
}

func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
