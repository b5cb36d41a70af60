//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/internal/hostnet"
)

func connections(names ...string) *conf.Config {
	c := conf.Default()
	for _, n := range names {
		c.Connections = append(c.Connections, &conf.Connection{Name: n, Children: []*conf.Child{
			{Name: "lan"}, {Name: "own", Kernel: conf.Kernel{IfIDIn: 7, IfIDOut: 7}},
		}})
	}
	return c
}

// Each connection has an interface with a name that can be, and keeps it.
func TestTunnels(t *testing.T) {
	var last []hostnet.Interface
	var fail error
	tu := newTunnels(func(_ context.Context, is []hostnet.Interface) error { last = is; return fail }, func() error { return nil })
	names := []string{"paris", "an office with a long name 1", "an office with a long name 2", "ä/b"}
	first, err := tu.assign(t.Context(), connections(names...))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for i, n := range last {
		if len(n.Name) > maxName || seen[n.Name] || strings.ContainsAny(n.Name, "/ ä") || n.Kind != hostnet.XFRM || n.MTU < leastTunnelMTU {
			t.Errorf("interface %+v", n)
		}
		seen[n.Name] = true
		for _, k := range first.Connections[i].Children {
			if want := map[string]uint32{"lan": n.ID, "own": 7}[k.Name]; k.Kernel.IfIDIn != want || k.Kernel.IfIDOut != want {
				t.Errorf("%s of %s: %+v, want %x", k.Name, names[i], k.Kernel, want)
			}
		}
		if tu.device(n.ID) != n.Name {
			t.Errorf("interface %x is called %q", n.ID, tu.device(n.ID))
		}
	}
	if last[0].Name != "ike-paris" {
		t.Error(last[0].Name)
	}
	before := fmt.Sprint(last[2])
	if _, err := tu.assign(t.Context(), connections(names[2], "new")); err != nil || fmt.Sprint(last[0]) != before || len(last) != 2 {
		t.Errorf("after a reload: %v, was %s: %v", last, before, err)
	}
	fail = errors.New("no such kind")
	if _, err := tu.assign(t.Context(), connections("x")); !errors.Is(err, fail) {
		t.Error(err)
	}
}
