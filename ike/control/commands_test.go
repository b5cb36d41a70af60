package control

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

func TestSimpleCommands(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{}))
	for command, want := range map[string]string{
		"version":         "{daemon=goike version=1.2.3 sysname=Linux release=6.1 machine=x86_64}",
		"get-conns":       "{conns=[]}",
		"get-keys":        "{keys=[]}",
		"get-shared":      "{keys=[]}",
		"get-authorities": "{authorities=[]}",
		"get-pools":       "{}",
		"list-sas":        "{}", // nobody has registered list-sa
	} {
		if got := ask(t, c, command, nil); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
	for command, event := range map[string]string{"list-certs": "list-cert", "list-authorities": "list-authority"} {
		if got := ask(t, c, command, []string{event}); got != "{}" {
			t.Errorf("%s: %s", command, got)
		}
	}
	for _, command := range []string{"load", "", "Rekey"} {
		if _, err := c.Call(within(t), command, nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", command, err)
		}
	}
	if _, err := c.Stream(within(t), "version", []string{"no-such-event"}, nil, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown event: %v", err)
	}
}

func TestStats(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	got := ask(t, c, "stats", nil)
	want := fmt.Sprintf("{uptime {running=11 seconds since=%s} workers {total=4 idle=3 active {critical=0 high=0 medium=1 low=0}} "+
		"queues {critical=0 high=0 medium=5 low=0} scheduled=2 ikesas {total=2 half-open=1} plugins=[] "+
		"goike {dataplane=userspace (asked for) goroutines=23 drops {no-such-sa=7 queue-full=3} plane {sealed=12}}}",
		f.stats.Started.Format("Jan 02 15:04:05 2006"))
	if got != want {
		t.Errorf("stats: %s\nwant:  %s", got, want)
	}
	for d, want := range map[time.Duration]string{
		0: "0 seconds", -time.Second: "0 seconds", 2 * time.Minute: "120 seconds", 121 * time.Second: "2 minutes",
		3 * time.Hour: "3 hours", 50 * time.Hour: "2 days",
	} {
		if got := running(d); got != want {
			t.Errorf("running(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestListFilters(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{}))
	for _, test := range []struct {
		args []string
		want []string // names of IKE SAs, with the children
	}{
		{nil, []string{"site: lan-2", "v6: six-4"}},
		{[]string{"noblock", "yes"}, []string{"site: lan-2", "v6: six-4"}},
		{[]string{"ike", "v6"}, []string{"v6: six-4"}},
		{[]string{"ike", "nosuch"}, nil},
		{[]string{"ike-id", "1"}, []string{"site: lan-2"}},
		{[]string{"child", "six"}, []string{"site:", "v6: six-4"}},
		{[]string{"child-id", "2"}, []string{"site: lan-2", "v6:"}},
	} {
		m := &Message{}
		for i := 0; i < len(test.args); i += 2 {
			m.Set(test.args[i], test.args[i+1])
		}
		var got []string
		if _, err := c.Stream(within(t), "list-sas", []string{"list-sa"}, m, func(_ string, m *Message) {
			for name, s := range m.Sections() {
				line := name + ":"
				for child := range s.Section("child-sas").Sections() {
					line += " " + child
				}
				got = append(got, line)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v: %q, want %q", test.args, got, test.want)
		}
	}
	if got := ask(t, c, "list-sas", []string{"list-sa"}, "ike-id", "one"); got != `{success=no errmsg=ike-id = "one" is not a number}` {
		t.Error(got)
	}
	if got := ask(t, c, "list-conns", []string{"list-conn"}, "ike", "hq"); !strings.HasPrefix(got, "list-conn {hq {local_addrs=[%any] remote_addrs=[hq.example.org] version=IKEv1/2 ") {
		t.Error(got)
	}
}

func TestInitiate(t *testing.T) {
	f := newFake()
	f.steps = []LogLine{
		{Level: 0, Subsystem: "ike", Conn: "site", IKE: 7, Text: "phase 1"},
		{Level: 1, Subsystem: "child", Conn: "site", Text: "site/lan: up"},
		{Level: 2, Text: "detail"},
	}
	c := dial(t, serve(t, f, Options{}))
	control := []string{"control-log"}
	steps := "control-log {group=IKE level=0 ikesa-name=site ikesa-uniqueid=7 msg=phase 1}\n" +
		"control-log {group=CHD level=1 ikesa-name=site msg=site/lan: up}\n"
	if got := ask(t, c, "initiate", control, "ike", "site", "child", "lan", "timeout", "20000", "init-limits", "no"); got != steps+"{success=yes}" {
		t.Error(got)
	}
	if got := ask(t, c, "initiate", control, "child", "lan", "loglevel", "2", "timeout", "-1"); got != steps+"control-log {group=DMN level=2 msg=detail}\n{success=yes}" {
		t.Error(got)
	}
	f.set(func() { f.err = errRefused })
	if got := ask(t, c, "initiate", control, "ike", "site", "loglevel", "-1"); got != "{success=no errmsg="+errRefused.Error()+"}" {
		t.Error(got)
	}
	if got := ask(t, c, "initiate", nil); !strings.HasPrefix(got, "{success=no errmsg=missing configuration name}") {
		t.Error(got)
	}
	if got := ask(t, c, "initiate", nil, "child", "lan", "timeout", "soon"); got != `{success=no errmsg=timeout = "soon" is not a number}` {
		t.Error(got)
	}
	f.set(func() { f.err = nil })
	if got := ask(t, c, "initiate", nil, "child", "dmvpn", "my-host", "192.0.2.2", "other-host", "2001:db8::7", "async", "1"); got != "{success=yes}" {
		t.Error(got)
	}
	if got := ask(t, c, "initiate", nil, "child", "dmvpn", "other-host", "spoke"); got != `{success=no errmsg=other-host = "spoke" is not an address}` {
		t.Error(got)
	}
	want := []InitiateRequest{
		{Conn: "site", Child: "lan", Timeout: 20 * time.Second}, {Child: "lan", Timeout: -1}, {Conn: "site"},
		{Child: "dmvpn", Local: netip.MustParseAddr("192.0.2.2"), Remote: netip.MustParseAddr("2001:db8::7"), Timeout: -1},
	}
	if got, _ := f.requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTerminate(t *testing.T) {
	f := newFake()
	f.matches = 2
	f.steps = []LogLine{{Subsystem: "ike", Text: "going"}}
	c := dial(t, serve(t, f, Options{}))
	if got := ask(t, c, "terminate", []string{"control-log"}, "ike", "site", "force", "yes", "timeout", "5000"); got != "control-log {group=IKE level=0 msg=going}\n{success=yes matches=2 terminated=2}" {
		t.Error(got)
	}
	if got := ask(t, c, "terminate", nil, "ike-id", "3"); got != "{success=yes matches=2 terminated=2}" {
		t.Error(got)
	}
	f.set(func() { f.err, f.matches = errors.New("no SA matches"), 0 })
	if got := ask(t, c, "terminate", nil, "child-id", "4"); got != "{success=no matches=0 terminated=0 errmsg=no SA matches}" {
		t.Error(got)
	}
	if got := ask(t, c, "terminate", nil, "force", "yes"); !strings.HasPrefix(got, "{success=no errmsg=missing terminate selector}") {
		t.Error(got)
	}
	if got := ask(t, c, "terminate", nil, "ike-id", "-"); !strings.Contains(got, "not a number") {
		t.Error(got)
	}
	want := []TerminateRequest{{Conn: "site", Force: true, Timeout: 5 * time.Second}, {ConnID: 3}, {ChildID: 4}}
	if _, got := f.requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What is too much for one event comes in several, with all children.
func TestLargeSA(t *testing.T) {
	f := newFake()
	sa := f.sas[1]
	child := sa.Children[0]
	child.Name = strings.Repeat("long", 50)
	sa.Children, sa.Usage = nil, nil
	for i := range 2000 {
		child.ID = uint64(100 + i)
		sa.Children = append(sa.Children, child)
		sa.Usage = append(sa.Usage, ChildUsage{})
	}
	f.sas = []SA{sa}
	children := make([]*conf.Child, 0, 4000)
	for i := range cap(children) {
		c := *f.config.Connections[0].Children[0]
		c.Name = fmt.Sprintf("%s-%d", child.Name, i)
		children = append(children, &c)
	}
	f.config.Connections[0].Children = children
	c := dial(t, serve(t, f, Options{}))
	o, err := c.Status(within(t), "")
	if err != nil {
		t.Fatal(err)
	}
	site := o.Conn("site")
	if site == nil || len(site.SAs) != 1 || len(site.SAs[0].Children) != 2000 || len(site.Children) != 4000 {
		t.Fatalf("status: %d connections, site %v", len(o.Connections), site != nil)
	}
	for i, child := range site.SAs[0].Children {
		if child.ID != uint64(100+i) {
			t.Fatalf("child %d has ID %d", i, child.ID)
		}
	}
	events := 0
	if _, err := c.Stream(within(t), "list-sas", []string{"list-sa"}, nil, func(string, *Message) { events++ }); err != nil || events < 2 {
		t.Errorf("%d events: %v", events, err)
	}
	if _, err := c.Stream(within(t), "list-conns", []string{"list-conn"}, nil, func(string, *Message) {}); err != nil {
		t.Error(err)
	}
	huge := &conf.Child{Name: "huge", Local: slices.Repeat([]conf.Selector{confSelector("10.1.0.0/16")}, 200000)}
	f.set(func() { f.config.Connections[0].Children = []*conf.Child{huge} })
	if got := ask(t, c, "list-conns", nil); got != "{}" {
		t.Error(got)
	}
	if _, err := c.Stream(within(t), "list-conns", []string{"list-conn"}, nil, func(string, *Message) {}); err == nil || !strings.Contains(err.Error(), "connection site") {
		t.Errorf("one child that is too large: %v", err)
	}
}
