//go:build linux

package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	govici "github.com/strongswan/govici/vici"

	"github.com/goike/goike/test/lab"
)

// What govici makes of structs, as people write them.
type (
	viciConn struct {
		LocalAddrs  []string             `vici:"local_addrs"`
		RemoteAddrs []string             `vici:"remote_addrs"`
		Version     int                  `vici:"version"`
		Proposals   []string             `vici:"proposals"`
		Local       viciAuth             `vici:"local"`
		Remote      viciAuth             `vici:"remote"`
		Children    map[string]viciChild `vici:"children"`
	}
	viciAuth struct {
		Auth string `vici:"auth"`
		ID   string `vici:"id"`
	}
	viciChild struct {
		LocalTS      []string `vici:"local_ts"`
		RemoteTS     []string `vici:"remote_ts"`
		ESPProposals []string `vici:"esp_proposals"`
	}
)

// gov is a session of govici's.
type gov struct {
	t *testing.T
	*govici.Session
}

func dialGovici(t *testing.T, g goike) gov {
	t.Helper()
	s, err := govici.NewSession(govici.WithAddr("unix", g.Socket()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return gov{t, s}
}

func (g gov) message(args map[string]any) *govici.Message {
	g.t.Helper()
	m := govici.NewMessage()
	for key, value := range args {
		if err := m.Set(key, value); err != nil {
			g.t.Fatal(err)
		}
	}
	return m
}

// call gives a command, whose answer must be a success.
func (g gov) call(command string, args map[string]any) *govici.Message {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), wait)
	defer cancel()
	out, err := g.Call(ctx, command, g.message(args))
	if err != nil {
		g.t.Fatalf("%s: %v", command, err)
	}
	return out
}

// stream gives a command and counts its events. Of a fast answer it may miss some: govici
// takes what comes in any order.
func (g gov) stream(command, event string, args map[string]any, each func(*govici.Message)) (n int) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), wait)
	defer cancel()
	for ev, err := range g.CallStreaming(ctx, command, event, g.message(args)) {
		if err != nil {
			g.t.Fatalf("%s: %v", command, err)
		}
		n++
		each(ev)
	}
	return n
}

func marshal(t *testing.T, v any) *govici.Message {
	t.Helper()
	m, err := govici.MarshalMessage(v)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The VICI client of the strongSwan project for Go configures and drives goiked, with
// strongSwan at the other end.
func TestGovici(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	a, b := w.ends(k)
	b.startSwan(t, "")
	ga := a.startEmpty(t)
	g := dialGovici(t, ga)
	if v := g.call("version", nil); v.Get("daemon") != "goike" {
		t.Errorf("%v", v)
	}
	if s := g.call("stats", nil); s.Get("uptime") == nil || s.Get("workers") == nil {
		t.Errorf("%v", s)
	}
	g.call("load-shared", map[string]any{"type": "IKE", "data": k.psk, "owners": []string{a.localID, a.peer}})
	c := k.children[0]
	conn := viciConn{
		LocalAddrs: []string{a.local.String()}, RemoteAddrs: []string{a.remote.String()}, Version: 2, Proposals: []string{k.ike},
		Local: viciAuth{"psk", a.localID}, Remote: viciAuth{"psk", a.peer},
		Children: map[string]viciChild{c.name: {strings.Split(c.left, ","), strings.Split(c.right, ","), []string{c.esp}}},
	}
	g.call("load-conn", map[string]any{"site": marshal(t, conn)})
	if conns, _ := g.call("get-conns", nil).Get("conns").([]string); len(conns) != 1 || conns[0] != "site" {
		t.Errorf("%q", conns)
	}
	heard := g.follow("ike-updown", "child-updown", "child-rekey")
	if n := g.stream("initiate", "control-log", map[string]any{"child": c.name, "timeout": 20000, "loglevel": 1}, func(m *govici.Message) {
		if m.Get("msg") == nil {
			t.Errorf("%v", m)
		}
	}); n < 3 {
		t.Errorf("%d steps were told", n)
	}
	heard.waits(t, "ike-updown", "child-updown")
	w.carries(t)
	g.listed(c.name, 1)
	g.lists("list-conns", "list-conn", 1, func(m *govici.Message) (n int) {
		if site, ok := m.Get("site").(*govici.Message); !ok || site.Get("version") != "IKEv2" {
			t.Errorf("%v", m)
		}
		return 1
	})
	g.call("rekey", map[string]any{"child": c.name})
	heard.waits(t, "child-rekey")
	counters, _ := g.call("get-counters", map[string]any{"name": "site"}).Get("counters").(*govici.Message)
	if site, ok := counters.Get("site").(*govici.Message); !ok || site.Get("ike-init-out-req") != "1" {
		t.Errorf("%v", counters)
	}
	g.call("terminate", map[string]any{"ike": "site", "timeout": 20000})
	heard.waits(t, "ike-updown")
	g.listed(c.name, 0)
	g.call("unload-conn", map[string]any{"name": "site"})
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if _, err := g.Call(ctx, "terminate", marshal(t, map[string]string{"ike": "site"})); err == nil {
		t.Error("what is gone was taken down")
	}
}

// lists gives a command until its events tell of as many things as there are to be.
func (g gov) lists(command, event string, want int, count func(*govici.Message) int) {
	g.t.Helper()
	if err := lab.Eventually(wait, func() error {
		n := 0
		g.stream(command, event, nil, func(m *govici.Message) { n += count(m) })
		if n != want {
			return fmt.Errorf("%s has %d, not %d", command, n, want)
		}
		return nil
	}); err != nil {
		g.t.Error(err)
	}
}

// listed checks that list-sas has so many children of a name.
func (g gov) listed(child string, want int) {
	g.t.Helper()
	g.lists("list-sas", "list-sa", want, func(m *govici.Message) (n int) {
		site, _ := m.Get("site").(*govici.Message)
		children, _ := site.Get("child-sas").(*govici.Message)
		for _, key := range children.Keys() {
			if c, ok := children.Get(key).(*govici.Message); ok && c.Get("name") == child && c.Get("state") == "INSTALLED" {
				n++
			}
		}
		return n
	})
}

// events are those that have come.
type events chan govici.Event

func (g gov) follow(names ...string) events {
	g.t.Helper()
	c := make(events, 64)
	g.NotifyEvents(c)
	if err := g.Subscribe(names...); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// waits waits for events of these names, in this order.
func (c events) waits(t *testing.T, names ...string) {
	t.Helper()
	limit := time.After(wait)
	for _, name := range names {
		for got := ""; got != name; {
			select {
			case ev := <-c:
				got = ev.Name
			case <-limit:
				t.Fatal(fmt.Errorf("no event %s", name))
			}
		}
	}
}
