// Package toml reads configurations in goike's own format, goike.toml(5).
//
// Everything that is wrong with a file is reported at once, each error with its
// place, what was found there and what is allowed. Errors never show a secret, nor
// text that may be one.
package toml

import (
	"bytes"
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
)

// Warning is something that works and that the administrator should know.
type Warning = conf.Warning

var byteOrderMark = []byte("\xef\xbb\xbf")

// Load reads and validates a configuration file. A file that holds a secret must be
// readable by its owner only. Errors are of type conf.Errors; the warnings are there
// even then, and what further checks find in a configuration without errors is among
// them.
func Load(path string, checks ...conf.Check) (*conf.Config, []Warning, error) {
	data, mode, err := file.Read(path, maxFile)
	if err != nil {
		return nil, nil, conf.Errors{{File: path, Text: err.Error()}}
	}
	defer clear(data)
	r := newReader(path, data, readSecretFile)
	r.read()
	if r.psk >= 0 && file.Open(mode) {
		r.error(r.psk, "the file holds a secret, but its mode is %04o; allowed: 0600 (chmod 600 %s), or the secret in a pre_shared_key_file", mode.Perm(), path)
	}
	r.check(checks)
	return r.finish()
}

// check makes warnings of what further checks find.
func (r *reader) check(checks []conf.Check) {
	if len(r.errs) > 0 {
		return
	}
	for _, check := range checks {
		for _, f := range check(r.conf) {
			r.warn(r.whereIs(f), f.Text)
		}
	}
}

// Parse reads and validates a configuration. The name is what errors call it, and
// where relative paths of pre_shared_key_file begin.
func Parse(name string, data []byte) (*conf.Config, []Warning, error) {
	return parse(name, data, readSecretFile)
}

func parse(name string, data []byte, secrets secretFiles) (*conf.Config, []Warning, error) {
	if len(data) > maxFile {
		return nil, nil, conf.Errors{{File: name, Text: fmt.Sprintf("has %d octets; %d are the most", len(data), maxFile)}}
	}
	r := newReader(name, data, secrets)
	r.read()
	return r.finish()
}

func newReader(name string, data []byte, secrets secretFiles) *reader {
	data = bytes.TrimPrefix(data, byteOrderMark)
	return &reader{
		report: &report{file: name, lines: newLines(data)}, conf: conf.Default(),
		places: make(map[conf.Place]int), spoiled: make(map[conf.Place]bool), secrets: secrets, psk: -1,
	}
}

// read reads the document. What depends on the whole of it is left out when a part
// could not be read.
func (r *reader) read() {
	root, whole := build(r.lines.data, r.report)
	r.document(root)
	if !whole {
		return
	}
	for _, f := range conf.Validate(r.conf) {
		switch {
		case r.follows(f):
		case f.Warning:
			r.warn(r.whereIs(f), f.Text)
		default:
			r.error(r.whereIs(f), "%s", f.Text)
		}
	}
}

// follows tells whether a finding is about a setting that already has an error.
func (r *reader) follows(f conf.Finding) bool {
	at := f.Place
	at.Index = 0
	if r.spoiled[at] {
		return true
	}
	for _, p := range f.Also {
		if r.spoiled[p] {
			return true
		}
	}
	return false
}

// whereIs finds the offset of what a finding is about: of the setting, or, when it
// is not in the file, of what it depends on or belongs to.
func (r *reader) whereIs(f conf.Finding) int {
	p := f.Place
	places := append([]conf.Place{p, {Conn: p.Conn, Child: p.Child, Key: p.Key}}, f.Also...)
	for _, q := range append(places, conf.Place{Conn: p.Conn, Child: p.Child}, conf.Place{Conn: p.Conn, Child: -1}) {
		if at, ok := r.places[q]; ok {
			return at
		}
	}
	return 0
}

func (r *reader) finish() (*conf.Config, []Warning, error) {
	conf.SortWarnings(r.warnings)
	if err := r.result(); err != nil {
		return nil, r.warnings, err
	}
	return r.conf, r.warnings, nil
}
