package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// inForce are the names of the outbound policies that were installed and not removed.
func (o *office) inForce() string {
	have := make(map[string]bool)
	for _, ops := range o.traps {
		for _, op := range ops {
			switch op := op.(type) {
			case esp.AddPolicy:
				have[op.Policy.Name] = true
			case esp.DelPolicy:
				delete(have, op.Policy.Name)
			}
		}
	}
	var names []string
	for _, l := range o.s.links {
		for _, c := range l.conn.Children {
			if name := l.conn.Name + "/" + c.Name; have[name] {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, " ")
}

func (o *office) listed() string {
	var names []string
	for _, p := range o.s.Policies() {
		names = append(names, p.Conn+"/"+p.Child)
	}
	return strings.Join(names, " ")
}

// netConn is the connection "site" with the networks of both sides in child "lan".
func netConn(b conf.Behavior) *conf.Config {
	c := siteConfig(b)
	lan := c.Connections[0].Children[0]
	lan.Local = []conf.Selector{{First: netip.MustParseAddr("10.1.0.0"), Last: netip.MustParseAddr("10.1.255.255"), PortLast: 65535}}
	lan.Remote = []conf.Selector{{First: netip.MustParseAddr("10.2.0.0"), Last: netip.MustParseAddr("10.2.255.255"), PortLast: 65535}}
	return c
}

// Policies are removed and put back by command, those of one child alone; what traffic
// asks for then is set up.
func TestTrapCommands(t *testing.T) {
	c := netConn(conf.OnDemand)
	pass := *c.Connections[0].Children[0]
	pass.Name, pass.Mode = "printers", conf.Pass
	c.Connections[0].Children = append(c.Connections[0].Children, &pass)
	o := newOffice(t, c)
	expect := func(want string) {
		t.Helper()
		if o.inForce() != want || o.listed() != want {
			t.Errorf("in force %q, listed %q, want %q", o.inForce(), o.listed(), want)
		}
	}
	all := o.inForce()
	if !strings.Contains(all, "site/lan") || !strings.Contains(all, "site/printers") {
		t.Fatal(all)
	}
	expect(all)
	without := func(name string) string { return strings.TrimSpace(strings.Replace(" "+all+" ", " "+name+" ", " ", 1)) }
	for _, name := range []string{"lan", "printers"} {
		if err := o.s.Uninstall("", name); err != nil {
			t.Fatal(err)
		}
		expect(without("site/" + name))
		if err := o.s.Uninstall("site", name); err == nil || err.Error() != "policy '"+name+"' not found" {
			t.Errorf("uninstalled twice: %v", err)
		}
		o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/" + name}})
		for range 2 {
			if err := o.s.Install("", name); err != nil {
				t.Fatal(err)
			}
			expect(all)
		}
	}
	if len(o.dials)+len(o.tickets) > 0 {
		t.Error("a policy that is not there has asked for a child")
	}
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
	if d := o.locate(nil); d == nil || d.First[0].Child != "lan" {
		t.Errorf("%+v", d)
	}
	if err := o.s.Install("", "nobody"); err == nil || err.Error() != "configuration name not found" {
		t.Error(err)
	}
	if err := o.s.Install("elsewhere", "lan"); err == nil {
		t.Error("a connection that is not configured")
	}
}

// A connection that only waits is brought up by traffic when its policies were installed
// by command, and one without a single gateway cannot be.
func TestInstallResponder(t *testing.T) {
	c := netConn(conf.ResponderOnly)
	o := newOffice(t, c)
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
	if len(o.tickets) > 0 {
		t.Fatal("traffic has brought up what only waits")
	}
	if err := o.s.Install("site", "lan"); err != nil {
		t.Fatal(err)
	}
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
	if o.locate(nil) == nil {
		t.Error("traffic has not brought it up")
	}
	c = netConn(conf.ResponderOnly)
	c.Connections[0].Gateways = conf.Gateways{{Any: true}}
	o = newOffice(t, c)
	if err := o.s.Install("site", "lan"); err == nil || !strings.HasPrefix(err.Error(), "installing policy 'lan' failed") {
		t.Error(err)
	}
}

func TestRekeyRequests(t *testing.T) {
	st := ike.Status{
		ID: 7, Conn: "site", State: ike.Up,
		Children: []ike.ChildStatus{{ID: 1, Name: "lan", State: ike.ChildInstalled}, {ID: 2, Name: "lan", State: ike.ChildRekeyedState}, {ID: 3, Name: "voice", State: ike.ChildInstalled}},
	}
	half, ending := st, st
	half.Established, ending.State = ike.Never, ike.Deleting
	for _, test := range []struct {
		r    control.RekeyRequest
		st   ike.Status
		want string
	}{
		{control.RekeyRequest{Conn: "site"}, st, "[{ChildID:0 Reauth:false}]"},
		{control.RekeyRequest{ConnID: 7, Reauth: true}, st, "[{ChildID:0 Reauth:true}]"},
		{control.RekeyRequest{ConnID: 8}, st, "[]"},
		{control.RekeyRequest{Conn: "other"}, st, "[]"},
		{control.RekeyRequest{Conn: "site"}, half, "[]"},
		{control.RekeyRequest{Conn: "site"}, ending, "[]"},
		{control.RekeyRequest{Child: "lan"}, st, "[{ChildID:1 Reauth:false}]"},
		{control.RekeyRequest{Conn: "site", Child: "voice"}, st, "[{ChildID:3 Reauth:false}]"},
		{control.RekeyRequest{Conn: "other", Child: "voice"}, st, "[]"},
		{control.RekeyRequest{ChildID: 2}, st, "[]"},
		{control.RekeyRequest{ChildID: 3}, st, "[{ChildID:3 Reauth:false}]"},
	} {
		if got := fmt.Sprintf("%+v", rekeys(test.r, test.st)); got != test.want {
			t.Errorf("%+v: %s, want %s", test.r, got, test.want)
		}
	}
}

// Counters add up over shards, and are forgotten with their connection.
func TestCounters(t *testing.T) {
	a, b := newCounters(), newCounters()
	a.count("site", ike.InitRequestsIn, ike.Invalid)
	a.count("", ike.InvalidSPI)
	b.count("site", ike.InitRequestsIn)
	b.count("branch", ike.ChildRekeys)
	b.add(a.copy())
	a.count("site", ike.Invalid) // the copy has no part in it
	if b.all != (ike.Counts{ike.ChildRekeys: 1, ike.Invalid: 1, ike.InvalidSPI: 1, ike.InitRequestsIn: 2}) ||
		*b.byConn["site"] != (ike.Counts{ike.Invalid: 1, ike.InitRequestsIn: 2}) || *b.byConn["branch"] != (ike.Counts{ike.ChildRekeys: 1}) {
		t.Errorf("%+v", b)
	}
	b.keep(&conf.Config{Connections: []*conf.Connection{{Name: "site"}}})
	if len(b.byConn) != 1 || b.byConn["site"] == nil {
		t.Errorf("%v", b.byConn)
	}
	b.reset(false, "")
	if b.all != (ike.Counts{}) || len(b.byConn) != 1 {
		t.Errorf("%+v", b)
	}
	b.reset(false, "site")
	a.reset(true, "")
	if len(b.byConn)+len(a.byConn) != 0 || a.all == (ike.Counts{}) {
		t.Errorf("%+v %+v", a, b)
	}
}

// A running engine answers the commands about counters, policies and replacements.
func TestCommandsOfEngine(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), deaf)
	defer closeNow(e)
	ctx := context.Background()
	if _, err := e.Rekey(ctx, control.RekeyRequest{Conn: "site"}); err == nil || err.Error() != "no matching SAs to rekey found" {
		t.Error(err)
	}
	if err := e.Install(ctx, "", "nobody"); err == nil {
		t.Error("a child that is not configured")
	}
	if err := e.ResetCounters(ctx, false, ""); err != nil {
		t.Error(err)
	}
	if c, err := e.Counters(ctx); err != nil || len(c.Conns) != 0 {
		t.Errorf("%+v %v", c, err)
	}
}
