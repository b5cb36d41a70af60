package toml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
)

// Sizes of files.
const (
	maxFile       = 16 << 20
	maxSecretFile = 64 << 10
)

// secretFiles reads a file that a configuration keeps a secret in.
type secretFiles func(path string) ([]byte, error)

// secret reads the pre-shared key of a connection.
func (s scope) secret(p *phase1) {
	switch {
	case p.key != nil && p.keyFile != nil:
		s.spoiled[s.at(p.key.name)] = true
		s.bad(p.keyFile.name, p.keyFile.at, "and pre_shared_key are both given; allowed: one of them")
	case p.key != nil:
		s.presharedKey(p)
	case p.keyFile != nil:
		s.presharedKeyFile(p)
	}
	if p.key != nil && s.psk < 0 {
		s.psk = p.key.at
	}
}

// presharedKey never shows the value, not even of a wrong type.
func (s scope) presharedKey(p *phase1) {
	it := p.key
	if it.kind != unstable.String {
		s.wrongType(it.name, it.value, conf.AllowedSecret)
		return
	}
	var err error
	if p.conn.PSK, err = conf.ParseSecret(it.text); err != nil {
		s.bad(it.name, it.value.at, "%v; allowed: %s", err, conf.AllowedSecret)
	}
}

// presharedKeyFile takes the last end of line off what the file holds: editors put
// one there.
func (s scope) presharedKeyFile(p *phase1) {
	const allowed = "a file of mode 0600 that holds the key"
	it := p.keyFile
	path, ok := s.text(it.name, it.value, allowed)
	if !ok {
		return
	}
	if path == "" {
		s.bad(it.name, it.value.at, "is empty; allowed: %s", allowed)
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(s.file), path)
	}
	content, err := s.secrets(path)
	defer clear(content)
	if err == nil {
		key := bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
		p.conn.PSK, err = conf.ParseSecret(key)
	}
	if err != nil {
		s.bad(it.name, it.value.at, "%s %v; allowed: %s", show([]byte(path)), err, allowed)
	}
}

// readSecretFile reads a file that only its owner may read.
func readSecretFile(path string) ([]byte, error) {
	b, mode, err := readFile(path, maxSecretFile)
	if err == nil && tooOpen(mode) {
		clear(b)
		return nil, fmt.Errorf("has mode %04o, so that others can read it: chmod 600 %s", mode.Perm(), path)
	}
	return b, err
}

func tooOpen(mode fs.FileMode) bool { return mode.Perm()&0o077 != 0 }

// readFile reads a regular file of limited size; opening waits for no one. Errors
// do not name the path, their callers do.
func readFile(path string, most int64) ([]byte, fs.FileMode, error) {
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
