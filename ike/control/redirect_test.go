package control

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
)

func TestRedirect(t *testing.T) {
	f := newFake()
	f.matches = 2
	c := dial(t, serve(t, f, Options{}))
	if got := ask(t, c, "redirect", nil, "gateway", "gw2.example.org", "ike", "site", "ike-id", "7", "peer-ip", "192.0.2.0/24", "peer-id", "*.example.org"); got != "{success=yes matches=2}" {
		t.Error(got)
	}
	f.set(func() { f.err, f.matches = errRefused, 3 })
	if got := ask(t, c, "redirect", nil, "gateway", "203.0.113.7", "ike", "site"); got != "{success=no matches=3 errmsg="+errRefused.Error()+"}" {
		t.Error(got)
	}
	for _, bad := range [][]string{
		{"ike", "site"}, {"gateway", "any", "ike", "site"}, {"gateway", "10.0.0.0/8", "ike", "site"}, {"gateway", "a b", "ike", "site"}, {"gateway", "203.0.113.7"},
		{"gateway", "203.0.113.7", "ike-id", "x"}, {"gateway", "203.0.113.7", "peer-ip", "x"}, {"gateway", "203.0.113.7", "peer-id", "@#xyz"},
	} {
		if got := ask(t, c, "redirect", nil, bad...); !strings.HasPrefix(got, "{success=no errmsg=") {
			t.Errorf("%v: %s", bad, got)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.redirected) != 2 || f.redirected[0].Gateway != "gw2.example.org" || f.redirected[0].ConnID != 7 {
		t.Errorf("%+v", f.redirected)
	}
}

// Of several conditions all have to hold.
func TestRedirectMatches(t *testing.T) {
	st := ike.Status{
		ID: 7, Version: 2, Conn: "site", RemoteID: id.ID{Kind: id.FQDN, Data: "a.example.org"},
		Path: ike.Path{Remote: netip.MustParseAddrPort("192.0.2.77:4500")},
	}
	within := func(s string) conf.Selector {
		sel, err := conf.ParseSelector(s)
		if err != nil {
			t.Fatal(err)
		}
		return sel
	}
	named := func(s string) id.ID {
		i, err := id.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	for _, c := range []struct {
		r    RedirectRequest
		want bool
	}{
		{RedirectRequest{Conn: "site"}, true}, {RedirectRequest{Conn: "other"}, false}, {RedirectRequest{ConnID: 7}, true}, {RedirectRequest{ConnID: 8}, false},
		{RedirectRequest{PeerIP: within("192.0.2.0/24")}, true}, {RedirectRequest{PeerIP: within("192.0.2.70-192.0.2.77")}, true},
		{RedirectRequest{PeerIP: within("192.0.2.78")}, false}, {RedirectRequest{PeerIP: within("2001:db8::/32")}, false},
		{RedirectRequest{PeerID: named("*.example.org")}, true}, {RedirectRequest{PeerID: named("b.example.org")}, false},
		{RedirectRequest{Conn: "site", PeerIP: within("10.0.0.0/8")}, false},
	} {
		if got := c.r.Matches(st); got != c.want {
			t.Errorf("%+v: %v", c.r, got)
		}
	}
	for _, other := range []func(*ike.Status){func(s *ike.Status) { s.Version = 1 }, func(s *ike.Status) { s.Established = ike.Never }} {
		x := st
		other(&x)
		if (RedirectRequest{Conn: "site"}).Matches(x) {
			t.Errorf("%+v", x)
		}
	}
}
