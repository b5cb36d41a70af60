package toml

import (
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// noFiles is a file system without files.
func noFiles(string) ([]byte, error) { return nil, fs.ErrNotExist }

const base = `[[phase1]]
name = "site"
remote_gateway = "198.51.100.2"
pre_shared_key = "a secret that is long enough"
%s
[[phase1.phase2]]
name = "lan"
local_network = "10.1.0.0/16"
remote_network = "10.2.0.0/16"
%s
`

// document puts lines into a configuration that is valid without them, in place of
// lines for the same keys: "phase1:", "phase2:" or "daemon:" begins each.
func document(lines string) string {
	var p1, p2, daemon []string
	text := base
	for line := range strings.SplitSeq(lines, "\n") {
		where, line, _ := strings.Cut(line, ": ")
		switch where {
		case "phase1":
			p1 = append(p1, line)
		case "phase2":
			p2 = append(p2, line)
		default:
			daemon = append(daemon, line)
			continue
		}
		key, _, _ := strings.Cut(strings.ReplaceAll(line, "¦", ""), " ")
		own, rest, _ := strings.Cut(text, "[[phase1.phase2]]")
		re := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(key) + ` = .*\n`)
		if where == "phase1" {
			own = re.ReplaceAllString(own, "")
		} else {
			rest = re.ReplaceAllString(rest, "")
		}
		text = own + "[[phase1.phase2]]" + rest
	}
	return strings.Join(daemon, "\n") + "\n" + fmt.Sprintf(text, strings.Join(p1, "\n"), strings.Join(p2, "\n"))
}

// places takes the marks out of a document and returns where they were.
func places(text string) (string, []string) {
	var at []string
	line, col := 1, 1
	for _, r := range text {
		switch r {
		case '¦':
			at = append(at, fmt.Sprintf("%d:%d", line, col))
			continue
		case '\n':
			line, col = line+1, 0
		}
		col++
	}
	return strings.ReplaceAll(text, "¦", ""), at
}

func mustParse(t *testing.T, text string) *conf.Config {
	t.Helper()
	c, _, err := parse("goike.toml", []byte(text), noFiles)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// What is not in the file is as goike.toml(5) says.
func TestDefaults(t *testing.T) {
	c := mustParse(t, document(""))
	conn := c.Connections[0]
	want := conf.Default()
	want.Connections = []*conf.Connection{{
		Name: "site", Gateways: conf.Gateways{{Prefix: netip.MustParsePrefix("198.51.100.2/32")}}, RemotePort: 500,
		Proposals: crypto.DefaultProposals(crypto.IKE), Lifetime: 3 * time.Hour,
		Remote: conf.Auth{ID: id.FromAddr(netip.MustParseAddr("198.51.100.2"))}, PSK: crypto.Secret("a secret that is long enough"),
		KeyingTries: 3, Rekey: true, Margin: 9 * time.Minute, RekeyFuzz: 100, DPDDelay: 30 * time.Second, DPDFailures: 5,
		MOBIKE: true, Fragmentation: true, FragmentSize: 1280, FollowRedirects: true,
		Children: []*conf.Child{{
			Name:     "lan",
			Local:    []conf.Selector{{First: netip.MustParseAddr("10.1.0.0"), Last: netip.MustParseAddr("10.1.255.255"), PortLast: 65535}},
			Remote:   []conf.Selector{{First: netip.MustParseAddr("10.2.0.0"), Last: netip.MustParseAddr("10.2.255.255"), PortLast: 65535}},
			Protocol: crypto.ESP, Proposals: crypto.DefaultProposals(crypto.ESP), DefaultProposals: true, Lifetime: time.Hour, Window: 32,
		}},
	}}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\n%+v\n%+v\nwant %+v\n%+v", *c, *conn, *conn.Children[0], *want.Connections[0], *want.Connections[0].Children[0])
	}
	if c.UniqueIDs != conf.UniqueReplace || c.Dataplane != conf.BackendAuto || !c.Network.InstallRoutes || c.Log.Level != "info" ||
		c.Retransmit != (conf.Retransmit{Timeout: 4 * time.Second, Base: 1.8, Tries: 5}) || c.Limits != (conf.HalfOpenLimits{Cookie: 100, PerAddress: 100, Total: 50000}) {
		t.Errorf("%+v", *c)
	}
}

// Every key with a value that is served: what it does to the model.
func TestKeys(t *testing.T) {
	type model struct {
		*conf.Config
		conn  *conf.Connection
		child *conf.Child
	}
	words := func(ps []crypto.Proposal) string { return fmt.Sprint(ps) }
	for _, c := range []struct {
		line string
		get  func(model) any
		want any
	}{
		{`daemon: ipsec.configuration_mode = "normal"`, nil, nil},
		{`daemon: ipsec.conf_files = []`, nil, nil},
		{`daemon: ipsec.unique_ids = "yes"`, func(m model) any { return m.UniqueIDs }, conf.UniqueReplace},
		{`daemon: ipsec.unique_ids = "replace"`, func(m model) any { return m.UniqueIDs }, conf.UniqueReplace},
		{`daemon: ipsec.unique_ids = "no"`, func(m model) any { return m.UniqueIDs }, conf.UniqueNo},
		{`daemon: ipsec.unique_ids = "never"`, func(m model) any { return m.UniqueIDs }, conf.UniqueNever},
		{`daemon: ipsec.unique_ids = "keep"`, func(m model) any { return m.UniqueIDs }, conf.UniqueKeep},
		{`daemon: ipsec.ipcomp = false`, nil, nil},
		{`daemon: ipsec.exclude_my_network = true`, nil, nil},
		{`daemon: ipsec.exclude_my_network = false`, func(m model) any { return m.ExcludeMyNetwork }, false},
		{`daemon: ipsec.ipcomp = true`, func(m model) any { return m.child.IPComp }, true},
		{"daemon: ipsec.ipcomp = true\nphase2: ipcomp = false", func(m model) any { return m.child.IPComp }, false},
		{`daemon: network.route_based = true`, func(m model) any { return m.Network.RouteBased }, true},
		{`daemon: dataplane.backend = "kernel"`, func(m model) any { return m.Dataplane }, conf.BackendKernel},
		{`daemon: ipsec.cisco_extensions = false`, nil, nil},
		{`daemon: ipsec.unencrypted_main_mode = false`, nil, nil},
		{`daemon: ipsec.mss_clamp = 0`, nil, nil},
		{`daemon: ipsec.strict_crl = "no"`, nil, nil},
		{`daemon: ipsec.make_before_break = false`, nil, nil},
		{`daemon: ipsec.make_before_break = true`, func(m model) any { return m.MakeBeforeBreak }, true},
		{`daemon: network.interface = "none"`, nil, nil},
		{`daemon: network.route_based = false`, nil, nil},
		{`daemon: network.install_routes = false`, func(m model) any { return m.Network.InstallRoutes }, false},
		{`daemon: firewall.manage = false`, nil, nil},
		{`daemon: dataplane.backend = "auto"`, func(m model) any { return m.Dataplane }, conf.BackendAuto},
		{`daemon: dataplane.backend = "userspace"`, func(m model) any { return m.Dataplane }, conf.BackendUserspace},
		{`daemon: dataplane.backend = "none"`, func(m model) any { return m.Dataplane }, conf.BackendNone},
		{`daemon: control.socket = "/run/x"`, func(m model) any { return m.Control.Socket }, "/run/x"},
		{`daemon: metrics.listen = ""`, nil, nil},
		{`daemon: metrics.listen = "[::1]:9814"`, func(m model) any { return m.Metrics.Listen }, "[::1]:9814"},
		{`daemon: metrics.listen = "unix:/run/goike/metrics"`, func(m model) any { return m.Metrics.Listen }, "unix:/run/goike/metrics"},
		{`daemon: log.level = "debug"`, func(m model) any { return m.Log.Level }, "debug"},
		{`daemon: log.format = "json"`, func(m model) any { return m.Log.JSON }, true},
		{`daemon: log.format = "text"`, func(m model) any { return m.Log.JSON }, false},
		{`daemon: log.levels = { ike = "debug", child = "error" }`, func(m model) any { return m.Log.Levels }, map[string]string{"ike": "debug", "child": "error"}},
		{`daemon: retransmit.timeout = "500ms"`, func(m model) any { return m.Retransmit.Timeout }, 500 * time.Millisecond},
		{`daemon: retransmit.base = 2`, func(m model) any { return m.Retransmit.Base }, 2.0},
		{`daemon: retransmit.base = 1.5`, func(m model) any { return m.Retransmit.Base }, 1.5},
		{`daemon: retransmit.tries = 0`, func(m model) any { return m.Retransmit.Tries }, 0},
		{`daemon: limits.cookie = 1`, func(m model) any { return m.Limits.Cookie }, 1},
		{`daemon: limits.per_address = 0x10`, func(m model) any { return m.Limits.PerAddress }, 16},
		{`daemon: limits.total = 1_000`, func(m model) any { return m.Limits.Total }, 1000},

		{`phase1: name = "München 1"`, func(m model) any { return m.conn.Name }, "München 1"},
		{`phase1: key_exchange = "auto"`, func(m model) any { return m.conn.Version }, conf.VersionAuto},
		{`phase1: key_exchange = "ikev2"`, func(m model) any { return m.conn.Version }, conf.IKEv2},
		{`phase1: remote_gateway = "2001:db8::1"`, func(m model) any { return m.conn.Gateways }, conf.Gateways{{Prefix: netip.MustParsePrefix("2001:db8::1/128")}}},
		{`phase1: remote_gateway = ["198.51.100.1", "vpn.example.org"]`, func(m model) any { return m.conn.Gateways },
			conf.Gateways{{Prefix: netip.MustParsePrefix("198.51.100.1/32")}, {Host: "vpn.example.org"}}},
		{`phase1: remote_gateway = "vpn.example.org"`, func(m model) any { return m.conn.Gateways }, conf.Gateways{{Host: "vpn.example.org"}}},
		{"phase1: remote_gateway = \"192.0.2.0/24\"\nphase1: connection_behavior = \"responder-only\"", func(m model) any { return m.conn.Gateways }, conf.Gateways{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}},
		{"phase1: remote_gateway = \"%any\"\nphase1: connection_behavior = \"responder-only\"", func(m model) any { return m.conn.Gateways }, conf.Gateways{{Any: true}}},
		{`phase1: local_address = "any"`, func(m model) any { return m.conn.LocalAddr.IsValid() || m.conn.LocalInterface != "" }, false},
		{`phase1: local_address = "192.0.2.1"`, func(m model) any { return m.conn.LocalAddr }, netip.MustParseAddr("192.0.2.1")},
		{`phase1: local_address = "eth0.100"`, func(m model) any { return m.conn.LocalInterface }, "eth0.100"},
		{`phase1: proposals = "aes256-sha256-modp2048"`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-sha256-modp2048]"},
		{`phase1: proposals = ["aes256gcm16-prfsha384-ecp384", "aes128-sha1-modp1024"]`, func(m model) any { return words(m.conn.Proposals) }, "[aes256gcm16-prfsha384-ecp384 aes128-sha1-modp1024]"},
		{`phase1: proposals = "default"`, func(m model) any { return words(m.conn.Proposals) }, words(crypto.DefaultProposals(crypto.IKE))},
		{`phase1: encryption = "aes"`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-sha256-modp2048]"},
		{`phase1: encryption = ["aesgcm16", "AES", "chacha20poly1305"]`, func(m model) any { return words(m.conn.Proposals) }, "[aes256gcm16-chacha20poly1305-prfsha256-modp2048 aes256-sha256-modp2048]"},
		{`phase1: encryption = "aes128"`, func(m model) any { return words(m.conn.Proposals) }, "[aes128-sha256-modp2048]"},
		{`phase1: key_length = [256, 128]`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-aes128-sha256-modp2048]"},
		{`phase1: hash = ["sha384", "aesxcbc"]`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-sha384-aesxcbc-modp2048]"},
		{`phase1: dh_group = 2`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-sha256-modp1024]"},
		{`phase1: dh_group = [31, "ecp384"]`, func(m model) any { return words(m.conn.Proposals) }, "[aes256-sha256-curve25519-ecp384]"},
		{`phase1: lifetime = "forever"`, func(m model) any { return m.conn.Lifetime }, conf.Forever},
		{`phase1: lifetime = "2d"`, func(m model) any { return m.conn.Lifetime }, 48 * time.Hour},
		{`phase1: authentication = "psk"`, func(m model) any { return m.conn.Remote.Method }, conf.AuthPSK},
		{`phase1: local_auth = "psk"`, func(m model) any { return m.conn.Local.Method }, conf.AuthPSK},
		{`phase1: remote_auth = "psk"`, func(m model) any { return m.conn.Remote.Method }, conf.AuthPSK},
		{`phase1: pre_shared_key = "0x000102030405060708090a0b0c0d0e0f"`, func(m model) any { return []byte(m.conn.PSK) }, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{`phase1: pre_shared_key = "0sAAECAwQFBgcICQoLDA0ODw=="`, func(m model) any { return []byte(m.conn.PSK) }, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{`phase1: pre_shared_key = "with \"quotes\" and ü in it"`, func(m model) any { return string(m.conn.PSK) }, `with "quotes" and ü in it`},
		{`phase1: certificate = ""`, nil, nil},
		{`phase1: private_key = ""`, nil, nil},
		{`phase1: ca = []`, nil, nil},
		{`phase1: negotiation_mode = "main"`, nil, nil},
		{`phase1: identifier = "hq.example.org"`, func(m model) any { return m.conn.Local.ID }, id.ID{Kind: id.FQDN, Data: "hq.example.org"}},
		{`phase1: identifier = "192.0.2.7"`, func(m model) any { return m.conn.Local.ID }, id.ID{Kind: id.IPv4, Data: "\xc0\x00\x02\x07"}},
		{`phase1: peer_identifier = "*@example.org"`, func(m model) any { return m.conn.Remote.ID }, id.ID{Kind: id.Email, Data: "*@example.org"}},
		{`phase1: peer_identifier = "%any"`, func(m model) any { return m.conn.Remote.ID }, id.ID{}},
		{`phase1: remote_gateway = "vpn.example.org"`, func(m model) any { return m.conn.Remote.ID }, id.ID{}},
		{`phase1: connection_behavior = "start"`, func(m model) any { return m.conn.Behavior }, conf.Start},
		{`phase1: connection_behavior = "on-demand"`, func(m model) any { return m.conn.Behavior }, conf.OnDemand},
		{`phase1: connection_behavior = "responder-only"`, func(m model) any { return m.conn.Behavior }, conf.ResponderOnly},
		{`phase1: force_udp_encapsulation = true`, func(m model) any { return m.conn.ForceEncap }, true},
		{`phase1: keying_tries = 0`, func(m model) any { return m.conn.KeyingTries }, 0},
		{`phase1: rekey = false`, func(m model) any { return m.conn.Rekey }, false},
		{`phase1: margintime = "0s"`, func(m model) any { return m.conn.Margin }, time.Duration(0)},
		{`phase1: margintime = "3m"`, func(m model) any { return m.conn.Margin }, 3 * time.Minute},
		{`phase1: rekey_fuzz = 0`, func(m model) any { return m.conn.RekeyFuzz }, 0},
		{`phase1: dpd_action = "restart"`, func(m model) any { return m.conn.DPDAction }, conf.DPDRestart},
		{`phase1: dpd_action = "clear"`, func(m model) any { return m.conn.DPDAction }, conf.DPDClear},
		{`phase1: dpd_action = "hold"`, func(m model) any { return m.conn.DPDAction }, conf.DPDHold},
		{`phase1: dpd_action = "none"`, func(m model) any { return m.conn.DPDAction }, conf.DPDNone},
		{`phase1: dpd_delay = "10s"`, func(m model) any { return m.conn.DPDDelay }, 10 * time.Second},
		{`phase1: dpd_failures = 3`, func(m model) any { return m.conn.DPDFailures }, 3},
		{`phase1: mobike = false`, func(m model) any { return m.conn.MOBIKE }, false},
		{`phase1: fragmentation = false`, func(m model) any { return m.conn.Fragmentation }, false},
		{`phase1: fragment_size = 576`, func(m model) any { return m.conn.FragmentSize }, 576},
		{`phase1: reauthenticate = false`, nil, nil},
		{`phase1: reauthenticate = true`, func(m model) any { return m.conn.Reauthenticate }, true},
		{`phase1: childless = "allow"`, func(m model) any { return m.conn.Childless }, conf.ChildlessAllow},
		{`phase1: childless = "prefer"`, func(m model) any { return m.conn.Childless }, conf.ChildlessPrefer},
		{`phase1: childless = "force"`, func(m model) any { return m.conn.Childless }, conf.ChildlessForce},
		{`phase1: childless = "never"`, func(m model) any { return m.conn.Childless }, conf.ChildlessNever},
		{`phase1: follow_redirects = true`, func(m model) any { return m.conn.FollowRedirects }, true},
		{`phase1: follow_redirects = false`, func(m model) any { return m.conn.FollowRedirects }, false},
		{`phase1: session_resumption = false`, func(m model) any { return m.conn.SessionResumption }, false},
		{`phase1: session_resumption = true`, func(m model) any { return m.conn.SessionResumption }, true},

		{`phase2: name = "x"`, func(m model) any { return m.child.Name }, "x"},
		{`phase2: description = "offices, 2nd floor"`, func(m model) any { return m.child.Description }, "offices, 2nd floor"},
		{`phase2: mode = "tunnel"`, func(m model) any { return m.child.Mode }, conf.Tunnel},
		{"phase2: mode = \"transport\"\nphase2: local_network = \"10.1.0.1[tcp/22]\"\nphase2: remote_network = \"10.2.0.1\"", func(m model) any { return fmt.Sprint(m.child.Mode, m.child.Local) }, "transport [10.1.0.1[tcp/22]]"},
		{`phase2: local_network = ["10.1.0.0/16", "10.3.0.1-10.3.0.9", "10.4.0.1[udp/1024-2047]"]`, func(m model) any { return fmt.Sprint(m.child.Local) }, "[10.1.0.0/16 10.3.0.1-10.3.0.9 10.4.0.1[udp/1024-2047]]"},
		{`phase2: remote_network = ["10.2.0.0/16[icmp/8]"]`, func(m model) any { return fmt.Sprint(m.child.Remote) }, "[10.2.0.0/16[icmp/8]]"},
		{"phase2: mode = \"beet\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = \"10.2.0.1\"", func(m model) any { return m.child.Mode }, conf.BEET},
		{`phase2: mode = "pass"`, func(m model) any {
			return [...]any{m.child.Mode, len(m.child.Proposals), m.child.DefaultProposals, m.child.Lifetime, m.child.Window}
		}, [...]any{conf.Pass, 0, false, conf.Forever, uint32(0)}},
		{"daemon: ipsec.ipcomp = true\nphase2: mode = \"drop\"\nphase2: priority = 7", func(m model) any { return [...]any{m.child.Mode, m.child.IPComp, m.child.Kernel.Priority} }, [...]any{conf.Drop, false, uint32(7)}},
		{`phase2: protocol = "ah"`, func(m model) any {
			return fmt.Sprint(m.child.Protocol, m.child.DefaultProposals, words(m.child.Proposals))
		}, "AH true[sha256-sha384-sha512]"},
		{"phase2: protocol = \"ah\"\nphase2: proposals = [\"sha512-modp2048-esn\", \"sha256\"]", func(m model) any { return words(m.child.Proposals) }, "[sha512-modp2048-esn sha256]"},
		{"phase2: protocol = \"ah\"\nphase2: hash = [\"sha512\", \"aesxcbc\"]\nphase2: dh_group = 14", func(m model) any { return words(m.child.Proposals) }, "[sha512-aesxcbc-modp2048]"},
		{"phase2: protocol = \"ah\"\nphase2: dh_group = \"curve25519\"", func(m model) any { return words(m.child.Proposals) }, "[sha256-curve25519]"},
		{`phase2: proposals = "default"`, func(m model) any { return m.child.DefaultProposals }, true},
		{`phase2: proposals = ["default"]`, func(m model) any { return m.child.DefaultProposals }, true},
		{`phase2: proposals = ["aes128-sha256", "default"]`, func(m model) any { return m.child.DefaultProposals }, false},
		{`phase2: hash = "sha256"`, func(m model) any { return m.child.DefaultProposals }, false},
		{`phase2: ipcomp = true`, func(m model) any { return m.child.IPComp }, true},
		{`phase2: mark_in = 0x10`, func(m model) any { return m.child.Kernel.MarkIn }, conf.Mark{Value: 16, Mask: 0xffffffff}},
		{`phase2: mark_out = "0x10/0xff"`, func(m model) any { return m.child.Kernel.MarkOut }, conf.Mark{Value: 16, Mask: 255}},
		{`phase2: set_mark_in = "/0xff"`, func(m model) any { return m.child.Kernel.SetMarkIn }, conf.Mark{Mask: 255}},
		{`phase2: set_mark_out = "42"`, func(m model) any { return m.child.Kernel.SetMarkOut }, conf.Mark{Value: 42, Mask: 0xffffffff}},
		{"phase2: mark_in = 1\nphase2: mark_in_sa = true", func(m model) any { return m.child.Kernel.MarkInSA }, true},
		{`phase2: if_id_in = 4294967295`, func(m model) any { return m.child.Kernel.IfIDIn }, uint32(4294967295)},
		{`phase2: if_id_out = 7`, func(m model) any { return m.child.Kernel.IfIDOut }, uint32(7)},
		{`phase2: hw_offload = "crypto"`, func(m model) any { return m.child.Kernel.Offload }, conf.OffloadCrypto},
		{`phase2: copy_df = false`, func(m model) any { return m.child.Kernel.NoCopyDF }, true},
		{`phase2: copy_ecn = false`, func(m model) any { return m.child.Kernel.NoCopyECN }, true},
		{`phase2: copy_ecn = true`, nil, nil},
		{`phase2: copy_dscp = "out"`, nil, nil},
		{`phase2: copy_dscp = "in"`, func(m model) any { return [...]bool{m.child.Kernel.CopyDSCPIn, m.child.Kernel.NoCopyDSCPOut} }, [...]bool{true, true}},
		{`phase2: copy_dscp = "yes"`, func(m model) any { return [...]bool{m.child.Kernel.CopyDSCPIn, m.child.Kernel.NoCopyDSCPOut} }, [...]bool{true, false}},
		{`phase2: copy_dscp = "no"`, func(m model) any { return [...]bool{m.child.Kernel.CopyDSCPIn, m.child.Kernel.NoCopyDSCPOut} }, [...]bool{false, true}},
		{`phase2: tfc_padding = 1400`, func(m model) any { return m.child.Kernel.TFCPad }, uint16(1400)},
		{`phase2: tfc_padding = "mtu"`, func(m model) any { return m.child.Kernel.TFCPad }, uint16(conf.MaxTFCPad)},
		{`phase2: priority = 4294967294`, func(m model) any { return m.child.Kernel.Priority }, uint32(conf.MaxPriority)},
		{`phase2: protocol = "esp"`, func(m model) any { return m.child.Protocol }, crypto.ESP},
		{`phase2: lifetime = "forever"`, func(m model) any { return m.child.Lifetime }, conf.Forever},
		{`phase2: lifetime_bytes = 64_000_000_000`, func(m model) any { return m.child.LifetimeBytes }, uint64(64e9)},
		{`phase2: lifetime_packets = 1000`, func(m model) any { return m.child.LifetimePackets }, uint64(1000)},
		{`phase1: remote_port = 4501`, func(m model) any { return m.conn.RemotePort }, uint16(4501)},
		{`phase1: unique_ids = "keep"`, func(m model) any { return *m.conn.UniqueIDs }, conf.UniqueKeep},
		{`phase1: dpd_delay = "0s"`, func(m model) any { return m.conn.DPDDelay }, time.Duration(0)},
		{`phase2: margintime = "3m"`, func(m model) any { return *m.child.Renewal }, conf.Renewal{Margin: 3 * time.Minute, Jitter: 3 * time.Minute}},
		{"phase1: margintime = \"2m\"\nphase2: rekey_fuzz = 50", func(m model) any { return *m.child.Renewal }, conf.Renewal{Margin: 2 * time.Minute, Jitter: time.Minute}},
		{"phase2: lifetime_bytes = 100_000\nphase2: margin_bytes = 20_000\nphase2: rekey_fuzz = 10", func(m model) any { return *m.child.Renewal },
			conf.Renewal{Margin: 9 * time.Minute, Jitter: 54 * time.Second, BytesMargin: 20000, BytesJitter: 2000}},
		{"phase2: lifetime_packets = 100_000\nphase2: margin_packets = 3000\nphase2: lifetime_bytes = 10_000", func(m model) any { return *m.child.Renewal },
			conf.Renewal{Margin: 9 * time.Minute, Jitter: 9 * time.Minute, BytesMargin: 1000, BytesJitter: 1000, PacketsMargin: 3000, PacketsJitter: 3000}},
		{"phase2: local_network = \"dynamic[tcp/22]\"\nphase2: remote_network = \"dynamic\"", func(m model) any { return []conf.Selector{m.child.Local[0], m.child.Remote[0]} },
			[]conf.Selector{{Proto: 6, PortFirst: 22, PortLast: 22}, {PortLast: 65535}}},
		{`phase2: connection_behavior = "on-demand"`, func(m model) any { return *m.child.Behavior }, conf.OnDemand},
		{`phase2: dpd_action = "hold"`, func(m model) any { return *m.child.DPDAction }, conf.DPDHold},
		{`phase2: inactivity = "30m"`, func(m model) any { return m.child.Inactivity }, 30 * time.Minute},
		{`phase2: inactivity = "forever"`, func(m model) any { return m.child.Inactivity }, conf.Forever},
		{`phase2: proposals = ["aes256gcm16-curve25519-esn"]`, func(m model) any { return words(m.child.Proposals) }, "[aes256gcm16-curve25519-esn]"},
		{`phase2: encryption = "null"`, func(m model) any { return words(m.child.Proposals) }, "[null-sha256]"},
		{`phase2: encryption = "aesgcm16"`, func(m model) any { return words(m.child.Proposals) }, "[aes256gcm16]"},
		{`phase2: key_length = 128`, func(m model) any { return words(m.child.Proposals) }, "[aes128-sha256]"},
		{`phase2: hash = "sha512"`, func(m model) any { return words(m.child.Proposals) }, "[aes256-sha512]"},
		{`phase2: dh_group = "modp3072"`, func(m model) any { return words(m.child.Proposals) }, "[aes256-sha256-modp3072]"},
		{`phase2: replay_window = 0`, func(m model) any { return m.child.Window }, uint32(0)},
		{`phase2: replay_window = 4096`, func(m model) any { return m.child.Window }, uint32(4096)},
	} {
		text := document(c.line)
		config, _, err := parse("goike.toml", []byte(text), noFiles)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if c.get == nil {
			if plain := mustParse(t, document("")); !reflect.DeepEqual(config, plain) {
				t.Errorf("%s: changes the configuration", c.line)
			}
			continue
		}
		conn := config.Connections[0]
		if got := c.get(model{config, conn, conn.Children[0]}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.line, got, c.want)
		}
	}
}
