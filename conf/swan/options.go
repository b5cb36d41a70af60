package swan

import (
	"slices"
	"strings"

	"github.com/goike/goike/conf"
)

// option is an option of strongSwan by its name: effective (read), or refused with what
// to do instead, unless its value is one that asks for nothing, or told to be of no
// effect.
type option[T any] struct {
	name    string
	read    func(s *scope, o *Option, into T)
	refused string   // a sentence: "goike does not do X: what to do instead"
	idle    string   // why it changes nothing here
	same    []string // values that ask for nothing
}

func effective[T any](name string, read func(s *scope, o *Option, into T)) option[T] {
	return option[T]{name: name, read: read}
}

// refusing is an option that is refused, but for values that ask for nothing.
func refusing[T any](name, sentence string, same ...string) option[T] {
	return option[T]{name: name, refused: sentence, same: same}
}

// idle is an option that changes nothing here. Of the values that are the default or mean
// the same nothing is said.
func idle[T any](name, why string, same ...string) option[T] {
	return option[T]{name: name, idle: why, same: same}
}

// flagged is an option that is yes or no.
func flagged[T any](name string, into func(T) *bool) option[T] {
	return effective(name, func(s *scope, o *Option, t T) { s.flag(o, into(t)) })
}

// fill reads the options of a section by a table.
func fill[T any](s *scope, table []option[T], into T) {
	for _, o := range s.Options {
		i := slices.IndexFunc(table, func(k option[T]) bool { return k.name == o.Name })
		switch {
		case i < 0:
			s.unknown(o, names(table))
		case o.text() == "": // as if it were not there
		case table[i].read != nil:
			table[i].read(s, o, into)
		case table[i].asksNothing(o):
		case table[i].refused != "":
			s.error(o.At, o.Name, "%s in %s: %s", o.Name, s.what, table[i].refused)
		default:
			s.warn(o.At, "%s in %s has no effect: %s", o.Name, s.what, table[i].idle)
		}
	}
}

func (k option[T]) asksNothing(o *Option) bool {
	text := o.text()
	b, isBool := boolean(text)
	return slices.ContainsFunc(k.same, func(v string) bool {
		w, wasBool := boolean(v)
		return strings.EqualFold(v, text) || isBool && wasBool && b == w
	})
}

func names[T any](table []option[T]) []string {
	list := make([]string, len(table))
	for i, k := range table {
		list[i] = k.name
	}
	return list
}

// unknown reports an option that the section does not have.
func (s *scope) unknown(o *Option, known []string) {
	e := Error{Option: o.Name, Unknown: true}
	if near := conf.Nearest(o.Name, known); near != "" {
		e.Error = o.At.error("unknown option %s in %s; did you mean %s?", word(o.Name), s.what, near)
	} else {
		e.Error = o.At.error("unknown option %s in %s; allowed: %s", word(o.Name), s.what, strings.Join(known, ", "))
	}
	s.add(e)
}

// strange reports a section that does not belong where it is.
func (s *scope) strange(sub *Section, allowed string) {
	e := Error{Option: sub.Name, Unknown: true}
	e.Error = sub.At.error("unknown section %s in %s; allowed: %s", word(sub.Name), s.what, allowed)
	s.add(e)
}

// noSections reports the sections within one that has none.
func (s *scope) noSections() {
	for _, sub := range s.Sections {
		s.strange(sub, "no section")
	}
}
