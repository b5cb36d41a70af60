package toml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
)

// maxErrors bounds what is said about one file.
const maxErrors = 1000

// report gathers what is to be said about a file.
type report struct {
	file     string
	lines    *lines
	errs     conf.Errors
	unsaid   int // errors beyond maxErrors
	warnings []conf.Warning
}

func (r *report) full() bool { return len(r.errs) >= maxErrors }

func (r *report) error(at int, format string, args ...any) {
	if r.full() {
		r.unsaid++
		return
	}
	line, col := r.lines.position(at)
	r.errs = append(r.errs, conf.Error{File: r.file, Line: line, Col: col, Text: fmt.Sprintf(format, args...)})
}

func (r *report) warn(at int, text string) {
	if len(r.warnings) < maxErrors {
		line, col := r.lines.position(at)
		r.warnings = append(r.warnings, conf.Warning{File: r.file, Line: line, Col: col, Text: text})
	}
}

// result returns the errors in the order of the file, nil if there are none.
func (r *report) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	r.errs.Sort()
	if r.unsaid > 0 {
		r.errs = append(r.errs, conf.Error{File: r.file, Text: fmt.Sprintf("%d more errors; mend those above first", r.unsaid)})
	}
	return r.errs
}

// syntax reports an error of the parser. Some of its messages hold a character of
// the document, which may be one of a secret: those are said in other words.
func (r *report) syntax(p *unstable.Parser, err error) {
	var e *unstable.ParserError
	if !errors.As(err, &e) {
		r.error(len(p.Data()), "this is not TOML")
		return
	}
	text := e.Message
	for _, s := range syntaxTexts {
		if strings.HasPrefix(text, s.begin) {
			text = s.text
			break
		}
	}
	at := cap(p.Data()) - cap(e.Highlight)
	if len(e.Highlight) == 0 {
		at = len(p.Data())
	}
	r.error(at, "%s", text)
}

// syntaxTexts are texts for messages of the parser, by how these begin.
var syntaxTexts = []struct{ begin, text string }{
	{"expected newline but got", "more text behind the end of a key and its value; allowed: one key = value a line, and # comments"},
	{"invalid character at start of key", `no key can begin here; allowed: key = value, [section], [[section]], # comment`},
	{"unexpected character", `no value can begin here; allowed: "text" in quotes, a number, true, false, a [list]`},
	{"expected value but got", "a comma without a value before it; allowed: values with one comma between them"},
	{"expected keyword", `no value can begin here; allowed: "text" in quotes, a number, true, false, a [list]`},
	{"expected value, not end of input", `a key without a value; allowed: "text" in quotes, a number, true, false, a [list]`},
	{"expected digit but got", `a bad number; allowed: digits, or "text" in quotes`},
	{"strings must be quoted", `text without quotes; allowed: "text" in quotes`},
	{"expected '=' after key", "a key that no = follows; allowed: key = value"},
	{"invalid escape character", `an unknown escape sequence in a "text"; allowed: \b \t \n \f \r \e \" \\ \xHH \uHHHH \UHHHHHHHH, or 'text' without any`},
	{"basic strings cannot have new lines", `a " that no " on the same line closes; allowed: "text" in quotes`},
	{"unterminated basic string", `a " that no " on the same line closes; allowed: "text" in quotes`},
	{"literal strings cannot have new lines", `a ' that no ' on the same line closes; allowed: 'text' in quotes`},
	{"unterminated literal string", `a ' that no ' on the same line closes; allowed: 'text' in quotes`},
	{"array is incomplete", "a [ that no ] closes; allowed: a list in [ ]"},
}

// keyWord writes the name of a key for people: as it is if that is harmless.
func keyWord(name string) string {
	if name != "" && utf8.RuneCountInString(name) <= 64 && strings.Trim(name, bareChars) == "" {
		return name
	}
	return show([]byte(name))
}

const bareChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// show writes a value for people: quoted, on one line and of bounded length. What
// has several lines is not shown: it may hold anything, a secret for instance that
// a quotation mark in the wrong place has swallowed.
func show(b []byte) string {
	const most = 64
	s := string(b)
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == unicode.ReplacementChar }) {
		return "(text that is not shown)"
	}
	if utf8.RuneCountInString(s) > most {
		return strconv.Quote(string([]rune(s)[:most])) + "..."
	}
	return strconv.Quote(s)
}
