package v2

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("198.51.100.2")
)

const testPSK = "a secret that both sides know"

// testRetransmit is the default of the configuration.
var testRetransmit = conf.Retransmit{Timeout: 4 * time.Second, Base: 1.8, Tries: 5}

func proposals(t testing.TB, p crypto.Proto, words ...string) []crypto.Proposal {
	t.Helper()
	var out []crypto.Proposal
	for _, w := range words {
		x, err := crypto.ParseProposal(p, w)
		if err != nil {
			t.Fatal(w, err)
		}
		out = append(out, x)
	}
	return out
}

func mustID(t testing.TB, s string) id.ID {
	t.Helper()
	i, err := id.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func subnet(s string) conf.Selector {
	p := netip.MustParsePrefix(s)
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return conf.Selector{First: p.Addr(), Last: end, PortLast: 65535}
}

// testConn is one side's configuration of the tunnel between a and b.
func testConn(t testing.TB, left bool) *conf.Connection {
	c := &conf.Connection{
		Name: "site", Version: conf.IKEv2, RemotePort: ike.Port,
		Proposals: proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519"),
		Lifetime:  3 * time.Hour, PSK: crypto.Secret(testPSK), Fragmentation: true, FragmentSize: 1280,
		Local: conf.Auth{ID: mustID(t, "a.example.org")}, Remote: conf.Auth{ID: mustID(t, "b.example.org")},
		Gateways: conf.Gateways{{Prefix: netip.PrefixFrom(addrB, 32)}},
		Children: []*conf.Child{{
			Name: "lan", Protocol: crypto.ESP, Proposals: proposals(t, crypto.ESP, "aes256gcm16"), Lifetime: time.Hour,
			Local: []conf.Selector{subnet("10.1.0.0/16")}, Remote: []conf.Selector{subnet("10.2.0.0/16")}, Window: 128,
		}},
	}
	if !left {
		c.Local.ID, c.Remote.ID = c.Remote.ID, c.Local.ID
		c.Gateways = conf.Gateways{{Prefix: netip.PrefixFrom(addrA, 32)}}
		child := c.Children[0]
		child.Local, child.Remote = child.Remote, child.Local
	}
	return c
}

// child adds a child to a side's connection.
func addChild(t testing.TB, c *conf.Connection, name, local, remote, esp string) *conf.Child {
	n := &conf.Child{
		Name: name, Protocol: crypto.ESP, Proposals: proposals(t, crypto.ESP, esp), Lifetime: time.Hour,
		Local: []conf.Selector{subnet(local)}, Remote: []conf.Selector{subnet(remote)}, Window: 128,
	}
	c.Children = append(c.Children, n)
	return n
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func pathOf(local, remote string) ike.Path {
	return ike.Path{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)}
}

func wireSelector(s string) wire.Selector {
	return ts.FromConf([]conf.Selector{subnet(s)}, netip.Addr{})[0]
}
