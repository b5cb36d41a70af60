package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shelf is a Loader that writes down what it is given.
type shelf struct {
	reloaded Reloaded
	mu       sync.Mutex
	calls    []string
	keys     []SharedKey
	err      error
}

func (s *shelf) call(args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
	return s.err
}

func (s *shelf) Reload(_ context.Context, dryRun bool) Reloaded {
	s.mu.Lock()
	r := s.reloaded
	s.mu.Unlock()
	if err := s.call("reload", dryRun); err != nil {
		r.Err = err
	}
	return r
}

func (s *shelf) LoadConn(_ context.Context, name string, settings *Message) error {
	return s.call("load", name, settings)
}

func (s *shelf) UnloadConn(_ context.Context, name string) error {
	if err := s.call("unload", name); err != nil {
		return err
	}
	return Unloaded(name)
}

func (s *shelf) LoadedConns(context.Context) []string { return []string{"site", "hq"} }

func (s *shelf) LoadShared(_ context.Context, k SharedKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
	return s.err
}

func (s *shelf) UnloadShared(_ context.Context, id string) error { return s.call("unshare", id) }
func (s *shelf) LoadedShared(context.Context) []string           { return []string{"ike-1"} }
func (s *shelf) ClearCreds(context.Context) error                { return s.call("clear") }

// reload says what the next reloads come to.
func (s *shelf) reload(r Reloaded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloaded = r
}

// tree makes a message of sections, each with a value.
func tree(key, value string, sections ...string) *Message {
	m := &Message{}
	for _, name := range sections {
		m.AddSection(name).Set(key, value)
	}
	return m
}

func TestLoading(t *testing.T) {
	s := &shelf{}
	c := dial(t, serve(t, newFake(), Options{Loader: s}))
	call := func(command string, args *Message) string {
		t.Helper()
		m, _ := c.Call(within(t), command, args) // what goes wrong is in the answer
		return m.String()
	}
	if got := call("load-conn", tree("version", "2", "site", "hq")); got != "{success=yes}" {
		t.Error(got)
	}
	shared := sharedMessage()
	if got := call("load-shared", shared); got != "{success=yes}" {
		t.Error(got)
	}
	shared.Set("id", "ike-1")
	if got := call("load-shared", shared); got != "{success=yes}" {
		t.Error(got)
	}
	s.mu.Lock()
	for i, k := range s.keys {
		if string(k.Data) != "a\x00secret" || !slices.Equal(k.Owners, []string{"a.example.org", "192.0.2.1"}) || k.ID != []string{"", "ike-1"}[i] {
			t.Errorf("%q %q", k.ID, k.Owners)
		}
	}
	s.mu.Unlock()
	for command, want := range map[string]string{
		"reload-settings": "{success=yes}", "clear-creds": "{success=yes}", "flush-certs": "{success=yes}",
		"get-conns": "{conns=[site hq]}", "get-shared": "{keys=[ike-1]}", "load-conn": "{success=yes}",
	} {
		if got := call(command, nil); got != want {
			t.Errorf("%s: %s", command, got)
		}
	}
	if got := ask(t, c, "unload-conn", nil, "name", "site"); got != "{success=no errmsg=unload: connection 'site' not found}" {
		t.Error(got)
	}
	if got := ask(t, c, "unload-shared", nil, "id", "ike-1"); got != "{success=yes}" {
		t.Error(got)
	}
	s.mu.Lock()
	slices.Sort(s.calls)
	want := []string{"clear", "load hq {version=2}", "load site {version=2}", "reload false", "unload site", "unshare ike-1"}
	if !slices.Equal(s.calls, want) {
		t.Errorf("%q, want %q", s.calls, want)
	}
	s.err = errRefused
	s.mu.Unlock()
	if got := call("load-conn", tree("version", "2", "site", "hq")); got != "{success=no errmsg="+errRefused.Error()+"}" {
		t.Error(got)
	}
}

// What is wrong with the arguments is said as strongSwan says it.
func TestLoadingErrors(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{Loader: &shelf{}}))
	for _, test := range []struct {
		command string
		args    []string
		want    string
	}{
		{"load-conn", []string{"site", "x"}, "invalid section: site"},
		{"unload-conn", nil, "unload: missing connection name"},
		{"load-shared", nil, "shared key type missing"},
		{"load-shared", []string{"type", "ppx", "data", "x"}, "invalid shared key type: ppx"},
		{"load-shared", []string{"type", "EAP", "data", "x"}, "goike does not use shared keys of type EAP: only those of type IKE"},
		{"load-shared", []string{"type", "IKE"}, "shared key data missing"},
		{"unload-shared", nil, "unique identifier missing"},
		{"load-cert", nil, "certificate type missing"},
		{"load-cert", []string{"type", "X509"}, "certificate data missing"},
		{"load-cert", []string{"type", "X509", "data", "x"}, noCertificates},
		{"load-key", nil, "key type missing"},
		{"load-key", []string{"type", "any", "data", "x"}, noCertificates},
		{"load-token", nil, "keyid missing"},
		{"load-token", []string{"handle", "1"}, noTokens},
		{"unload-key", nil, "key id missing"},
		{"unload-key", []string{"id", "1"}, "key not found"},
		{"unload-pool", nil, "missing pool name to unload"},
		{"unload-pool", []string{"name", "p"}, "p not found"},
		{"unload-authority", nil, "unload: missing authority name"},
		{"unload-authority", []string{"name", "ca"}, "unload: authority 'ca' not found"},
	} {
		if got := ask(t, c, test.command, nil, test.args...); got != "{success=no errmsg="+test.want+"}" {
			t.Errorf("%s %v: %s", test.command, test.args, got)
		}
	}
	for command, want := range map[string]string{"load-pool": "p: " + noPools, "load-authority": "p: " + noAuthorities} {
		m, err := c.Call(within(t), command, tree("addrs", "10.0.0.0/8", "p"))
		if err == nil || m.Get("errmsg") != want {
			t.Errorf("%s: %v", command, m)
		}
		if got := ask(t, c, command, nil); got != "{success=yes}" {
			t.Errorf("%s of nothing: %s", command, got)
		}
	}
}

// Without a Loader nothing can be loaded, and nothing is.
func TestNoLoader(t *testing.T) {
	c := dial(t, serve(t, newFake(), Options{}))
	for _, command := range []string{"load-conn", "unload-conn", "load-shared", "unload-shared", "clear-creds", "reload-settings", "goike-reload"} {
		if got := ask(t, c, command, nil); got != "{success=no errmsg="+errNoLoader.Error()+"}" {
			t.Errorf("%s: %s", command, got)
		}
	}
}

// discard is a Loader that reads what it is given and keeps none of it.
type discard struct{ Loader }

func (discard) ReloadSettings(context.Context) error        { return nil }
func (discard) UnloadConn(context.Context, string) error    { return nil }
func (discard) LoadedConns(context.Context) []string        { return nil }
func (discard) LoadShared(context.Context, SharedKey) error { return nil }
func (discard) UnloadShared(context.Context, string) error  { return nil }
func (discard) LoadedShared(context.Context) []string       { return nil }
func (discard) ClearCreds(context.Context) error            { return nil }
func (discard) LoadConn(_ context.Context, n string, m *Message) error {
	return errors.New(n + m.String())
}

// sharedMessage is a load-shared.
func sharedMessage() *Message {
	m := &Message{}
	m.Set("type", "ike")
	m.Set("data", "a\x00secret")
	m.SetList("owners", "a.example.org", "", "192.0.2.1")
	return m
}
