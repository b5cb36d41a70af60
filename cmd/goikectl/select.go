package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goike/goike/ike/control"
)

// selection is what status shows: everything, or a connection, perhaps one of its
// children, or one IKE SA.
type selection struct {
	target
	ikeID uint64 // 0: any
}

// everything tells whether all connections are shown.
func (s selection) everything() bool { return s.conn == "" && s.ikeID == 0 }

// of leaves what is selected of an overview. The error says what there is not.
func (s selection) of(o *control.Overview) error {
	if s.child != "" {
		if err := s.onlyChild(o); err != nil {
			return err
		}
	}
	if s.ikeID == 0 {
		return nil
	}
	is := func(sa control.SAStatus) bool { return sa.ID == s.ikeID }
	for i := range o.Connections {
		o.Connections[i].SAs = only(o.Connections[i].SAs, is)
	}
	o.Connections = only(o.Connections, func(c control.ConnStatus) bool { return len(c.SAs) > 0 })
	o.OtherSAs = only(o.OtherSAs, is)
	switch {
	case len(o.Connections)+len(o.OtherSAs) > 0:
		return nil
	case s.conn != "":
		return fmt.Errorf("%s has no IKE SA #%d", s.target, s.ikeID)
	}
	return fmt.Errorf("there is no IKE SA #%d", s.ikeID)
}

// onlyChild leaves one child of each connection, and the IKE SAs that have it.
func (s selection) onlyChild(o *control.Overview) error {
	var names []string
	found := false
	for i := range o.Connections {
		c := &o.Connections[i]
		for _, child := range c.Children {
			names = append(names, child.Name)
		}
		c.Children = only(c.Children, func(child control.ChildConf) bool { return child.Name == s.child })
		c.SAs = withChild(c.SAs, s.child)
		found = found || len(c.Children)+len(c.SAs) > 0
	}
	o.OtherSAs = withChild(o.OtherSAs, s.child)
	if found || len(o.OtherSAs) > 0 {
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no child %q, nor any other", s.conn, s.child)
	}
	return fmt.Errorf("%s has no child %q; there are %s", s.conn, s.child, strings.Join(names, ", "))
}

// withChild are the IKE SAs with a child SA of that name, and without their others.
func withChild(sas []control.SAStatus, name string) []control.SAStatus {
	for i := range sas {
		sas[i].Children = only(sas[i].Children, func(c control.ChildSA) bool { return c.Name == name })
	}
	return only(sas, func(sa control.SAStatus) bool { return len(sa.Children) > 0 })
}

// only are the items for which keep is true.
func only[T any](list []T, keep func(T) bool) []T {
	return slices.DeleteFunc(list, func(v T) bool { return !keep(v) })
}
