//go:build linux

package main

import (
	"fmt"

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
	_ = section(name, settings)
	return nil, nil, fmt.Errorf("connection '%s' cannot be loaded over VICI yet: write it into the configuration file", name)
}
