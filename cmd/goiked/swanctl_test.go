//go:build linux

package main

import (
	"fmt"
	"testing"

	"github.com/goike/goike/conf/swan"
	"github.com/goike/goike/ike/control"
)

// A message becomes the tree that a file would: values, lists whose commas mean nothing,
// and sections, repeated ones together.
func TestSection(t *testing.T) {
	m := &control.Message{}
	m.Set("version", "1")
	m.Set("version", "2")
	m.SetList("local_addrs", "192.0.2.1", "a,b")
	for _, id := range []string{"x", "y"} {
		local := m.AddSection("local")
		local.Set("id", id)
		local.Set("auth-"+id, "psk")
	}
	m.AddSection("children").AddSection("lan").SetList("local_ts")
	s := section("site", m)
	if got := written(s); got != "site{version=[2]false local_addrs=[192.0.2.1 a,b]true local{id=[y]false auth-x=[psk]false auth-y=[psk]false } children{lan{local_ts=[]true } } } " {
		t.Error(got)
	}
}

func written(s *swan.Section) string {
	out := s.Name + "{"
	for _, o := range s.Options {
		out += fmt.Sprintf("%s=%v%v ", o.Name, o.Values, o.List)
	}
	for _, sub := range s.Sections {
		out += written(sub)
	}
	return out + "} "
}
