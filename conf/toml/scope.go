package toml

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
)

// reader turns the tree of a document into a configuration.
type reader struct {
	*report
	conf    *conf.Config
	places  map[conf.Place]int  // where each setting stands
	spoiled map[conf.Place]bool // settings with an error
	ipcomp  bool                // ipsec.ipcomp
	// advanced is ipsec.configuration_mode = "advanced".
	advanced bool
	secrets  secretFiles
	psk      int // offset of the first secret in the document; -1: there is none
}

// scope is the part of a document that one table is: it knows how its keys are
// called.
type scope struct {
	*reader
	label  string // as it is written in the file: "[log]", "[[phase1]]"
	prefix string // before its keys in texts: "log."
	place  conf.Place
}

// at is the place of a key.
func (s scope) at(key string) conf.Place {
	p := s.place
	p.Key = s.prefix + key
	return p
}

// bad reports an error in the value of a key; at is where.
func (s scope) bad(key string, at int, format string, args ...any) {
	s.spoiled[s.at(key)] = true
	s.error(at, s.prefix+key+" "+format, args...)
}

// wrongType reports a value of a type that its key cannot have.
func (s scope) wrongType(key string, v value, allowed string) {
	found := kindWord(v.kind)
	if v.kind == unstable.Bool {
		found = string(v.text)
	}
	s.bad(key, v.at, "is %s; allowed: %s", found, allowed)
}

func kindWord(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Integer:
		return "an integer"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Bool:
		return "true or false"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a section"
	case unstable.ArrayTable:
		return "a list of sections"
	case unstable.LocalDate, unstable.LocalTime, unstable.LocalDateTime, unstable.DateTime:
		return "a date or time"
	}
	return "no value"
}

// text reads a string without control characters.
func (s scope) text(key string, v value, allowed string) (string, bool) {
	if v.kind != unstable.String {
		s.wrongType(key, v, allowed)
		return "", false
	}
	text := string(v.text)
	if strings.ContainsFunc(text, unicode.IsControl) {
		s.bad(key, v.at, "has control characters or several lines; allowed: %s", allowed)
		return "", false
	}
	return text, true
}

func (s scope) boolean(it *item) (b, ok bool) {
	if it.kind != unstable.Bool {
		s.wrongType(it.name, it.value, "true, false")
		return false, false
	}
	return string(it.text) == "true", true
}

func (s scope) integer(key string, v value, least, most int64, allowed string) (int64, bool) {
	if v.kind != unstable.Integer {
		s.wrongType(key, v, allowed)
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(string(v.text), "_", ""), 0, 64)
	if err != nil || n < least || n > most {
		s.bad(key, v.at, "is %s; allowed: %s", plain(v.text), allowed)
		return 0, false
	}
	return n, true
}

// number reads a number with or without a fraction. Its range is checked by others.
func (s scope) number(it *item, allowed string) (float64, bool) {
	if it.kind != unstable.Integer && it.kind != unstable.Float {
		s.wrongType(it.name, it.value, allowed)
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(string(it.text), "_", ""), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		s.bad(it.name, it.value.at, "is %s; allowed: %s", plain(it.text), allowed)
		return 0, false
	}
	return f, true
}

// plain writes a number as it stands in the file, cut short.
func plain(b []byte) string {
	const most = 32
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}

// duration reads a duration; forever says whether it may be without end.
func (s scope) duration(it *item, least time.Duration, forever bool) (time.Duration, bool) {
	allowed := conf.AllowedDuration
	if forever {
		allowed += `, or "forever"`
	}
	if it.kind == unstable.Integer || it.kind == unstable.Float {
		s.bad(it.name, it.value.at, `is a number without a unit; allowed: %s; for seconds "%ss"`, allowed, plain(it.text))
		return 0, false
	}
	text, ok := s.text(it.name, it.value, allowed)
	if !ok {
		return 0, false
	}
	if forever && text == "forever" {
		return conf.Forever, true
	}
	d, err := conf.ParseDuration(text)
	switch {
	case err != nil:
		s.bad(it.name, it.value.at, "%s %s; allowed: %s", show(it.text), err, allowed)
	case d < least:
		s.bad(it.name, it.value.at, "is %s; allowed: %s or longer", show(it.text), conf.FormatDuration(least))
	default:
		return d, true
	}
	return 0, false
}

// list reads one string or a list of strings, not empty.
func (s scope) list(it *item, allowed string) ([]value, bool) {
	switch it.kind {
	case unstable.String:
		return []value{it.value}, true
	case unstable.Array:
	default:
		s.wrongType(it.name, it.value, allowed+", or a list of them")
		return nil, false
	}
	if len(it.list) == 0 {
		s.bad(it.name, it.value.at, "is empty; allowed: %s, or a list of them", allowed)
		return nil, false
	}
	ok := true
	for _, v := range it.list {
		if v.kind != unstable.String {
			s.wrongType(it.name, v, allowed)
			ok = false
		}
	}
	return it.list, ok
}
