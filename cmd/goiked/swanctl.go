//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/swan"
	"github.com/goike/goike/ike/control"
)

// section makes a message, or a section of one, what a file in strongSwan's syntax would
// be.
func section(name string, m *control.Message) *swan.Section {
	s := swan.NewSection(name)
	fill(s, m)
	return s
}

func fill(s *swan.Section, m *control.Message) {
	for key, value := range m.Values() {
		s.Set(key, value)
	}
	for key, list := range m.Lists() {
		s.SetList(key, list)
	}
	for name, sub := range m.Sections() {
		fill(s.Add(name), sub)
	}
}

// fromSwanctl makes a connection of what a client loads.
func fromSwanctl(name string, settings *control.Message) (*conf.Connection, []string, error) {
	conn, ws, err := swan.Connection(name, section(name, settings))
	warnings := make([]string, len(ws))
	for i, w := range ws {
		warnings[i] = w.Text
	}
	return conn, warnings, discarded(err)
}

// discarded says what is wrong with a connection: first as strongSwan does, for those who
// know its texts, then what each thing is and what is allowed.
func discarded(err error) error {
	var errs swan.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		return err
	}
	texts := make([]string, len(errs))
	for i, e := range errs {
		texts[i] = e.Text
	}
	text := strings.Join(texts, "; ")
	switch first := errs[0]; {
	case first.Unknown:
		text = fmt.Sprintf("unknown option: %s, config discarded: %s", first.Option, text)
	case first.Option != "":
		text = fmt.Sprintf("invalid value for: %s, config discarded: %s", first.Option, text)
	}
	return errors.New(text)
}
