//go:build linux

package main

import (
	"fmt"
	"strings"
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

// What is wrong is said in strongSwan's words first.
func TestFromSwanctl(t *testing.T) {
	psk := func(m *control.Message) *control.Message {
		m.AddSection("local").Set("auth", "psk")
		m.AddSection("remote").Set("auth", "psk")
		return m
	}
	m := psk(&control.Message{})
	m.SetList("remote_addrs", "192.0.2.7")
	m.AddSection("children").AddSection("lan").SetList("remote_ts", "10.2.0.0/16", "10.3.0.0/16")
	c, _, err := fromSwanctl("site", m)
	if err != nil || c.Name != "site" || len(c.Children) != 1 || len(c.Children[0].Remote) != 2 || validate(c) != nil {
		t.Errorf("%+v: %v %v", c, err, validate(c))
	}
	for _, test := range []struct{ key, value, want string }{
		{"nonsense", "1", "unknown option: nonsense, config discarded: "},
		{"rekey_time", "soon", "invalid value for: rekey_time, config discarded: "},
	} {
		m := psk(&control.Message{})
		m.Set(test.key, test.value)
		if _, _, err := fromSwanctl("site", m); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v", test.key, err)
		}
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
