package conf

import (
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// The peer's identity decides which key is taken, then ours; a connection's own key comes
// before all.
func TestSharedKey(t *testing.T) {
	of := func(words ...string) []id.ID { return ids(t, words...) }
	secret := func(key string, owners ...string) Secret {
		return Secret{Owners: of(owners...), Key: crypto.Secret(key)}
	}
	c := &Config{Secrets: []Secret{
		secret("anyone"), secret("second"), secret("domain", "*.example.org"), secret("peer", "b.example.org"),
		secret("both", "a.example.org", "b.example.org"), secret("address", "192.0.2.7"), secret("ours", "a.example.org"),
	}}
	for _, test := range []struct{ psk, local, remote, want string }{
		{"", "a.example.org", "b.example.org", "both"},
		{"", "x.example.net", "b.example.org", "peer"},
		{"", "a.example.org", "c.example.org", "domain"},
		{"", "x.example.net", "192.0.2.7", "address"},
		{"", "x.example.net", "192.0.2.8", "anyone"},
		{"own", "a.example.org", "b.example.org", "own"},
	} {
		got, ok := c.SharedKey(&Connection{PSK: crypto.Secret(test.psk)}, of(test.local)[0], of(test.remote)[0])
		if !ok || string(got) != test.want {
			t.Errorf("%s - %s: %q, want %q", test.local, test.remote, string(got), test.want)
		}
	}
	c.Secrets = []Secret{secret("ours", "a.example.org")} // who has it shares it with whomever
	if got, ok := c.SharedKey(&Connection{}, of("a.example.org")[0], of("b.example.org")[0]); !ok || string(got) != "ours" {
		t.Error("the key of our own identity is not taken")
	}
	if _, ok := c.SharedKey(&Connection{}, of("x.example.org")[0], of("b.example.org")[0]); ok {
		t.Error("the key of others is taken")
	}
}

func ids(t *testing.T, words ...string) (out []id.ID) {
	t.Helper()
	for _, w := range words {
		i, err := id.Parse(w)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

// A connection has a key when that is certain, or when a peer that may come brings it in
// force.
func TestKeyless(t *testing.T) {
	for _, test := range []struct {
		psk, local, remote string
		owners             []string
		want               bool
	}{
		{local: "a.example.org", remote: "b.example.org", want: true},
		{psk: "own", local: "a.example.org", remote: "b.example.org"},
		{local: "a.example.org", remote: "b.example.org", owners: []string{"c.example.org", "b.example.org"}},
		{local: "a.example.org", remote: "b.example.org", owners: []string{"a.example.org"}},
		{local: "a.example.org", remote: "b.example.org", owners: []string{"B.Example.org"}},
		{local: "a.example.org", remote: "b.example.org", owners: []string{"*.example.org"}},
		{local: "a.example.org", remote: "*.example.org", owners: []string{"b.example.org"}},
		{local: "a.example.org", remote: "%any", owners: []string{"192.0.2.7"}},
		{local: "a.example.org", remote: "b.example.org", owners: []string{"c.example.org", "192.0.2.7"}, want: true},
		{local: "a.example.org", remote: "b.example.org", owners: []string{}},
	} {
		conn := &Connection{PSK: crypto.Secret(test.psk), Local: Auth{ID: ids(t, test.local)[0]}, Remote: Auth{ID: ids(t, test.remote)[0]}}
		c := &Config{Connections: []*Connection{conn}}
		if test.owners != nil {
			c.Secrets = []Secret{{Owners: ids(t, test.owners...), Key: crypto.Secret("key")}}
		}
		if got := c.Keyless()[conn]; got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
