package conf

import (
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// The peer's identity decides which key is taken, then ours; a connection's own key comes
// before all.
func TestSharedKey(t *testing.T) {
	of := func(words ...string) (ids []id.ID) {
		for _, w := range words {
			i, err := id.Parse(w)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, i)
		}
		return ids
	}
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
