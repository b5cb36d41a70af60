package conf

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/crypto"
)

// Equal connections have the same digest, and every change another one.
func TestDigest(t *testing.T) {
	digestOf := func(change func(c *Connection)) [32]byte {
		c := &Connection{
			Name: "site", Gateways: Gateways{{Prefix: netip.MustParsePrefix("192.0.2.1/32")}}, Lifetime: time.Hour, PSK: crypto.Secret("a secret"),
			Proposals: []crypto.Proposal{{Proto: crypto.IKE, Algs: []crypto.Alg{{Type: crypto.Encr, ID: 20, KeyBits: 256}}}},
			Children:  []*Child{{Name: "lan", Local: []Selector{{First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.0.0.255")}}}},
		}
		change(c)
		return Digest(c)
	}
	same := digestOf(func(*Connection) {})
	if digestOf(func(*Connection) {}) != same {
		t.Error("equal connections differ")
	}
	seen := map[[32]byte]int{same: -1}
	for i, change := range []func(c *Connection){
		func(c *Connection) { c.Name = "sit" },
		func(c *Connection) { c.PSK = crypto.Secret("a secre") },
		func(c *Connection) { c.Gateways[0].Prefix = netip.MustParsePrefix("192.0.2.0/31") },
		func(c *Connection) { c.Gateways = append(c.Gateways, Gateway{Host: "b"}) },
		func(c *Connection) { c.LocalAddr = netip.MustParseAddr("192.0.2.9") },
		func(c *Connection) { c.Proposals[0].Algs[0].KeyBits = 128 },
		func(c *Connection) { c.Children[0].Local[0].Last = netip.MustParseAddr("10.0.1.255") },
		func(c *Connection) { c.Children[0].Kernel.IfIDIn = 1 },
		func(c *Connection) { c.Children = append(c.Children, &Child{}) },
		func(c *Connection) { c.Children = nil },
		func(c *Connection) { c.MOBIKE = true },
		func(c *Connection) { c.Margin = time.Second },
	} {
		d := digestOf(change)
		if other, ok := seen[d]; ok {
			t.Errorf("change %d has the digest of %d", i, other)
		}
		seen[d] = i
	}
}
