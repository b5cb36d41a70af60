package toml

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
	"github.com/goike/goike/crypto"
)

// Sizes of files.
const (
	maxFile       = 16 << 20
	maxSecretFile = 64 << 10
)

// secretFiles reads a file that a configuration keeps a secret in.
type secretFiles func(path string) ([]byte, error)

// secret reads a pre-shared key, which is in one item or in the file that another names;
// either may be nil.
func (s scope) secret(key, keyFile *item) (psk crypto.Secret) {
	switch {
	case key != nil && keyFile != nil:
		s.spoiled[s.at(key.name)] = true
		s.bad(keyFile.name, keyFile.at, "and %s are both given; allowed: one of them", s.prefix+key.name)
	case key != nil:
		psk = s.presharedKey(key)
	case keyFile != nil:
		psk = s.presharedKeyFile(keyFile)
	}
	if key != nil && s.psk < 0 {
		s.psk = key.at
	}
	return psk
}

// presharedKey never shows the value, not even of a wrong type.
func (s scope) presharedKey(it *item) crypto.Secret {
	if it.kind != unstable.String {
		s.wrongType(it.name, it.value, conf.AllowedSecret)
		return nil
	}
	psk, err := conf.ParseSecret(it.text)
	if err != nil {
		s.bad(it.name, it.value.at, "%v; allowed: %s", err, conf.AllowedSecret)
	}
	return psk
}

// presharedKeyFile takes the last end of line off what the file holds: editors put
// one there.
func (s scope) presharedKeyFile(it *item) (psk crypto.Secret) {
	const allowed = "a file of mode 0600 that holds the key, or credential:NAME"
	path, ok := s.text(it.name, it.value, allowed)
	if !ok {
		return nil
	}
	if path == "" {
		s.bad(it.name, it.value.at, "is empty; allowed: %s", allowed)
		return nil
	}
	path, err := s.keyPath(path)
	if err == nil {
		var content []byte
		content, err = s.secrets(path)
		defer clear(content)
		if err == nil {
			key := bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
			psk, err = conf.ParseSecret(key)
		}
	}
	if err != nil {
		s.bad(it.name, it.value.at, "%s %v; allowed: %s", show([]byte(path)), err, allowed)
	}
	return psk
}

// credentialsDir is where systemd puts the credentials of a service.
const credentialsDir = "CREDENTIALS_DIRECTORY"

// keyPath is the path of a key file, or of a credential that systemd gives the service.
func (s scope) keyPath(path string) (string, error) {
	name, credential := strings.CutPrefix(path, "credential:")
	dir := os.Getenv(credentialsDir)
	switch {
	case !credential && filepath.IsAbs(path):
		return path, nil
	case !credential:
		return filepath.Join(filepath.Dir(s.file), path), nil
	case name == "" || strings.Contains(name, "/"):
		return path, errors.New("names no credential")
	case dir == "":
		return path, fmt.Errorf("is for a service of systemd with LoadCredential=%s:FILE; here there are none ($%s is not set)", name, credentialsDir)
	}
	return filepath.Join(dir, name), nil
}

// sharedSecret is a section [[secret]] in the making.
type sharedSecret struct {
	conf.Secret
	key, keyFile *item
}

var secretKeys = []key[*sharedSecret]{
	{"owners", readOwners},
	{"key", func(_ scope, p *sharedSecret, it *item) { p.key = it }},
	{"key_file", func(_ scope, p *sharedSecret, it *item) { p.keyFile = it }},
}

// sharedSecret reads a pre-shared key for the identities of connections that have none
// of their own.
func (r *reader) sharedSecret(from *table) {
	s := scope{reader: r, label: "[[secret]]", prefix: "secret.", place: conf.Place{Conn: -1, Child: -1, Index: len(r.conf.Secrets)}}
	p := &sharedSecret{}
	fill(s, secretKeys, from, p)
	if p.key == nil && p.keyFile == nil {
		s.error(from.at, "secret has no key; allowed: key or key_file (goikectl genpsk prints a key)")
		return
	}
	p.Key = s.secret(p.key, p.keyFile)
	r.conf.Secrets = append(r.conf.Secrets, p.Secret)
}

func readOwners(s scope, p *sharedSecret, it *item) {
	const allowed = allowedID + ", with wildcards"
	list, ok := s.list(it, allowed)
	if !ok {
		return
	}
	for _, v := range list {
		if owner, ok := s.identity(it.name, v, allowed); ok {
			p.Owners = append(p.Owners, owner)
		}
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
