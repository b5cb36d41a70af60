package swan

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goike/goike/conf"
)

const (
	allowedTime  = `seconds, or a number and a unit, such as "90s", "9m", "3h", "2d"`
	allowedBool  = "yes, no"
	allowedBytes = `a number of octets, with k, m or g for 1024 times as many each, such as "500m"`
)

// text is the value of an option; of a list it is all of it, with commas.
func (o *Option) text() string { return strings.TrimSpace(strings.Join(o.Values, ",")) }

// list is the value of an option that may be several.
func (o *Option) list() []string {
	values := o.Values
	if !o.List {
		values = strings.Split(o.text(), ",")
	}
	var out []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// boolean reads the words that strongSwan has for true and false.
func boolean(s string) (b, ok bool) {
	switch strings.ToLower(s) {
	case "yes", "true", "enabled", "1":
		return true, true
	case "no", "false", "disabled", "0":
		return false, true
	}
	return false, false
}

// maxTime is the longest time: strongSwan keeps seconds in 32 bits.
const maxTime = math.MaxUint32 * time.Second

// parseTime reads a time: seconds, or a number and s, m, h or d.
func parseTime(s string) (time.Duration, error) {
	unit := time.Second
	s = strings.ToLower(s)
	digits := strings.TrimRightFunc(s, unicode.IsLetter)
	switch s[len(digits):] {
	case "", "s":
	case "m":
		unit = time.Minute
	case "h":
		unit = time.Hour
	case "d":
		unit = 24 * time.Hour
	default:
		return 0, errors.New("is no time")
	}
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && time.Duration(n) > maxTime/unit:
		return 0, errors.New("is too long a time")
	case err != nil:
		return 0, errors.New("is no time")
	}
	return time.Duration(n) * unit, nil
}

// parseBytes reads a number of octets, perhaps with a unit.
func parseBytes(s string) (uint64, error) {
	s = strings.ToLower(s)
	shift := 0
	for unit, by := range map[string]int{"k": 10, "m": 20, "g": 30} {
		if digits, ok := strings.CutSuffix(s, unit); ok {
			s, shift = digits, by
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, errors.New("is no number of octets")
	}
	return n << shift, nil
}

// scope is a section that is being read.
type scope struct {
	*report
	*Section
	what string // for people: "connection site"
}

// bad reports an error in the value of an option.
func (s *scope) bad(o *Option, format string, args ...any) {
	s.error(o.At, o.Name, o.Name+" of "+s.what+" "+format, args...)
}

// value refuses what has several lines, and what is no text.
func (s *scope) value(o *Option, allowed string) (string, bool) {
	text := o.text()
	if strings.ContainsFunc(text, unicode.IsControl) {
		s.bad(o, "has control characters or several lines; allowed: %s", allowed)
		return "", false
	}
	return text, true
}

func (s *scope) flag(o *Option, into *bool) {
	b, ok := boolean(o.text())
	if !ok {
		s.bad(o, "is %s; allowed: %s", show(o.text()), allowedBool)
		return
	}
	*into = b
}

func (s *scope) number(o *Option, least, most uint64, into *uint64) bool {
	n, err := strconv.ParseUint(o.text(), 0, 64)
	if err != nil || n < least || n > most {
		s.bad(o, "is %s; allowed: a number from %d to %d", show(o.text()), least, most)
		return false
	}
	*into = n
	return true
}

// maybe is a value that may be left out.
type maybe[T any] struct {
	is  T
	set bool
}

func (m maybe[T]) or(other T) T {
	if m.set {
		return m.is
	}
	return other
}

func (s *scope) time(o *Option, into *maybe[time.Duration]) {
	d, err := parseTime(o.text())
	if err != nil {
		s.bad(o, "%s %s; allowed: %s", show(o.text()), err, allowedTime)
		return
	}
	*into = maybe[time.Duration]{d, true}
}

func (s *scope) bytes(o *Option, into *maybe[uint64]) {
	n, err := parseBytes(o.text())
	if err != nil {
		s.bad(o, "%s %s; allowed: %s", show(o.text()), err, allowedBytes)
		return
	}
	*into = maybe[uint64]{n, true}
}

func (s *scope) packets(o *Option, into *maybe[uint64]) {
	n := uint64(0)
	if s.number(o, 0, math.MaxInt64, &n) {
		*into = maybe[uint64]{n, true}
	}
}

// choose reads one of several words, in any case.
func choose[T any](s *scope, o *Option, into *T, words ...choice[T]) {
	names := make([]string, 0, len(words))
	for _, w := range words {
		if strings.EqualFold(o.text(), w.word) {
			*into = w.is
			return
		}
		names = append(names, w.word)
	}
	s.bad(o, "is %s; allowed: %s", show(o.text()), strings.Join(names, ", "))
}

type choice[T any] struct {
	word string
	is   T
}

func (s *scope) mark(o *Option, into *conf.Mark) {
	text := o.text()
	if strings.HasPrefix(text, "%unique") {
		s.bad(o, "is %s; goike does not give each SA a mark of its own: write a number, or use network.route_based for an interface for each connection", show(text))
		return
	}
	m, err := conf.ParseMark(strings.TrimSuffix(text, "/"))
	if err != nil {
		s.bad(o, "%s %s; allowed: %s", show(text), err, conf.AllowedMark)
		return
	}
	if m.Mask == 0 {
		m = conf.Mark{} // none
	}
	*into = m
}

func (s *scope) interfaceID(o *Option, into *uint32) {
	if strings.HasPrefix(o.text(), "%unique") {
		s.bad(o, "is %s; goike does not give each SA an interface ID of its own: write a number, or use network.route_based for an interface for each connection", show(o.text()))
		return
	}
	n := uint64(0)
	if s.number(o, 0, math.MaxUint32, &n) {
		*into = uint32(n)
	}
}
