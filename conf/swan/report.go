package swan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goike/goike/conf"
)

// maxErrors bounds what is said about one configuration.
const maxErrors = 1000

// report gathers what is to be said about a configuration.
type report struct {
	errs     Errors
	unsaid   int  // errors beyond maxErrors
	broken   bool // the syntax is wrong: nothing more is read
	warnings []Warning
}

// Error is something wrong, and which option it is about.
type Error struct {
	conf.Error
	// Option is the name of the option; empty: the section as a whole.
	Option string
	// Unknown tells that there is no such option.
	Unknown bool
}

// Errors is everything wrong in a configuration or a section of it.
type Errors []Error

// Error returns one line for each error.
func (es Errors) Error() string { return es.plain().Error() }

func (es Errors) plain() conf.Errors {
	plain := make(conf.Errors, len(es))
	for i, e := range es {
		plain[i] = e.Error
	}
	return plain
}

func (p Pos) error(format string, args ...any) conf.Error {
	return conf.Error{File: p.File, Line: p.Line, Col: p.Col, Text: fmt.Sprintf(format, args...)}
}

func (r *report) add(e Error) {
	if len(r.errs) >= maxErrors {
		r.unsaid++
		return
	}
	r.errs = append(r.errs, e)
}

func (r *report) error(at Pos, option, format string, args ...any) {
	r.add(Error{Error: at.error(format, args...), Option: option})
}

// fail reports an error after which nothing more can be read; only the first counts.
func (r *report) fail(at Pos, format string, args ...any) {
	if !r.broken {
		r.error(at, "", format, args...)
	}
	r.broken = true
}

func (r *report) failed() bool { return r.broken }

func (r *report) warn(at Pos, format string, args ...any) {
	if len(r.warnings) < maxErrors {
		r.warnings = append(r.warnings, Warning(at.error(format, args...)))
	}
}

// result returns the errors in the order of the files, nil if there are none.
func (r *report) result(file string) error {
	conf.SortWarnings(r.warnings)
	if len(r.errs) == 0 {
		return nil
	}
	plain := r.errs.plain()
	plain.Sort()
	if r.unsaid > 0 {
		plain = append(plain, conf.Error{File: file, Text: fmt.Sprintf("%d more errors; mend those above first", r.unsaid)})
	}
	return plain
}

// word writes a name for people: as it is if that is harmless.
func word(name string) string {
	if name != "" && utf8.RuneCountInString(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool { return r > '~' || r <= ' ' }) {
		return name
	}
	return show(name)
}

// show writes a value for people: quoted, on one line and of bounded length. What has
// several lines is not shown: a quotation mark in the wrong place may have swallowed a
// secret.
func show(s string) string {
	const most = 64
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return "(text that is not shown)"
	}
	if utf8.RuneCountInString(s) > most {
		return strconv.Quote(string([]rune(s)[:most])) + "..."
	}
	return strconv.Quote(s)
}
