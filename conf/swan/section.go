// Package swan reads configurations in strongSwan's syntax: swanctl.conf, and of
// strongswan.conf what says something about the daemon (strongSwan 5.9.8).
//
// Every option of swanctl.conf is known by name: it is effective, or refused with what
// to do instead, or it changes nothing here and a warning says so. Errors name file and
// line, what was found there and what is allowed, and never show a secret.
package swan

import (
	"slices"

	"github.com/goike/goike/conf"
)

// Warning is something that works and that the administrator should know.
type Warning = conf.Warning

// Pos is a place in a file; the zero Pos is none, as that of a section made from a
// message.
type Pos struct {
	File      string
	Line, Col int // from 1; Col in characters
}

// Section is a section of a configuration after includes, repetitions and references:
// an ordered tree. It is also what a VICI message is turned into.
type Section struct {
	Name     string
	At       Pos
	Options  []*Option // each name once
	Sections []*Section
}

// Option is a key and its value.
type Option struct {
	Name string
	At   Pos
	// Values are the elements of a list; of a file it is one, as the file has it, with
	// commas.
	Values []string
	// List tells that the values came as a list, so that commas in them mean nothing.
	List bool
}

// NewSection returns a section without content.
func NewSection(name string) *Section { return &Section{Name: name} }

// Set gives a key a value; a later value replaces an earlier one.
func (s *Section) Set(name, value string) { s.put(&Option{Name: name, Values: []string{value}}) }

// SetList gives a key a list of values.
func (s *Section) SetList(name string, values []string) {
	s.put(&Option{Name: name, Values: values, List: true})
}

func (s *Section) put(o *Option) {
	for i, old := range s.Options {
		if old.Name == o.Name {
			s.Options[i] = o
			return
		}
	}
	s.Options = append(s.Options, o)
}

// Add returns the section of that name within s, which is made if it is not there.
func (s *Section) Add(name string) *Section {
	if sub := s.Section(name); sub != nil {
		return sub
	}
	sub := NewSection(name)
	s.Sections = append(s.Sections, sub)
	return sub
}

// Option returns the option of that name, nil if there is none.
func (s *Section) Option(name string) *Option {
	if i := slices.IndexFunc(s.Options, func(o *Option) bool { return o.Name == name }); i >= 0 {
		return s.Options[i]
	}
	return nil
}

// Section returns the section of that name, nil if there is none.
func (s *Section) Section(name string) *Section {
	if i := slices.IndexFunc(s.Sections, func(sub *Section) bool { return sub.Name == name }); i >= 0 {
		return s.Sections[i]
	}
	return nil
}
