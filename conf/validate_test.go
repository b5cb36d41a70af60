package conf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/crypto"
)

func TestDefaultsAreValid(t *testing.T) {
	if fs := Validate(Default()); len(fs) != 0 {
		t.Error(fs)
	}
	if fs := Validate(sampleConfig("a", "b")); len(fs) != 0 {
		t.Error(fs)
	}
}

// strongSwan gives a silent peer up after 165 s.
func TestGivenUpAfter(t *testing.T) {
	if s := DefaultRetransmit.givenUpAfter(); s < 164.5 || s > 165.5 {
		t.Error(s)
	}
}

func proposal(t *testing.T, proto crypto.Proto, words string) crypto.Proposal {
	t.Helper()
	p, err := crypto.ParseProposal(proto, words)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is found, and where. The formats of files have tests of their own for the
// rest; here stands what a model can be that no file says.
func TestValidate(t *testing.T) {
	conn := func(f func(*Connection)) func(*Config) { return func(c *Config) { f(c.Connections[0]) } }
	child := func(f func(*Child)) func(*Config) { return func(c *Config) { f(c.Connections[0].Children[1]) } }
	for _, c := range []struct {
		change func(*Config)
		want   string // place and part of the text, for a warning with "warning" before it
	}{
		{func(c *Config) { c.Retransmit.Tries = -1 }, "-1/-1 retransmit.tries 0: retransmit.tries is -1; allowed: 0 to 100"},
		{func(c *Config) { c.Retransmit.Base = 0.9 }, "-1/-1 retransmit.base 0: retransmit.base is 0.9; allowed: 1 to 10"},
		{func(c *Config) { c.Retransmit.Timeout = 0 }, "-1/-1 retransmit.timeout 0: "},
		{func(c *Config) { c.Retransmit.Base = 10 }, "-1/-1 retransmit.timeout 0: retransmit.timeout, base and tries give up a silent peer after 123 hours; allowed: 24 hours at most"},
		{func(c *Config) { c.Limits.Cookie = 50001 }, "-1/-1 limits.total 0: limits.total is 50000, below"},
		{func(c *Config) { c.Control.Socket = "run/x" }, "-1/-1 control.socket 0: "},
		{func(c *Config) { c.Control.Socket = "/" + strings.Repeat("x", 107) }, "-1/-1 control.socket 0: "},
		{func(c *Config) { c.Connections[1].Name = "a" }, `1/-1 name 0: name "a" is that of another phase1`},
		{conn(func(c *Connection) { c.Name = "" }), "0/-1 name 0: phase1 has no name"},
		{conn(func(c *Connection) { c.Name = "a/b" }), `0/-1 name 0: name "a/b" cannot be used`},
		{conn(func(c *Connection) { c.Name = "a\x1b[2J" }), `0/-1 name 0: name "a\x1b[2J" cannot be used`},
		{conn(func(c *Connection) { c.Name = "a\nb" }), `0/-1 name 0: name (several lines of text) cannot be used`},
		{conn(func(c *Connection) { c.Name = strings.Repeat("x", 129) }), `0/-1 name 0: name "` + strings.Repeat("x", 64) + `"... cannot be used`},
		{conn(func(c *Connection) { c.Gateways = Gateways{{}} }), `0/-1 remote_gateway 0: "a" has no remote_gateway`},
		{conn(func(c *Connection) { c.Gateways = Gateways{{Any: true}} }), `0/-1 connection_behavior 0: connection_behavior is "start", but remote_gateway "any"`},
		{conn(func(c *Connection) {
			c.Gateways, c.Behavior = Gateways{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}, OnDemand
		}),
			`0/-1 connection_behavior 0: connection_behavior is "on-demand", but remote_gateway "10.0.0.0/8"`},
		{conn(func(c *Connection) { c.LocalAddr = netip.MustParseAddr("fd00::1") }), "0/-1 local_address 0: local_address fd00::1 and remote_gateway 198.51.100.2 are of different"},
		{conn(func(c *Connection) { c.LocalAddr = netip.MustParseAddr("198.51.100.2") }), "0/-1 local_address 0: local_address and remote_gateway are both 198.51.100.2"},
		{conn(func(c *Connection) { c.PSK = nil }), `0/-1 pre_shared_key 0: "a" has no key`},
		{conn(func(c *Connection) { c.PSK = crypto.Secret("0123456789abcde") }), `warning 0/-1 pre_shared_key 0: the pre-shared key of "a" has 15 octets`},
		{conn(func(c *Connection) { c.Proposals = nil }), "0/-1 proposals 0: proposals is empty"},
		{conn(func(c *Connection) { c.Proposals[1].Proto = crypto.ESP }), "0/-1 proposals 1: proposal "},
		{conn(func(c *Connection) { c.Proposals[1] = c.Proposals[1].Without(crypto.KE) }), "0/-1 proposals 1: proposal \"aes128-aes192-aes256-sha256-sha384-sha512\": IKE proposals need a key exchange group"},
		{conn(func(c *Connection) {
			c.Proposals = append(c.Proposals, proposal(t, crypto.IKE, "aes128-sha256-modp1024"))
		}), "warning 0/-1 proposals 2: modp1024 is weak: "},
		{conn(func(c *Connection) { c.Lifetime = c.Margin }), "0/-1 lifetime 0: lifetime of the IKE SA, 9m, is not longer than margintime, 9m"},
		{conn(func(c *Connection) { c.Lifetime = 2 * c.Margin }), "warning 0/-1 lifetime 0: lifetime of the IKE SA, 18m, is not longer than margintime with rekey_fuzz, up to 18m"},
		{conn(func(c *Connection) { c.Reauthenticate, c.Rekey = true, false }), `warning 0/-1 reauthenticate 0: reauthenticate is true, but rekey is false: this host never sets "a" up again`},
		{child(func(c *Child) {
			c.Proposals = []crypto.Proposal{proposal(t, crypto.ESP, "aes256-sha256-modp6144-modp8192"), proposal(t, crypto.ESP, "aes128-sha256-modp6144")}
		}), "warning 0/1 proposals 0: phase2 \"dmz\" is replaced with key exchange modp6144 or modp8192, which the proposals of its phase1 lack"},
		{child(func(c *Child) { c.Lifetime = time.Minute }), "0/1 lifetime 0: lifetime of the child SA, 1m,"},
		{child(func(c *Child) { c.Name = "lan" }), `0/1 name 0: name "lan" is that of another phase2 of "a"`},
		{child(func(c *Child) { c.Name = "" }), `0/1 name 0: phase2 of "a" has no name`},
		{child(func(c *Child) { c.Protocol = crypto.IKE }), "0/1 protocol 0: protocol is IKE; allowed: ESP or AH"},
		{child(func(c *Child) { c.Local = nil }), `0/1 local_network 0: phase2 "dmz" has no local_network, which mode tunnel needs`},
		{child(func(c *Child) { c.Local, c.Mode = nil, Pass }), `0/1 local_network 0: phase2 "dmz" has no local_network, which mode pass needs`},
		{child(func(c *Child) {
			c.Mode, c.Local, c.Remote = BEET, nil, []Selector{sel("10.2.0.1", "10.2.0.1", 0, 0, 65535)}
		}), `0/1 local_network 0: phase2 "dmz" has no local_network, which mode beet needs`},
		{child(func(c *Child) { c.Kernel.Priority = MaxPriority + 1 }), "0/1 priority 0: priority is 4294967295; allowed: 4294967294 at most"},
		{child(func(c *Child) { c.Mode, c.Kernel.TFCPad, c.Local, c.Remote = Transport, 7, nil, nil }), "0/1 tfc_padding 0: tfc_padding needs mode tunnel"},
		{child(func(c *Child) { c.Remote = nil }), `0/1 remote_network 0: phase2 "dmz" has no remote_network`},
		{child(func(c *Child) { c.Remote = make([]Selector, 251) }), "0/1 remote_network 0: remote_network has 251 networks; allowed: 250 at most"},
		{child(func(c *Child) { c.Remote[0] = sel("fd00::", "fd00::1", 0, 0, 65535) }), "0/1 remote_network 0: no network of local_network has one of the same"},
		{child(func(c *Child) { c.Local[0].Proto, c.Remote[0].Proto = 6, 17 }), "0/1 remote_network 0: no network of local_network has one of the same"},
		{child(func(c *Child) { c.Local = append(c.Local, sel("fd00::", "fd00::1", 0, 0, 65535)) }), "warning 0/1 local_network 1: local_network fd00::/127 is of no use"},
		{child(func(c *Child) { c.Mode, c.Local = Transport, nil }), "0/1 remote_network 0: remote_network 10.2.0.0/16 is no single host, but mode is transport"},
		{child(func(c *Child) { c.Window = 31 }), "0/1 replay_window 0: replay_window is 31; allowed: 32 to 4096"},
		{child(func(c *Child) { c.Window = 4097 }), "0/1 replay_window 0: "},
		{child(func(c *Child) { c.Proposals = append(c.Proposals, proposal(t, crypto.ESP, "aes128-sha256-modp2048")) }),
			"warning 0/1 proposals 0: only some proposals have a group"},
	} {
		config := sampleConfig("a", "b")
		c.change(config)
		fs := Validate(config)
		if len(fs) != 1 {
			t.Errorf("%s: %d findings: %v", c.want, len(fs), fs)
			continue
		}
		f := fs[0]
		got := fmt.Sprintf("%d/%d %s %d: %s", f.Conn, f.Child, f.Key, f.Index, f.Text)
		if f.Warning {
			got = "warning " + got
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}

func TestFine(t *testing.T) {
	for name, change := range map[string]func(*Connection){
		"no child":                   func(c *Connection) { c.Children = nil },
		"any that has to call":       func(c *Connection) { c.Gateways, c.Behavior = Gateways{{Any: true}}, ResponderOnly },
		"nothing expires":            func(c *Connection) { c.Lifetime, c.Children[0].Lifetime = Forever, Forever },
		"a short life without rekey": func(c *Connection) { c.Rekey, c.Lifetime = false, time.Second },
		"transport of addresses": func(c *Connection) {
			c.Children[0].Mode, c.Children[0].Local, c.Children[0].Remote = Transport, nil, nil
		},
		"a margin beyond all numbers": func(c *Connection) { c.Margin, c.RekeyFuzz, c.Lifetime, c.Children = maxDuration, 1000, Forever, nil },
		"shunts need nothing but networks": func(c *Connection) {
			c.Children[0].Mode, c.Children[0].Proposals, c.Children[0].Lifetime = Drop, nil, time.Second
		},
		"compressed AH": func(c *Connection) {
			c.Children[0].Protocol, c.Children[0].Proposals, c.Children[0].IPComp = crypto.AH, crypto.DefaultProposals(crypto.AH), true
		},
		"no window": func(c *Connection) { c.Children[0].Window = 0 },
	} {
		c := sampleConfig("a")
		change(c.Connections[0])
		if fs := Validate(c); len(fs) != 0 {
			t.Errorf("%s: %v", name, fs)
		}
	}
}

// A weak algorithm is warned of once, however often it is used.
func TestWeakOnce(t *testing.T) {
	c := sampleConfig("a", "b")
	for _, conn := range c.Connections {
		conn.Proposals = []crypto.Proposal{proposal(t, crypto.IKE, "aes128-sha1-modp1024"), proposal(t, crypto.IKE, "aes256-sha1-modp1024")}
		conn.Children[0].Proposals = []crypto.Proposal{proposal(t, crypto.ESP, "aes128-sha1")}
	}
	var got []string
	for _, f := range Validate(c) {
		if !f.Warning || f.Conn != 0 || f.Child != -1 || f.Index != 0 {
			t.Errorf("%+v", f)
		}
		got = append(got, strings.Fields(f.Text)[0])
	}
	if fmt.Sprint(got) != "[sha1 modp1024]" {
		t.Error(got)
	}
}
