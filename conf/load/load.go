// Package load reads a configuration, in whatever format it is written: goike's own, with
// the files in strongSwan's syntax that belong to it, or swanctl.conf.
package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/swan"
	"github.com/goike/goike/conf/toml"
)

// File reads and validates a configuration. What ends in .toml is goike.toml(5), anything
// else swanctl.conf; charon is the strongswan.conf that goes with that, or empty. Errors
// are of type conf.Errors; the warnings are there even then. What further checks find in a
// configuration without errors is among them.
func File(path, charon string, checks ...conf.Check) (*conf.Config, []conf.Warning, error) {
	if swan.IsTOML(path) {
		if charon != "" {
			return nil, nil, conf.Errors{{File: charon, Text: "settings of charon go with a configuration in swanctl.conf's syntax only: write them into " + path}}
		}
		return own(path, checks)
	}
	c, ws, err := swan.Load(path, checks...)
	if err != nil || charon == "" {
		return c, ws, err
	}
	more, err := swan.LoadCharon(charon, c)
	if ws = append(ws, more...); err != nil {
		return nil, ws, err
	}
	return c, ws, nil
}

// own reads a goike.toml with what belongs to it.
func own(path string, checks []conf.Check) (*conf.Config, []conf.Warning, error) {
	c, ws, err := toml.Load(path)
	switch {
	case err != nil:
		return c, ws, err
	case len(c.ConfFiles) == 0 && len(checks) > 0:
		return toml.Load(path, checks...)
	case len(c.ConfFiles) == 0:
		return c, ws, err
	}
	m := merger{whole: c, warnings: ws, from: make(map[string]string)}
	for _, conn := range c.Connections {
		m.from[conn.Name] = path
	}
	for _, pattern := range c.ConfFiles {
		m.add(path, pattern)
	}
	if len(m.errs) > 0 {
		return nil, m.warnings, m.errs
	}
	keyless := c.Keyless()
	for _, conn := range c.Connections {
		if keyless[conn] && m.from[conn.Name] == path {
			m.warn(path, "connection %q: no secret is for its identities, so that it cannot authenticate; a control client can load one", conn.Name)
		}
	}
	m.check(path, checks)
	return c, m.warnings, nil
}

// check says what is to be said about connections of several files, each thing at the
// file that it is about.
func (m *merger) check(path string, checks []conf.Check) {
	for _, check := range checks {
		for _, f := range check(m.whole) {
			file := path
			if f.Conn >= 0 {
				file = m.from[m.whole.Connections[f.Conn].Name]
			}
			m.warn(file, "%s", f.Text)
		}
	}
}

// merger puts connections and secrets of several files together.
type merger struct {
	whole    *conf.Config
	from     map[string]string // the file of each connection
	warnings []conf.Warning
	errs     conf.Errors
}

func (m *merger) warn(file, format string, args ...any) {
	m.warnings = append(m.warnings, conf.Warning{File: file, Text: fmt.Sprintf(format, args...)})
}

func (m *merger) error(file, format string, args ...any) {
	m.errs = append(m.errs, conf.Error{File: file, Text: fmt.Sprintf(format, args...)})
}

// add reads the files of a pattern. A name without wildcards has to be there.
func (m *merger) add(from, pattern string) {
	files, err := filepath.Glob(pattern)
	switch {
	case err != nil:
		m.error(from, "ipsec.conf_files holds %q: %v", pattern, err)
	case len(files) > 0:
	case strings.ContainsAny(pattern, `*?[\`):
		m.warn(from, "ipsec.conf_files: no file is called %s", pattern)
	default:
		_, err := os.Stat(pattern)
		m.error(from, "ipsec.conf_files: %v", err)
	}
	for _, file := range files {
		m.file(file)
	}
}

func (m *merger) file(path string) {
	c, ws, err := swan.Load(path)
	m.warnings = append(m.warnings, ws...)
	if errs, ok := err.(conf.Errors); ok { //nolint:errorlint // never wrapped
		m.errs = append(m.errs, errs...)
	} else if err != nil {
		m.error(path, "%v", err)
	}
	if err != nil {
		return
	}
	for _, conn := range c.Connections {
		if first := m.from[conn.Name]; first != "" {
			m.error(path, "connection %q is in %s, too; allowed: a name used once", conn.Name, first)
			continue
		}
		m.from[conn.Name] = path
		m.whole.Connections = append(m.whole.Connections, conn)
	}
	m.whole.Secrets = append(m.whole.Secrets, c.Secrets...)
}
