package toml

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
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
	b, mode, err := file.Read(path, maxSecretFile)
	if err == nil && file.Open(mode) {
		clear(b)
		return nil, fmt.Errorf("has mode %04o, so that others can read it: chmod 600 %s", mode.Perm(), path)
	}
	return b, err
}
