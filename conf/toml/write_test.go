package toml

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// written is a configuration written and read back.
func written(t *testing.T, c *conf.Config, notes ...Note) (*conf.Config, string) {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, c, notes...); err != nil {
		t.Fatal(err)
	}
	again, _, err := parse("goike.toml", []byte(b.String()), noFiles)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return again, b.String()
}

const twoSites = `[ipsec]
unique_ids = "keep"
exclude_my_network = false

[log]
levels = { ike = "debug", child = "warn" }

[[phase1]]
name = "site \"a\" ü"
key_exchange = "ikev2"
remote_gateway = ["198.51.100.2", "gw.example.org"]
proposals = ["aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"]
pre_shared_key = "a secret with \"quotes\" and \\ in it"
identifier = "hq.example.org"
peer_identifier = "@#0a0b"
margintime = "5m"

  [[phase1.phase2]]
  name = "lan"
  local_network = ["10.1.0.0/16", "fd01::/64"]
  remote_network = ["10.2.0.0/16[tcp/443]", "fd02::/64"]
  proposals = "aes256gcm16-ecp384"

  [[phase1.phase2]]
  name = "local"
  mode = "pass"
  local_network = "10.1.0.0/16"
  remote_network = "10.1.0.0/16"

[[phase1]]
name = "road"
remote_gateway = "any"
peer_identifier = "*.example.org"
connection_behavior = "responder-only"

  [[phase1.phase2]]
  name = "host"
  mode = "transport"

[[secret]]
owners = ["*.example.org", "192.0.2.1"]
key = "0x00010203"
`

// What is the default is not written, and what is written reads as it was.
func TestWrite(t *testing.T) {
	c, _, err := parse("goike.toml", []byte(twoSites), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	again, text := written(t, c)
	if text != twoSites {
		t.Errorf("%s\nwant\n%s", text, twoSites)
	}
	if !reflect.DeepEqual(again, c) {
		t.Errorf("%+v\nwant %+v", again, c)
	}
}

// Notes stand above what they are about, whatever is in them.
func TestNotes(t *testing.T) {
	c, _, err := parse("goike.toml", []byte(twoSites), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	_, text := written(t, c, Note{"", "", "about all\n\x00of it"}, Note{"road", "", "about road"}, Note{"road", "host", "about host"})
	for _, want := range []string{"# about all\n# ?of it\n", "# about road\n[[phase1]]\nname = \"road\"", "  # about host\n  [[phase1.phase2]]\n  name = \"host\""} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// Every setting of the model is written and read back, so that no new one is forgotten.
func TestWriteEverySetting(t *testing.T) {
	base := func() *conf.Config {
		c, _, err := parse("goike.toml", []byte(document("phase1: remote_gateway = \"198.51.100.2\"")), noFiles)
		if err != nil {
			t.Fatal(err)
		}
		c.Connections[0].Children[0].Kernel.MarkIn = conf.Mark{Value: 1, Mask: 1}
		c.Connections[0].Children[0].LifetimeBytes, c.Connections[0].Children[0].LifetimePackets = 100_000, 100_000
		return c
	}
	fields := func(name string, of func(*conf.Config) any, leave ...string) {
		n := reflect.TypeOf(of(base())).Elem().NumField()
		for i := range n {
			field := reflect.TypeOf(of(base())).Elem().Field(i).Name
			if strings.Contains(" "+strings.Join(leave, " ")+" ", " "+field+" ") {
				continue
			}
			c := base()
			alter(t, c, reflect.ValueOf(of(c)).Elem().Field(i))
			if reflect.DeepEqual(c, base()) {
				t.Errorf("%s.%s was not altered", name, field)
			}
			again, text := written(t, c)
			if !reflect.DeepEqual(again, c) {
				t.Errorf("%s.%s is not read as it was written:\n%s", name, field, text)
			}
		}
	}
	fields("Config", func(c *conf.Config) any { return c }, "Connections")
	fields("Connection", func(c *conf.Config) any { return c.Connections[0] }, "Children", "Local")
	fields("Local", func(c *conf.Config) any { return &c.Connections[0].Local }, "Method") // there is one
	fields("Child", func(c *conf.Config) any { return c.Connections[0].Children[0] }, "Kernel", "Protocol", "DefaultProposals", "Mode")
	fields("Kernel", func(c *conf.Config) any { return &c.Connections[0].Children[0].Kernel })
}

// alter changes a setting to another one that is valid.
func alter(t *testing.T, c *conf.Config, v reflect.Value) {
	t.Helper()
	child := c.Connections[0].Children[0]
	switch x := v.Addr().Interface().(type) {
	case *conf.Gateways:
		*x = conf.Gateways{{Host: "example.org"}, {Prefix: netip.MustParsePrefix("198.51.100.2/32")}}
		c.Connections[0].Remote.ID = id.ID{}
	case *netip.Addr:
		*x = netip.MustParseAddr("192.0.2.9")
	case *conf.Auth:
		x.ID = id.ID{Kind: id.Email, Data: "me@example.org"}
	case *id.ID:
		*x = id.ID{Kind: id.KeyID, Data: "key"}
	case *crypto.Secret:
		*x = crypto.Secret("0x of another key\x00")
	case *conf.Mark:
		*x = conf.Mark{Value: 3, Mask: 255}
	case *[]crypto.Proposal:
		p, err := crypto.ParseProposal((*x)[0].Proto, map[crypto.Proto]string{crypto.IKE: "aes128-sha256-modp3072", crypto.ESP: "aes128-sha256-modp3072"}[(*x)[0].Proto])
		if err != nil {
			t.Fatal(err)
		}
		*x, child.DefaultProposals = []crypto.Proposal{p}, child.DefaultProposals && p.Proto == crypto.IKE
	case *[]conf.Selector:
		for _, text := range []string{"10.7.0.1-10.7.0.9", "10.8.0.0/16[udp/53]"} {
			s, err := conf.ParseSelector(text)
			if err != nil {
				t.Fatal(err)
			}
			*x = append(*x, s)
		}
		*x = append(*x, conf.Selector{Proto: 6, PortFirst: 22, PortLast: 22})
	case **conf.UniqueIDs:
		never := conf.UniqueNever
		*x = &never
	case **conf.Behavior:
		demand := conf.OnDemand
		*x = &demand
	case **conf.DPDAction:
		hold := conf.DPDHold
		*x = &hold
	case **conf.Renewal:
		r := conf.Renewed(3*time.Minute, 2000, 3000, 50)
		*x = &r
	case *[]conf.Secret:
		*x = []conf.Secret{{Key: crypto.Secret("a secret that is long enough")}, {Owners: []id.ID{{Kind: id.FQDN, Data: "10.1.1.1"}}, Key: crypto.Secret("\xff\x00")}}
	case *[]string:
		*x = []string{"/etc/swanctl/*.conf", "/x"}
	case *conf.Log:
		*x = conf.Log{Level: "warn", JSON: true, Levels: map[string]string{"ike": "debug"}}
	case *conf.Metrics:
		x.Listen = "127.0.0.1:9000"
	case *conf.Control:
		x.Socket = "/run/x"
	case *conf.Network:
		x.RouteBased, x.InstallRoutes = true, false
	case *conf.Retransmit:
		*x = conf.Retransmit{Timeout: 2500 * time.Millisecond, Base: 1.5, Tries: 3}
	case *conf.HalfOpenLimits:
		*x = conf.HalfOpenLimits{Cookie: 1, PerAddress: 2, Total: 3}
	case *conf.Version:
		*x = conf.IKEv2
	case *time.Duration:
		*x += time.Minute
	case *string:
		*x = "another"
	case *bool:
		*x = !*x
	case *float64:
		*x++
	default:
		switch {
		case v.CanInt():
			v.SetInt(v.Int() + 1)
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
		default:
			t.Fatalf("how is a %s altered?", v.Type())
		}
	}
}

// The other values of what has several.
func TestWriteValues(t *testing.T) {
	for _, line := range []string{
		`phase2: mode = "beet"` + "\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = \"10.2.0.1\"",
		"phase2: protocol = \"ah\"\nphase2: proposals = \"sha256\"", `phase2: copy_dscp = "in"`, `phase2: copy_dscp = "yes"`, `phase2: tfc_padding = "mtu"`,
		`phase2: lifetime = "forever"`, `phase1: local_address = "eth0"`, `phase1: dpd_delay = "0s"`, `phase1: peer_identifier = "%any"`, `phase1: margintime = "0s"`,
		`phase1: identifier = "C=CH, O=Example, CN=hq"`, `phase1: identifier = "fqdn:10.1.1.1"`, `phase1: identifier = "keyid:hq.example.org"`, `daemon: dataplane.backend = "none"`,
		`phase2: margintime = "0s"`, `phase2: mark_in = 7`,
	} {
		c, _, err := parse("goike.toml", []byte(document(line)), noFiles)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if again, text := written(t, c); !reflect.DeepEqual(again, c) {
			t.Errorf("%s is not read as it was written:\n%s", line, text)
		}
	}
}

// Times at random are in whole percent; what cannot be said at all is an error.
func TestWriteLimits(t *testing.T) {
	c, _, err := parse("goike.toml", []byte(document("")), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	child := c.Connections[0].Children[0]
	child.Renewal = &conf.Renewal{Margin: 3 * time.Minute, Jitter: time.Minute}
	again, _ := written(t, c)
	if r := again.Connections[0].Children[0].Renewal; r.Margin != 3*time.Minute || math.Abs((r.Jitter-time.Minute).Seconds()) > 2 {
		t.Errorf("%+v", r)
	}
	c.Connections[0].Local.ID = id.ID{Kind: id.GN, Data: "x"}
	if err := Write(&strings.Builder{}, c); err == nil || !strings.Contains(err.Error(), "goike.toml cannot say connection site: identifier") {
		t.Error(err)
	}
	if s := fmt.Sprint(Write(&strings.Builder{}, conf.Default())); s != "<nil>" {
		t.Error(s)
	}
}
