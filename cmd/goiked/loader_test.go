//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike/control"
)

// desk is a loader with all that it acts upon.
type desk struct {
	*loader
	conf  *conf.Config
	puts  []*conf.Config
	fits  []string // the connections of each configuration that was fitted
	unfit string   // a connection that this host cannot have
}

func newDesk(whole bool, names ...string) *desk {
	d := &desk{conf: conf.Default()}
	for _, name := range names {
		d.conf.Connections = append(d.conf.Connections, someConn(name, time.Hour))
	}
	d.conf.Secrets = []conf.Secret{{Name: "of the file", Key: crypto.Secret("file")}}
	d.loader = &loader{
		do:      func(_ context.Context, f func()) error { f(); return nil },
		running: func() *conf.Config { return d.conf },
		fit:     d.fitted, whole: whole,
		put: func(c *conf.Config) { d.conf, d.puts = c, append(d.puts, c) },
		convert: func(name string, m *control.Message) (*conf.Connection, []string, error) {
			lifetime, err := time.ParseDuration(m.Get("lifetime"))
			return someConn(name, lifetime), []string{"a warning"}, err
		},
		reload: func(dryRun bool) control.Reloaded { return control.Reloaded{Err: fmt.Errorf("dry run %v", dryRun)} },
		log:    slog.New(slog.DiscardHandler),
	}
	return d
}

func (d *desk) fitted(_ context.Context, c *conf.Config) (*conf.Config, []string, error) {
	d.fits = append(d.fits, connNames(c))
	for _, conn := range c.Connections {
		if conn.Name == d.unfit {
			return nil, nil, errors.New("this host cannot do that")
		}
	}
	return c, []string{"a note"}, nil
}

func someConn(name string, lifetime time.Duration) *conf.Connection {
	addr := netip.MustParseAddr("192.0.2.1")
	return &conf.Connection{
		Name: name, Gateways: conf.Gateways{{Prefix: netip.PrefixFrom(addr, 32)}}, Lifetime: lifetime, Margin: time.Minute, Rekey: true,
		Proposals: crypto.DefaultProposals(crypto.IKE), DPDDelay: time.Minute, DPDFailures: 5, FragmentSize: 1280,
	}
}

func connNames(c *conf.Config) string {
	var names []string
	for _, conn := range c.Connections {
		names = append(names, conn.Name)
	}
	return strings.Join(names, " ")
}

func (d *desk) loadAll(t *testing.T, lifetime string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := d.loadOne(name, lifetime); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *desk) loadOne(name, lifetime string) error {
	m := &control.Message{}
	m.Set("lifetime", lifetime)
	return d.LoadConn(context.Background(), name, m)
}

// Connections are added, replaced and removed one by one: the others are the same as
// before, and one that reads as before is not touched.
func TestLoadConn(t *testing.T) {
	d, ctx := newDesk(false, "file"), context.Background()
	d.loadAll(t, "2h", "b", "a")
	first, b := d.conf.Connections[0], d.conf.Connections[1]
	d.loadAll(t, "2h", "a")
	if len(d.puts) != 2 {
		t.Errorf("%d changes", len(d.puts))
	}
	d.loadAll(t, "3h", "a")
	if got := connNames(d.conf); got != "file b a" || d.conf.Connections[0] != first || d.conf.Connections[1] != b || d.conf.Connections[2].Lifetime != 3*time.Hour {
		t.Errorf("%s: %+v", got, d.conf.Connections)
	}
	if got := fmt.Sprint(d.fits); got != "[b a a]" {
		t.Errorf("fitted: %s", got)
	}
	if got := strings.Join(d.LoadedConns(ctx), " "); got != "b a" {
		t.Errorf("loaded: %s", got)
	}
	if err := d.UnloadConn(ctx, "b"); err != nil || connNames(d.conf) != "file a" || d.conf.Connections[0] != first {
		t.Errorf("%v: %s", err, connNames(d.conf))
	}
	for _, name := range []string{"b", "file", "nobody"} {
		if err := d.UnloadConn(ctx, name); err == nil || err.Error() != "unload: connection '"+name+"' not found" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be had changes nothing.
func TestLoadConnRefused(t *testing.T) {
	d := newDesk(false, "file")
	d.loadAll(t, "2h", "a")
	d.unfit = "bad"
	for _, c := range []struct{ name, lifetime, want string }{
		{"bad", "2h", "this host cannot do that"}, {"file", "2h", "connection 'file' is in the configuration file"},
		{"a", "soon", "invalid duration"}, {"a", "1s", "lifetime"},
	} {
		if err := d.loadOne(c.name, c.lifetime); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if len(d.puts) != 1 || connNames(d.conf) != "file a" || len(d.LoadedConns(context.Background())) != 1 {
		t.Errorf("%d changes: %s", len(d.puts), connNames(d.conf))
	}
}

// Where connections have to be fitted together they are.
func TestLoadConnWhole(t *testing.T) {
	d := newDesk(true, "file")
	d.loadAll(t, "2h", "a", "b")
	if err := d.UnloadConn(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(d.fits, ", "); got != "file a, file a b, file b" {
		t.Error(got)
	}
}

// A reload of the file keeps what was loaded, and refuses a name that is used twice.
func TestBeside(t *testing.T) {
	d, ctx := newDesk(false, "file"), context.Background()
	d.loadAll(t, "2h", "a", "b")
	if err := d.LoadShared(ctx, control.SharedKey{ID: "k", Data: crypto.Secret("loaded")}); err != nil {
		t.Fatal(err)
	}
	file := newDesk(false, "other", "file").conf
	c, err := d.beside(file)
	if err != nil || connNames(c) != "other file a b" || len(c.Secrets) != 2 || connNames(file) != "other file" || len(file.Secrets) != 1 {
		t.Errorf("%v: %s", err, connNames(c))
	}
	if _, err := d.beside(newDesk(false, "b").conf); err == nil || !strings.Contains(err.Error(), `"b" was loaded by a control client`) {
		t.Error(err)
	}
	if r := d.Reload(ctx, true); r.Err == nil || r.Err.Error() != "dry run true" {
		t.Error(r.Err)
	}
}

// Keys come behind those of the file, which stay whatever happens to the others.
func TestLoadShared(t *testing.T) {
	d, ctx := newDesk(false), context.Background()
	keys := func() string {
		var list []string
		for _, s := range d.conf.Secrets {
			list = append(list, string(s.Key)) //nolint:unconvert // it would print redacted
		}
		return strings.Join(list, " ")
	}
	for _, k := range []control.SharedKey{
		{ID: "1", Data: crypto.Secret("one"), Owners: []string{"a.example.org", "192.0.2.1"}}, {Data: crypto.Secret("nameless")},
		{ID: "2", Data: crypto.Secret("two")}, {ID: "1", Data: crypto.Secret("one again")},
	} {
		if err := d.LoadShared(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(); got != "file nameless two one again" {
		t.Error(got)
	}
	if owners := d.puts[0].Secrets[1].Owners; len(owners) != 2 || owners[0].Kind != id.FQDN || owners[1].Kind != id.IPv4 {
		t.Errorf("%v", owners)
	}
	if got := strings.Join(d.LoadedShared(ctx), " "); got != "2 1" {
		t.Error(got)
	}
	if err := errors.Join(d.UnloadShared(ctx, "2"), d.UnloadShared(ctx, "nobody")); err != nil || keys() != "file nameless one again" {
		t.Error(err, keys())
	}
	if err := d.LoadShared(ctx, control.SharedKey{ID: "3", Owners: []string{"@#xyz"}}); err == nil || !strings.Contains(err.Error(), `owner "@#xyz"`) {
		t.Error(err)
	}
	if err := d.ClearCreds(ctx); err != nil || keys() != "file" || len(d.LoadedShared(ctx)) != 0 {
		t.Error(err, keys())
	}
}

// A client that goes before its turn changes nothing.
func TestLoaderLeft(t *testing.T) {
	d := newDesk(false)
	d.do = func(context.Context, func()) error { return context.Canceled }
	if err := d.loadOne("a", "2h"); !errors.Is(err, context.Canceled) || len(d.puts) != 0 {
		t.Error(err)
	}
}

// A thousand connections are loaded in less than a second, one after the other.
func BenchmarkLoadConn(b *testing.B) {
	for b.Loop() {
		d := newDesk(false)
		for i := range 1000 {
			if err := d.loadOne(fmt.Sprint("c", i), "2h"); err != nil {
				b.Fatal(err)
			}
		}
	}
}
