package ipsec

import (
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
)

// Bounds of what is read.
const (
	maxFile  = 4 << 20
	maxFiles = 1000
	maxDepth = 10 // of includes
	maxParts = 200_000
)

// place is a line of a file.
type place struct {
	file string
	line int
}

// setting is a key and its value.
type setting struct {
	key, value string
	at         place
}

// section is one of an ipsec.conf: kind is config, conn or ca.
type section struct {
	kind, name string
	at         place
	settings   []setting
}

// parser reads files and what they include.
type parser struct {
	read     func(path string) ([]byte, fs.FileMode, error)
	glob     func(pattern string) ([]string, error)
	errs     conf.Errors
	warnings []conf.Warning
	files    int
	parts    int
	depth    int
	own      []netip.Addr // of this host
}

func newParser() *parser {
	return &parser{
		read: func(path string) ([]byte, fs.FileMode, error) { return file.Read(path, maxFile) },
		glob: func(pattern string) ([]string, error) {
			paths, err := filepath.Glob(pattern)
			slices.Sort(paths)
			return paths, err
		},
	}
}

func (p *parser) error(at place, format string, args ...any) {
	const most = 1000
	if len(p.errs) < most {
		p.errs = append(p.errs, conf.Error{File: at.file, Line: at.line, Col: column(at), Text: fmt.Sprintf(format, args...)})
	}
}

func (p *parser) warn(at place, format string, args ...any) {
	const most = 1000
	w := conf.Warning{File: at.file, Line: at.line, Col: column(at), Text: fmt.Sprintf(format, args...)}
	if len(p.warnings) < most && !slices.Contains(p.warnings, w) { // several conns may have it from one
		p.warnings = append(p.warnings, w)
	}
}

// column is the first one: settings stand alone on their lines.
func column(at place) int { return min(at.line, 1) }

// lines hands over the lines of a file, without comments and empty ones, and those of the
// files that it includes in their place.
func (p *parser) lines(path string, from place, hand func(line string, at place)) {
	if p.depth >= maxDepth || p.files >= maxFiles {
		p.error(from, "includes go too deep, or there are too many: %d deep and %d files are the most", maxDepth, maxFiles)
		return
	}
	p.depth++
	p.files++
	defer func() { p.depth-- }()
	data, _, err := p.read(path)
	if err != nil {
		p.error(place{file: path}, "%v", err)
		return
	}
	defer clear(data)
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		at := place{path, n}
		line = strings.TrimRight(uncommented(strings.TrimRight(line, "\r\n")), " \t")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if p.parts++; p.parts > maxParts {
			p.error(at, "the configuration has more than %d lines", maxParts)
			return
		}
		if pattern, is := strings.CutPrefix(line, "include"); is && strings.TrimLeft(pattern, " \t") != pattern {
			p.include(strings.Trim(pattern, " \t\""), at, hand)
			continue
		}
		hand(line, at)
	}
}

// uncommented cuts a comment off that begins the line or has a blank before it, outside of
// quotes.
func uncommented(line string) string {
	quote := byte(0)
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || (line[i-1] == ' ' || line[i-1] == '\t')):
			return line[:i]
		}
	}
	return line
}

func (p *parser) include(pattern string, at place, hand func(string, place)) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(at.file), pattern)
	}
	paths, err := p.glob(pattern)
	if err != nil {
		p.error(at, "include %q: %v", pattern, err)
	}
	if len(paths) == 0 && err == nil {
		p.warn(at, "include %q: there is no such file", pattern)
	}
	for _, path := range paths {
		p.lines(path, at, hand)
	}
}

// sections reads the sections of an ipsec.conf.
func (p *parser) sections(path string) []*section {
	var all []*section
	p.lines(path, place{file: path}, func(line string, at place) {
		words := strings.Fields(line)
		indented := line[0] == ' ' || line[0] == '\t'
		switch {
		case !indented && words[0] == "version":
		case !indented && slices.Contains([]string{"config", "conn", "ca"}, words[0]):
			if len(words) != 2 {
				p.error(at, "%s needs a name; allowed: config setup, conn NAME, ca NAME", words[0])
				return
			}
			all = append(all, &section{kind: words[0], name: words[1], at: at})
		default:
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			switch {
			case !ok:
				p.error(at, "this line is none of config setup, conn NAME, ca NAME, include FILE, key=value")
			case len(all) == 0:
				p.error(at, "%s stands before the first section; allowed: config setup, conn NAME", word(key))
			default:
				s := all[len(all)-1]
				s.settings = append(s.settings, setting{strings.ToLower(strings.TrimSpace(key)), unquoted(strings.TrimSpace(value)), at})
			}
		}
	})
	return all
}

func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// word shows a word of a file, cut short, without what a terminal may take for a command.
func word(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf("%q", s)
}

// Is tells whether a file is an ipsec.conf, and not a swanctl.conf.
func Is(path string) (bool, error) {
	data, _, err := file.Read(path, maxFile)
	if err != nil {
		return false, conf.Errors{{File: path, Text: err.Error()}}
	}
	defer clear(data)
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(uncommented(strings.TrimRight(line, "\r\n")))
		if len(words) == 2 && (words[0] == "conn" || words[0] == "ca" || words[0] == "config" && words[1] == "setup") {
			return true, nil
		}
	}
	return false, nil
}
