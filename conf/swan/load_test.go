package swan

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

func proposal(t *testing.T, proto crypto.Proto, text string) crypto.Proposal {
	t.Helper()
	p, err := crypto.ParseProposal(proto, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func nets(t *testing.T, texts ...string) (list []conf.Selector) {
	t.Helper()
	for _, text := range texts {
		s, err := conf.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func identity(t *testing.T, text string) id.ID {
	t.Helper()
	i, err := id.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// private copies a file of testdata to one that only its owner can read.
func private(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder(t, name, string(b)), name)
}

func TestLoad(t *testing.T) {
	c, ws, err := Load(private(t, "full.conf"))
	if err != nil || len(ws) != 0 {
		t.Fatal(err, ws)
	}
	replace, no := conf.UniqueReplace, conf.UniqueNo
	site := conf.DefaultConnection()
	site.Name, site.Version, site.UniqueIDs = "site", conf.IKEv2, &replace
	site.LocalAddr, site.RemotePort = netip.MustParseAddr("192.0.2.1"), 4500
	site.Gateways = conf.Gateways{{Prefix: netip.MustParsePrefix("198.51.100.2/32")}}
	site.Proposals = append([]crypto.Proposal{proposal(t, crypto.IKE, "aes256gcm16-prfsha384-ecp384")}, crypto.DefaultProposals(crypto.IKE)...)
	site.Lifetime, site.Margin, site.RekeyFuzz = 130*time.Minute, 10*time.Minute, 50
	site.KeyingTries, site.ForceEncap, site.MOBIKE, site.Fragmentation, site.Childless = 0, true, false, false, conf.ChildlessForce
	site.DPDDelay, site.DPDAction, site.Behavior = 30*time.Second, conf.DPDRestart, conf.Start
	site.Local.ID, site.Remote.ID = identity(t, "gw.example.org"), identity(t, "@#0a0b")
	mark := conf.Mark{Value: 0x10, Mask: 0xff}
	gig, million := uint64(1<<30), uint64(1_000_000)
	site.Children = []*conf.Child{
		{
			Name: "lan", Local: nets(t, "10.1.0.0/16", "fd01::/64"), Remote: nets(t, "10.2.0.0/16[tcp/443]", "fd02::/64"), Protocol: crypto.ESP,
			Proposals: []crypto.Proposal{proposal(t, crypto.ESP, "aes256gcm16-ecp384")},
			Lifetime:  40 * time.Minute, LifetimeBytes: gig + gig/10, LifetimePackets: million + million/10, Inactivity: time.Hour, Window: 1024,
			Renewal: &conf.Renewal{Margin: 10 * time.Minute, Jitter: 2 * time.Minute, BytesMargin: gig / 10, BytesJitter: gig / 10, PacketsMargin: million / 10, PacketsJitter: million / 10},
			Kernel:  conf.Kernel{MarkIn: mark, SetMarkIn: conf.Mark{Value: 0x10, Mask: math.MaxUint32}, IfIDIn: 7, IfIDOut: 9, CopyDSCPIn: true, TFCPad: conf.MaxTFCPad, Priority: 1000},
		},
		{Name: "pass", Mode: conf.Pass, Protocol: crypto.ESP, Local: nets(t, "10.1.0.0/16"), Remote: nets(t, "10.1.0.0/16"), Kernel: conf.Kernel{IfIDIn: 7, IfIDOut: 8}},
	}
	host := conf.DefaultConnection()
	host.Name, host.UniqueIDs, host.Gateways = "host", &no, conf.Gateways{{Any: true}}
	host.Proposals, host.KeyingTries = crypto.DefaultProposals(crypto.IKE), 1
	host.Lifetime, host.Margin, host.Reauthenticate = 198*time.Minute, 18*time.Minute, true
	host.DPDDelay, host.DPDAction, host.Behavior = 0, conf.DPDClear, conf.ResponderOnly
	host.Remote.ID = identity(t, "*.example.org")
	dynamic := conf.Selector{PortLast: math.MaxUint16}
	host.Children = []*conf.Child{
		{
			Name: "host", Mode: conf.Transport, Remote: []conf.Selector{{Proto: 6, PortFirst: 22, PortLast: 22}}, Protocol: crypto.ESP, Window: 32,
			Proposals: crypto.DefaultProposals(crypto.ESP), DefaultProposals: true, Lifetime: 66 * time.Minute,
			Renewal: &conf.Renewal{Margin: 6 * time.Minute, Jitter: 6 * time.Minute},
		},
		{
			Name: "ah", Local: []conf.Selector{dynamic}, Remote: []conf.Selector{dynamic}, Protocol: crypto.AH, Window: 32,
			Proposals: []crypto.Proposal{proposal(t, crypto.AH, "sha256")}, Renewal: &conf.Renewal{},
		},
	}
	for i, want := range []*conf.Connection{site, host} {
		if got := c.Connections[i]; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
			for j := range want.Children {
				if !reflect.DeepEqual(got.Children[j], want.Children[j]) {
					t.Errorf("%+v %+v\nwant %+v %+v", got.Children[j], got.Children[j].Renewal, want.Children[j], want.Children[j].Renewal)
				}
			}
		}
	}
	if c.ExcludeMyNetwork {
		t.Error("attached networks are excluded")
	}
	if key, ok := c.SharedKey(site, site.Local.ID, site.Remote.ID); !ok || string(key) != "the first secret of this file" {
		t.Error("the secret of the identities is not taken")
	}
	if key, ok := c.SharedKey(host, identity(t, "192.0.2.1"), identity(t, "x.example.org")); !ok || len(key) != 16 {
		t.Error("the secret for anyone is not taken")
	}
}

// Children of one connection may come up, and end, each in its own way.
func TestActionsOfChildren(t *testing.T) {
	c, _, err := load(t, conn("", "start_action = trap\n}\nlan2 {\nstart_action = start\ndpd_action = restart\n}\nlan3 {\nstart_action = trap"))
	if err != nil {
		t.Fatal(err)
	}
	site := c.Connections[0]
	var got []string
	for _, child := range site.Children {
		got = append(got, fmt.Sprintf("%s %s %s %v %v", child.Name, site.BehaviorOf(child), site.DPDActionOf(child), child.Behavior == nil, child.DPDAction == nil))
	}
	if text := strings.Join(got, ", "); text != "lan on-demand clear true true, lan2 start restart false false, lan3 on-demand clear true true" || site.Boldest() != conf.Start || !site.Restarts() {
		t.Error(text)
	}
}

// conn is a file with one connection that has these options, and whose child has those.
func conn(options, child string) string {
	return "connections { site {\nremote_addrs = 198.51.100.2\n" + options + "\nlocal { auth = psk\nid = a\n}\nremote { auth = psk\nid = b\n}\nchildren { lan {\n" + child + "\n} } } }\n" +
		"secrets { ike { secret = \"a secret that is long enough\" } }\n"
}

func load(t *testing.T, text string) (*conf.Config, []Warning, error) {
	t.Helper()
	return Load(filepath.Join(folder(t, "swanctl.conf", text), "swanctl.conf"))
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		options          string
		lifetime, margin time.Duration
		fuzz             int
		reauth           bool
	}{
		{"", 4*time.Hour + 24*time.Minute, 24 * time.Minute, 100, false},
		{"rekey_time = 100s", 110 * time.Second, 10 * time.Second, 100, false},
		{"rekey_time = 100\nrand_time = 5", 110 * time.Second, 10 * time.Second, 50, false},
		{"rekey_time = 1D\nover_time = 0", 24*time.Hour + time.Second, time.Second, 0, false},
		{"rekey_time = 0", conf.Forever, 0, 100, false},
		{"reauth_time = 1h", 66 * time.Minute, 6 * time.Minute, 100, true},
		{"reauth_time = 1h\nrekey_time = 0", 66 * time.Minute, 6 * time.Minute, 100, true},
	} {
		got, _, err := load(t, conn(c.options, ""))
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		k := got.Connections[0]
		if k.Lifetime != c.lifetime || k.Margin != c.margin || k.RekeyFuzz != c.fuzz || k.Reauthenticate != c.reauth {
			t.Errorf("%s: lifetime %v, margin %v, fuzz %d, reauthenticate %v", c.options, k.Lifetime, k.Margin, k.RekeyFuzz, k.Reauthenticate)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ options, child, want string }{
		{"mobik = yes", "", "swanctl.conf:3:1: unknown option mobik in connection site; did you mean mobike?"},
		{"", "local_st = 10.0.0.0/8", "unknown option local_st in child lan of connection site; did you mean local_ts?"},
		{"frobnicate = 1", "", "unknown option frobnicate in connection site; allowed: version, local_addrs"},
		{"other { x = 1 }", "", "unknown section other in connection site; allowed: local..., remote..., children"},
		{"version = 1", "", "goike does not do IKEv1 yet: use version = 2"},
		{"version = 3", "", `version of connection site is "3"; allowed: 0, 2`},
		{"remote_addrs = 192.0.2.1, 192.0.2.1", "", "remote_addrs holds 192.0.2.1 twice"},
		{"remote_addrs = 192.0.2.1, -", "", `remote_addrs of connection site "-" is neither an address nor a host name`},
		{"local_addrs = 192.0.2.1,192.0.2.3", "", "has 2 addresses; goike does not take several yet"},
		{"local_addrs = host", "", "is no address; goike does not take networks and names here"},
		{"rekey_time = 1w", "", `"1w" is no time; allowed: seconds, or a number and a unit`},
		{"rekey_time = 99999999999", "", "is too long a time"},
		{"rekey_time = 1h\nreauth_time = 1h", "", "swanctl.conf:4:1: connection site has a rekey_time and a reauth_time; goike does not do both"},
		{"mobike = on", "", `mobike of connection site is "on"; allowed: yes, no`},
		{"aggressive = yes", "", "aggressive in connection site: goike does not do IKEv1's Aggressive Mode: use version = 2"},
		{"proposals = aes128-nosuch", "", "proposals of connection site"},
		{"dpd_delay = \"1\n2\"", "", "is no time"},
		{"remote_port = 0", "", "allowed: a number from 1 to 65535"},
		{"local-2 { auth = psk }", "", "has a second round of authentication, local"},
		{"", "mode = transport_proxy", "goike does not do Mobile IPv6: use tunnel or transport"},
		{"", "local_ts = 10.1.0.0/33", "has a bad prefix length"},
		{"", "local_ts = dynamic, 10.1.0.0/16", "dynamic beside networks"},
		{"", "mode = beet", "is dynamic, but mode is beet"},
		{"", "mode = pass", "local_ts of child lan of connection site is dynamic, but mode is pass"},
		{"", "life_time = 1h", "is not more than its rekey_time"},
		{"", "rekey_bytes = 10", "life_bytes of child lan of connection site is 11; allowed: at least 1000"},
		{"", "rekey_bytes = 1kb", "is no number of octets"},
		{"", "ah_proposals = sha256\nesp_proposals = aes128-sha256", "keep one of them"},
		{"", "mark_in = %unique", "goike does not give each SA a mark of its own"},
		{"", "mark_in = 3/1", "mark_in 0x3/0x1 has bits outside of its mask"},
		{"", "if_id_in = %unique-dir", "goike does not give each SA an interface ID"},
		{"", "close_action = start", "goike does not set up again what it has not started"},
		{"", "close_action = trap", "goike does not trap what was not trapped before"},
		{"", "start_action = trap,start", "allowed: none, trap, start, trap|start"},
		{"remote_addrs = %any", "start_action = start", "needs a peer to call, but remote_addrs names no single one"},
		{"", "ah_proposals = sha256\nhw_offload = yes", "hw_offload"},
		{"encap = yes", "ah_proposals = sha256", "which cannot be sent in UDP as encap wants"},
		{"local_addrs = 2001:db8::1", "", "swanctl.conf:3:1: local_addrs 2001:db8::1 and remote_addrs 198.51.100.2 are of different address families"},
		{"", "sub { }", "unknown section sub in child lan"},
	} {
		got, _, err := load(t, conn(c.options, c.child))
		var es conf.Errors
		if got != nil || !errors.As(err, &es) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s | %s: %v; want %q", c.options, c.child, err, c.want)
		}
	}
}

// Who only passes or drops packets has nobody to authenticate, and no key.
func TestOnlyShunts(t *testing.T) {
	c, _, err := load(t, "connections { c { remote_addrs = 127.0.0.1\nchildren { k { mode = pass\nstart_action = trap\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.1.0.0/16 } } } }")
	if err != nil || !c.Connections[0].OnlyShunts() || len(c.Keyless()) != 0 {
		t.Error(err)
	}
	if _, _, err := load(t, "connections { c { children { k { mode = pass } t { } } } }"); err == nil || !strings.Contains(err.Error(), "has no section local") {
		t.Error(err)
	}
}

func TestAuthentication(t *testing.T) {
	for _, c := range []struct{ local, want string }{
		{"local { id = a }", "local of connection c has no auth, which would be pubkey; goike does not authenticate by certificates"},
		{"local { auth = pubkey }", `auth of local of connection c is "pubkey"; goike does not authenticate by certificates`},
		{"local { auth = eap-mschapv2 }", "goike does not do EAP or XAuth yet"},
		{"", "connection c has no section local"},
		{"local { auth = psk\nid = *.example.org\n}", "has wildcards, but names this side"},
		{"local { auth = psk\nid = \"@#zz\"\n}", "id of local of connection c cannot be used"},
		{"local { auth = psk\ncert { fil = x\n} }", "unknown option fil in cert of local of connection c; did you mean file?"},
	} {
		_, _, err := load(t, "connections { c { "+c.local+"\nremote { auth = psk } } }")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.local, err, c.want)
		}
	}
}

func TestIdentities(t *testing.T) {
	for _, text := range []string{
		"192.0.2.1", "gw.example.org", "carol@example.org", "\"@#0a0b\"", "fqdn:gw", "email:carol", "keyid:x", "\"ipv4:#c0000201\"", "dns:gw.example.org", "%any", "\"C=CH, O=x, CN=*\"", "*@example.org", "asn1dn:CN=x",
	} {
		c, _, err := load(t, "connections { c { local { auth = psk }\nremote { auth = psk\nid = "+text+"\n} } }")
		if err != nil || c.Connections[0].Remote.ID != identity(t, strings.Trim(text, `"`)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct{ options, child, want string }{
		{"", "local_ts = 10.1.2.3/16", "local_ts of child lan of connection site holds 10.1.2.3/16: that is taken for the network 10.1.0.0/16"},
		{"", "replay_window = 16", "goike's smallest window is 32"},
		{"fragmentation = force", "", "with IKEv2 it is yes"},
		{"rekey_time = 10s\nover_time = 1m", "", "30s is taken"},
		{"dpd_timeout = 90s", "", "dpd_timeout in connection site has no effect: it is for IKEv1"},
		{"send_cert = always", "", "send_cert in connection site has no effect: goike does not use certificates yet"},
		{"", "start_action = start\nclose_action = none", "goike sets up again what start_action = start has started"},
		{"", "life_time = 0", "goike gives each SA that is replaced a limit"},
		{"", "mode = drop\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.2.0.0/16\nstart_action = none", "goike installs policies of mode drop"},
		{"", "mode = drop\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.2.0.0/16\nipcomp = yes", "ipcomp in child lan of connection site has no effect: mode drop makes no SAs"},
	} {
		got, ws, err := load(t, conn(c.options, c.child))
		if got == nil || err != nil || !slices.ContainsFunc(ws, func(w Warning) bool { return strings.Contains(w.Text, c.want) && w.Line > 0 }) {
			t.Errorf("%s | %s: %v %v; want %q", c.options, c.child, ws, err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"connectoins { }", "section connectoins has no effect: it is none of connections, secrets, pools, authorities, and nothing inherits from it; did you mean connections?"},
		{"key = value", "key stands outside of all sections"},
		{"connections { c { local { auth = psk }\nremote { auth = psk } } }", "no secret of secrets.ike is for its identities"},
	} {
		_, ws, err := load(t, c.text)
		if err != nil || len(ws) != 1 || !strings.Contains(ws[0].Text, c.want) {
			t.Errorf("%s: %v %v; want %q", c.text, ws, err, c.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ike { id = a\n}", "secret ike has no option secret"},
		{"ike { secret = 0xzz\n}", "secret of secret ike begins with 0x, but pairs of hexadecimal digits do not follow"},
		{"ike { secrt = topsecret\n}", "unknown option secrt in secret ike; did you mean secret?"},
		{"ike { secret = topsecret\nid = \"@#zz\"\n}", "id of secret ike cannot be used"},
		{"eap-x { secret = topsecret\n}", "secret eap-x: goike does not do EAP or XAuth yet"},
		{"private { file = x\nsecret = topsecret\n}", "secret private: goike does not use private keys yet"},
		{"token { pin = topsecret\npan = 1\n}", "unknown option pan in secret token"},
		{"psk { secret = topsecret\n}", "unknown section psk in secrets; allowed: ike..., eap..."},
	} {
		_, _, err := load(t, "secrets { "+c.text+" }")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v; want %q", c.text, err, c.want)
		}
	}
	path := filepath.Join(folder(t, "x.conf", "secrets { ike { secret = short\n} }"), "x.conf")
	for mode, want := range map[os.FileMode]string{0o600: "5 octets", 0o640: "the group of the file can read", 0o644: "which every user of this host can read"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, ws, err := Load(path)
		said := ""
		for _, w := range ws {
			said += w.String()
		}
		if err != nil {
			said += err.Error()
		}
		if !strings.Contains(said, want) || (err != nil) != (mode == 0o644) || strings.Contains(said, "short") {
			t.Errorf("%04o: %v, %v", mode, ws, err)
		}
	}
}

// What VICI loads has lists instead of commas, and no places.
func TestConnectionOfAMessage(t *testing.T) {
	s := NewSection("site")
	s.SetList("remote_addrs", []string{"198.51.100.2"})
	s.SetList("proposals", []string{"aes128-sha256-modp2048", "default"})
	s.Add("local-1").Set("auth", "psk")
	s.Add("remote-1").Set("auth", "psk")
	s.Section("remote-1").Set("id", "C=CH, CN=peer")
	s.Add("children").Add("lan").SetList("local_ts", []string{"10.1.0.0/16", "10.3.0.0/16"})
	c, ws, err := Connection("site", s)
	if err != nil || len(ws) != 0 || len(c.Children[0].Local) != 2 || c.Remote.ID.Kind != id.DN || len(c.Proposals) != 1+len(crypto.DefaultProposals(crypto.IKE)) {
		t.Errorf("%+v, %v, %v", c, ws, err)
	}
	s.Set("mobike", "maybe")
	s.Set("foo", "1")
	_, _, err = Connection("site", s)
	var es Errors
	if !errors.As(err, &es) || len(es) != 2 || es[0].Option != "mobike" || es[0].Unknown || es[1].Option != "foo" || !es[1].Unknown {
		t.Errorf("%#v", err)
	}
	key := NewSection("ike-1")
	key.Set("secret", "0x00112233445566778899aabbccddeeff")
	key.Set("id-1", "peer.example.org")
	k, err := SharedKey("ike-1", key)
	if err != nil || len(k.Key) != 16 || len(k.Owners) != 1 {
		t.Error(k.Owners, err)
	}
}

// A thousand connections are read in about a second, of a slow machine.
func TestThousandConnections(t *testing.T) {
	var s strings.Builder
	s.WriteString("d { version = 2\nlocal { auth = psk }\nremote { auth = psk } }\nconnections {\n")
	for i := range 1000 {
		fmt.Fprintf(&s, "c%d : d { remote_addrs = 198.51.100.2\nchildren { lan { local_ts = 10.1.0.0/16\nremote_ts = 10.2.0.0/16\n} } }\n", i)
	}
	s.WriteString("}\nsecrets { ike { secret = \"a secret that is long enough\" } }")
	begin := time.Now()
	c, _, err := load(t, s.String())
	if err != nil || len(c.Connections) != 1000 {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
