package main

import (
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

func TestPolicies(t *testing.T) {
	f := newFake()
	f.policies = []control.Policy{
		{Conn: "site", Child: "lan", Local: traffic("10.1.0.0/16", "fd01:0:0:1::/64"), Remote: traffic("10.2.0.0/16")},
		{Conn: "hq", Child: "local", Mode: conf.Pass, Local: traffic("10.1.0.0/16"), Remote: traffic("10.1.0.0/16")},
	}
	path, _ := serve(t, f)
	const site = "site/lan  tunnel  installed  10.1.0.0/16 fd01:0:0:1::/64 === 10.2.0.0/16\n"
	if r := run(t, path, "policies"); r.out != "POLICY    MODE    STATE      NETWORKS\n"+site+"hq/local  pass               10.1.0.0/16 === 10.1.0.0/16\n" || r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "policies", "site"); r.out != "POLICY    MODE    STATE      NETWORKS\n"+site || r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "policies", "road"); r.out != "no policies\n" || r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "policies", "nosuch"); r.code != exitFailed || !strings.Contains(r.errs, `no connection "nosuch"`) {
		t.Errorf("%+v", r)
	}
	golden(t, "policies.json", run(t, path, "policies", "--json").out)
}

func TestCounters(t *testing.T) {
	f := newFake()
	f.counters.All[ike.ChildRekeys] = 7
	of := control.ConnCounters{Conn: "site"}
	of.Counts[ike.RekeysBegun], of.Counts[ike.ChildRekeys] = 1, 3
	f.counters.Conns = []control.ConnCounters{of, {Conn: "hq"}}
	path, _ := serve(t, f)
	const site = "ike-rekey-init  1\nchild-rekey     3\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "child-rekey  7\n"},
		{[]string{"site"}, "site\n" + site},
		{[]string{"--all"}, "site\n" + site + "\nhq\nnothing was counted\n"},
		{[]string{"--all", "--reset"}, "site\n" + site + "\nhq\nnothing was counted\n"},
		{[]string{"site", "--reset"}, "site\n" + site},
	} {
		if r := run(t, path, append([]string{"counters"}, c.args...)...); r != (result{c.want, "", exitOK}) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	f.set(func() {
		if got := strings.Join(f.resets, ", "); got != `true "", false "site"` {
			t.Errorf("reset: %s", got)
		}
	})
	if r := run(t, path, "counters", "nosuch"); r.code != exitFailed || !strings.Contains(r.errs, "no counters found") {
		t.Errorf("%+v", r)
	}
	golden(t, "counters.json", run(t, path, "counters", "site", "--json").out)
}
