package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike/control"
)

func TestRedirect(t *testing.T) {
	f := newFake()
	f.matches = 2
	path, _ := serve(t, f)
	if r := run(t, path, "redirect", "--gateway", "gw2.example.org", "--name", "hq", "--id", "7", "--peer-ip", "192.0.2.0/24", "--peer-id", "*.example.org"); r != (result{"2 redirected to gw2.example.org\n", "", exitOK}) {
		t.Errorf("%+v", r)
	}
	peers, _ := conf.ParseSelector("192.0.2.0/24")
	who, _ := id.Parse("*.example.org")
	if want := (control.RedirectRequest{Conn: "hq", ConnID: 7, PeerIP: peers, PeerID: who, Gateway: "gw2.example.org"}); !slices.Equal(f.asked(), []control.RedirectRequest{want}) {
		t.Errorf("%+v", f.asked())
	}
	if r := run(t, path, "redirect", "--gateway", "203.0.113.7", "--name", "hq", "--json"); r.code != exitOK || r.out != `{"schema":1,"gateway":"203.0.113.7","matches":2,"reached":true,"error":""}`+"\n" {
		t.Errorf("%+v", r)
	}
	f.set(func() { f.err = errors.New("no established IKE SA matches") })
	if r := run(t, path, "redirect", "--gateway", "203.0.113.7", "--name", "hq"); r != (result{"", "goikectl: not redirected: no established IKE SA matches\n", exitFailed}) {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "redirect", "--name", "hq"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "redirect", "--gateway", "203.0.113.7"); r.code != exitFailed {
		t.Errorf("%+v", r)
	}
}
