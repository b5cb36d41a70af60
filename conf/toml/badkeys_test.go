package toml

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

// allowed is what every error says somewhere.
var allowed = regexp.MustCompile(`allowed|did you mean|belongs in`)

func errorsOf(t *testing.T, err error) conf.Errors {
	t.Helper()
	var es conf.Errors
	if err != nil && !errors.As(err, &es) {
		t.Fatalf("%T: %v", err, err)
	}
	return es
}

func TestBadKeys(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`daemon: ipsec.configuration_mode = ¦"advanced"`, `ipsec.configuration_mode "advanced" is not supported yet; allowed: "normal"`},
		{`daemon: ipsec.configuration_mode = ¦"normale"`, `ipsec.configuration_mode is "normale"; allowed: "normal"`},
		{`daemon: ipsec.conf_files = ¦["/etc/swanctl/*.conf"]`, `ipsec.conf_files is not supported yet; allowed: `},
		{`daemon: ipsec.conf_files = ¦"x"`, `ipsec.conf_files is not supported yet`},
		{`daemon: ipsec.conf_files = ¦1`, `ipsec.conf_files is an integer; allowed: a string, or a list of them`},
		{`daemon: ipsec.unique_ids = ¦true`, `ipsec.unique_ids is true; allowed: "yes", "replace", "no", "never", "keep"`},
		{`daemon: ipsec.unique_ids = ¦"Yes"`, `ipsec.unique_ids is "Yes"; allowed: "yes"`},
		{`daemon: ipsec.ipcomp = ¦"no"`, `ipsec.ipcomp is a string; allowed: true, false`},
		{`daemon: ipsec.exclude_my_network = ¦"no"`, `ipsec.exclude_my_network is a string; allowed: true, false`},
		{`daemon: ipsec.cisco_extensions = ¦true`, `is not supported yet; allowed: false`},
		{`daemon: ipsec.unencrypted_main_mode = ¦true`, `is not supported yet; allowed: false`},
		{`daemon: ipsec.make_before_break = ¦1`, `ipsec.make_before_break is an integer; allowed: true, false`},
		{`daemon: ipsec.mss_clamp = ¦1360`, `ipsec.mss_clamp = 1360 is not supported yet; allowed: 0 (off)`},
		{`daemon: ipsec.mss_clamp = ¦"auto"`, `ipsec.mss_clamp = "auto" is not supported yet`},
		{`daemon: ipsec.mss_clamp = ¦"off"`, `ipsec.mss_clamp is a string; allowed: 0 (off)`},
		{`daemon: ipsec.strict_crl = ¦"ifuri"`, `ipsec.strict_crl "ifuri" is not supported yet; allowed: "no"`},
		{`daemon: network.interface = ¦"br0"`, `network.interface = "br0" is not supported yet; allowed: "none"`},
		{`daemon: network.route_based = ¦1`, `network.route_based is an integer; allowed: true, false`},
		{"daemon: network.route_based = ¦true\ndaemon: dataplane.backend = \"userspace\"", `network.route_based is true, but dataplane.backend is "userspace", which has no interface for each connection; allowed with it: "auto", "kernel"`},
		{`daemon: network.install_routes = ¦1`, `network.install_routes is an integer; allowed: true, false`},
		{`daemon: firewall.manage = ¦true`, `firewall.manage = true is not supported yet; allowed: false`},
		{`daemon: dataplane.backend = ¦"xfrm"`, `dataplane.backend is "xfrm"; allowed: "auto", "kernel", "userspace", "none"`},
		{`daemon: control.socket = ¦""`, `control.socket is empty; allowed: an absolute path`},
		{`daemon: control.socket = ¦"goiked.vici"`, `control.socket is "goiked.vici"; allowed: an absolute path`},
		{`daemon: metrics.listen = ¦"127.0.0.1:9100"`, `metrics.listen is not supported yet; allowed: ""`},
		{`daemon: metrics.listen = ¦9100`, `metrics.listen is an integer; allowed: a string; it is not supported yet`},
		{`daemon: log.level = ¦"verbose"`, `log.level is "verbose"; allowed: "debug", "info", "warn", "error"`},
		{`daemon: log.format = ¦"xml"`, `log.format is "xml"; allowed: "text", "json"`},
		{`daemon: log.levels = ¦"debug"`, `log.levels is a string; allowed: levels of subsystems`},
		{`daemon: log.levels = { ¦net = "debug" }`, `unknown key net in log.levels; allowed: ike, child`},
		{`daemon: log.levels = { ike = ¦2 }`, `log.levels.ike is an integer; allowed: "debug"`},
		{`daemon: retransmit.timeout = ¦4`, `retransmit.timeout is a number without a unit; allowed: a number and a unit, such as "90s", "9m", "3h", "2d", "1y"; for seconds "4s"`},
		{`daemon: retransmit.timeout = ¦"1ms"`, `retransmit.timeout is "1ms"; allowed: 10ms or longer`},
		{`daemon: retransmit.base = ¦0.5`, `retransmit.base is 0.5; allowed: 1 to 10`},
		{`daemon: retransmit.base = ¦inf`, `retransmit.base is inf; allowed: a number from 1 to 10`},
		{`daemon: retransmit.base = ¦"2"`, `retransmit.base is a string; allowed: a number`},
		{`daemon: retransmit.tries = ¦101`, `retransmit.tries is 101; allowed: an integer from 0 to 100`},
		{`daemon: retransmit.tries = ¦99999999999999999999`, `retransmit.tries is 99999999999999999999; allowed: an integer`},
		{`daemon: retransmit = { timeout = ¦"1h", tries = 20 }`, `retransmit.timeout, base and tries give up a silent peer after`},
		{`daemon: limits.cookie = ¦0`, `limits.cookie is 0; allowed: an integer from 1 to`},
		{`daemon: limits.total = ¦99`, `limits.total is 99, below limits.cookie (100)`},
		{`daemon: ¦phase1x = 1`, `key phase1x stands before the first section; allowed there: no key`},
		{`daemon: ¦pre_shared_key = "xxxx"`, `key pre_shared_key stands before the first section; allowed there: no key; did you mean pre_shared_key in [[phase1]]?`},
		{`daemon: ¦dataplain.backend = "auto"`, `unknown section dataplain; did you mean dataplane?`},
		{`daemon: ¦nothing.x = "auto"`, `unknown section nothing; allowed: phase1, ipsec, network,`},
		{`daemon: ¦phase2.x = "auto"`, `section phase2 belongs to no phase1; allowed: [[phase1.phase2]]`},
		{`daemon: ¦log = "x"`, `log is a string; allowed: a section [log]`},
		{`daemon: log.¦"a key\u001b[2J" = 1`, `unknown key "a key\x1b[2J" in [log]; allowed: level, format, levels`},
		{`daemon: log.¦lifetime = 1`, `lifetime is no key of [log]: it belongs in [[phase1]]`},

		{`phase1: name = ¦""`, `phase1 has no name; allowed: `},
		{`phase1: name = ¦"a/b"`, `name "a/b" cannot be used; allowed: `},
		{`phase1: name = ¦1`, `name is an integer; allowed: a name`},
		{`phase1: name = ¦"a\nb"`, `name has control characters or several lines; allowed: a name`},
		{`phase1: key_exchange = ¦"ikev1"`, `key_exchange "ikev1" is not supported yet; allowed: "auto", "ikev2"`},
		{`phase1: key_exchange = ¦"ike"`, `key_exchange is "ike"; allowed: "auto", "ikev2"`},
		{`phase1: remote_gateway = ¦"198.51.100.256"`, `remote_gateway "198.51.100.256" is no address; allowed: an address, a host name, a network in CIDR notation, or "any"`},
		{`phase1: remote_gateway = ¦["198.51.100.2"]`, `remote_gateway is a list; allowed: an address`},
		{`phase1: remote_gateway = ¦"any"`, `connection_behavior is "start", but remote_gateway "any" is no single peer`},
		{`phase1: local_address = ¦"192.0.2.300"`, `local_address "192.0.2.300" is no address; allowed: an address, the name of an interface, or "any"`},
		{`phase1: local_address = ¦"192.0.2.1/24"`, `local_address "192.0.2.1/24" is no address`},
		{`phase1: local_address = ¦"an-interface-of-a-long-name"`, `is no address; allowed`},
		{`phase1: local_address = ¦"::1%lo"`, `has a zone`},
		{`phase1: local_address = ¦"2001:db8::1"`, `local_address 2001:db8::1 and remote_gateway 198.51.100.2 are of different address families; allowed`},
		{`phase1: local_address = ¦"198.51.100.2"`, `local_address and remote_gateway are both 198.51.100.2; allowed`},
		{`phase1: proposals = ["aes256-sha256-modp2048", "aes256-¦sah256-modp2048"]`, `word 2: unknown algorithm "sah256": did you mean "sha256"?; allowed`},
		{`phase1: proposals = ["aes256-sha256-modp2048", ¦1]`, `proposals is an integer; allowed: proposals such as`},
		{`phase1: proposals = ¦[]`, `proposals is empty; allowed: proposals such as`},
		{`phase1: proposals = ¦14`, `proposals is an integer; allowed: proposals such as`},
		{`phase1: proposals = ¦"aes256-sha256"`, `proposals "aes256-sha256": IKE proposals need a key exchange group`},
		{`phase1: proposals = ¦"aes256gcm16-aes256-sha256-modp2048"`, `combined-mode and classic encryption need separate proposals`},
		{`phase1: proposals = ¦"aes256-\u0073ah256-modp2048"`, `word 2: unknown algorithm`},
		{"phase1: proposals = \"default\"\nphase1: ¦hash = \"sha256\"", `hash and proposals say the same in two ways; allowed: either`},
		{`phase1: encryption = ¦"3des"`, `encryption "3des": algorithm "3des" is not supported; allowed: "aes"`},
		{`phase1: encryption = ["aes", ¦"eas"]`, `encryption "eas": unknown algorithm "eas"`},
		{`phase1: encryption = ¦"sha256"`, `encryption "sha256": is no encryption algorithm for IKE; allowed`},
		{`phase1: encryption = ¦[]`, `encryption is empty; allowed`},
		{`phase1: encryption = ¦true`, `encryption is true; allowed: "aes"`},
		{`phase1: encryption = ¦"aes256-sha256"`, `encryption "aes256-sha256": has a hyphen; allowed`},
		{`phase1: key_length = [256, ¦"128"]`, `key_length is a string; allowed: 128, 192, 256`},
		{`phase1: key_length = ¦512`, `encryption "aes": unknown algorithm "aes512"`},
		{"phase1: ¦key_length = 128\nphase1: encryption = \"aes256\"", `key_length goes with no cipher of encryption; allowed: no key_length`},
		{`phase1: hash = ¦"md5"`, `hash "md5": algorithm "md5" is not supported; allowed: "sha256"`},
		{`phase1: hash = ¦"aes"`, `hash "aes": is no integrity algorithm for IKE; allowed`},
		{`phase1: dh_group = ¦99`, `dh_group 99 is not supported; allowed: the number or name of a group`},
		{`phase1: dh_group = [14, ¦"modp9999"]`, `dh_group "modp9999": unknown algorithm "modp9999"`},
		{`phase1: dh_group = ¦"none"`, `dh_group "none": is no key exchange group algorithm for IKE; allowed`},
		{`phase1: lifetime = ¦3600`, `lifetime is a number without a unit; allowed: a number and a unit, such as "90s", "9m", "3h", "2d", "1y", or "forever"; for seconds "3600s"`},
		{`phase1: lifetime = ¦"3 h"`, `lifetime "3 h" is no duration; allowed`},
		{`phase1: lifetime = ¦"0s"`, `lifetime is "0s"; allowed: 1s or longer`},
		{`phase1: lifetime = ¦"1000y"`, `lifetime "1000y" is longer than 100 years; allowed`},
		{`phase1: lifetime = ¦"9m"`, `lifetime of the IKE SA, 9m, is not longer than margintime, 9m; allowed`},
		{`phase1: authentication = ¦"pubkey"`, `authentication "pubkey" is not supported yet; allowed: "psk"`},
		{`phase1: authentication = ¦"eap-tls"`, `is not supported yet; allowed: "psk"`},
		{`phase1: local_auth = ¦"xauth-pam"`, `local_auth "xauth-pam" is not supported yet; allowed: "psk"`},
		{`phase1: remote_auth = ¦"secret"`, `remote_auth is "secret"; allowed: "psk"`},
		{`phase1: pre_shared_key = ¦""`, `pre_shared_key is empty; allowed: text, 0x and hexadecimal digits, or 0s and base64`},
		{`phase1: pre_shared_key = ¦0xdeadbeef`, `pre_shared_key is an integer; allowed`},
		{`phase1: pre_shared_key = ¦"0xdeadbee"`, `pre_shared_key begins with 0x, but pairs of hexadecimal digits do not follow; allowed`},
		{`phase1: ¦preshared_key = "xxxx"`, `unknown key preshared_key in [[phase1]]; did you mean pre_shared_key?`},
		{`phase1: ¦psk = "xxxx"`, `unknown key psk in [[phase1]]; did you mean pre_shared_key?`},
		{`phase1: ¦pre_shared_key_file = "x"`, `pre_shared_key_file and pre_shared_key are both given; allowed: one of them`},
		{`phase1: certificate = ¦"x.pem"`, `certificate is not supported yet; allowed: authentication = "psk" with pre_shared_key`},
		{`phase1: certificate = ¦["x.pem"]`, `certificate is a list; allowed: a string; it is not supported yet`},
		{`phase1: private_key = ¦"x.pem"`, `private_key is not supported yet`},
		{`phase1: ca = ¦["x.pem"]`, `ca is not supported yet`},
		{`phase1: negotiation_mode = ¦"aggressive"`, `negotiation_mode "aggressive" is not supported yet; allowed: "main"`},
		{`phase1: identifier = ¦"*.example.org"`, `identifier "*.example.org" has wildcards, but names this side; allowed`},
		{`phase1: identifier = ¦"%any"`, `identifier is "%any", which names no one; allowed`},
		{`phase1: identifier = ¦""`, `identifier is empty; allowed`},
		{`phase1: identifier = ¦"x=y=z, "`, `identifier cannot be used: identity `},
		{`phase1: identifier = ¦1`, `identifier is an integer; allowed`},
		{`phase1: peer_identifier = ¦""`, `peer_identifier is empty; allowed`},
		{`phase1: peer_identifier = ¦"10.0.0.0/8"`, `peer_identifier cannot be used: `},
		{`phase1: connection_behavior = ¦"auto"`, `connection_behavior is "auto"; allowed: "start", "on-demand", "responder-only"`},
		{"phase1: remote_gateway = \"any\"\nphase1: connection_behavior = ¦\"start\"", `connection_behavior is "start", but remote_gateway "any" is no single peer to call; allowed with it: "responder-only"`},
		{`phase1: remote_gateway = ¦"10.0.0.0/8"`, `connection_behavior is "start", but remote_gateway "10.0.0.0/8" is no single peer`},
		{`phase1: force_udp_encapsulation = ¦"yes"`, `force_udp_encapsulation is a string; allowed: true, false`},
		{`phase1: keying_tries = ¦-1`, `keying_tries is -1; allowed: an integer from 0 to`},
		{`phase1: keying_tries = ¦1.5`, `keying_tries is a number with a fraction; allowed: an integer`},
		{`phase1: rekey = ¦2025-01-01`, `rekey is a date or time; allowed: true, false`},
		{`phase1: margintime = ¦"forever"`, `margintime "forever" is no duration; allowed`},
		{`phase1: rekey_fuzz = ¦1001`, `rekey_fuzz is 1001; allowed: an integer from 0 to 1000`},
		{`phase1: dpd_action = ¦"trap"`, `dpd_action is "trap"; allowed: "restart", "clear", "hold", "none"`},
		{`phase1: dpd_delay = ¦"0s"`, `dpd_delay is "0s"; allowed: 1s or longer`},
		{`phase1: dpd_failures = ¦0`, `dpd_failures is 0; allowed: an integer from 1 to 100`},
		{`phase1: mobike = ¦"no"`, `mobike is a string; allowed: true, false`},
		{`phase1: fragmentation = ¦{}`, `fragmentation is a section; allowed: true, false`},
		{`phase1: fragment_size = ¦500`, `fragment_size is 500; allowed: an integer from 576 to 65535`},
		{`phase1: reauthenticate = ¦"yes"`, `reauthenticate is a string; allowed: true, false`},

		{`phase2: ¦frobnicate = true`, `unknown key frobnicate in [[phase1.phase2]]; allowed: name, description`},
		{`phase2: ¦remote_ts = "x"`, `unknown key remote_ts in [[phase1.phase2]]; did you mean remote_network?`},
		{`phase2: ¦dpd_delay = "3s"`, `dpd_delay is no key of [[phase1.phase2]]: it belongs in [[phase1]]`},
		{`phase2: name = ¦"x/y"`, `name "x/y" cannot be used`},
		{`phase2: description = ¦"a\tb"`, `description has control characters or several lines; allowed: one line of text`},
		{`phase2: mode = ¦"iptfs"`, `mode is "iptfs"; allowed: "tunnel", "transport", "beet", "pass", "drop"`},
		{"phase2: mode = \"beet\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = ¦\"10.3.0.0/24\"", `remote_network 10.3.0.0/24 is no single host, but mode is beet; allowed: one address`},
		{"phase2: mode = \"beet\"\nphase2: local_network = [¦\"10.1.0.1\", \"10.1.0.2\"]\nphase2: remote_network = \"10.3.0.1\"", `local_network has 2 networks, but mode is beet; allowed: one address`},
		{"phase2: mode = \"beet\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = \"10.3.0.1\"\nphase2: protocol = ¦\"ah\"", `protocol is ah, which has no mode beet; allowed with it: tunnel, transport`},
		{"phase2: mode = \"beet\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = \"10.3.0.1\"\nphase2: ipcomp = ¦true", `ipcomp does not go with mode beet; allowed with it: tunnel, transport`},
		{"phase2: mode = \"pass\"\nphase2: ¦lifetime = \"1h\"", `lifetime goes not with mode "pass", which makes no SAs; allowed: name, description, mode, local_network, remote_network, mark_in,`},
		{"phase2: mode = \"drop\"\nphase2: ¦proposals = \"default\"", `proposals goes not with mode "drop"`},
		{"phase2: mode = \"drop\"\nphase2: ¦ipcomp = false", `ipcomp goes not with mode "drop"`},
		{"phase2: mode = \"pass\"\nphase2: remote_network = ¦\"fd00::/8\"", `no network of local_network has one of the same address family`},
		{"phase2: mode = \"transport\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = [\"10.2.0.1\", ¦\"10.3.0.0/24\"]", `remote_network 10.3.0.0/24 is no single host, but mode is transport; allowed: one address`},
		{`phase2: local_network = ["10.1.0.0/16", ¦"10.1.0.0/36"]`, `local_network "10.1.0.0/36" has a bad prefix length: it is 0 to 32; allowed: "10.1.0.0/16"`},
		{`phase2: local_network = ¦"10.1.0.5/16"`, `local_network "10.1.0.5/16" has host bits set: the network is 10.1.0.0/16, the host is 10.1.0.5; allowed`},
		{`phase2: local_network = ["10.1.0.0/16", ¦7]`, `local_network is an integer; allowed`},
		{`phase2: local_network = ¦[]`, `local_network is empty; allowed`},
		{`phase2: remote_network = ¦"fd00::/8"`, `no network of local_network has one of the same address family`},
		{`phase2: remote_network = ¦[` + strings.Repeat(`"10.0.0.1", `, 251) + `]`, `remote_network has 251 networks; allowed: 250 at most`},
		{`phase2: protocol = ¦"ipcomp"`, `protocol is "ipcomp"; allowed: "esp", "ah"`},
		{"phase1: force_udp_encapsulation = true\nphase2: protocol = ¦\"ah\"", `protocol is ah, which cannot be sent in UDP as force_udp_encapsulation wants; allowed: protocol = "esp"`},
		{"phase2: protocol = \"ah\"\nphase2: proposals = \"¦aes128-sha256\"", `word 1: "aes128" cannot be used for AH; allowed: proposals such as "sha256"`},
		{"phase2: protocol = \"ah\"\nphase2: proposals = ¦\"modp2048\"", `AH proposals need an integrity algorithm, such as sha256; allowed: proposals such as "sha256"`},
		{"phase2: protocol = \"ah\"\nphase2: proposals = ¦[]", `proposals is empty; allowed: proposals such as "sha256"`},
		{"phase2: protocol = \"ah\"\nphase2: ¦encryption = \"aes\"", `encryption goes not with protocol ah, which encrypts nothing; allowed: hash, dh_group`},
		{"phase2: protocol = \"ah\"\nphase2: ¦key_length = 128", `key_length goes not with protocol ah`},
		{"phase2: protocol = \"ah\"\nphase2: hash = ¦\"aes128\"", `hash "aes128": "aes128" cannot be used for AH; allowed: "sha256"`},
		{"phase2: protocol = \"ah\"\nphase2: dh_group = ¦\"sha256\"", `dh_group "sha256": is no key exchange group algorithm for AH; allowed`},
		{"phase2: protocol = \"ah\"\nphase2: tfc_padding = ¦1000", `tfc_padding is set, but protocol is ah, which pads nothing; allowed with it: no tfc_padding`},
		{"phase2: protocol = \"ah\"\nphase2: hw_offload = ¦\"packet\"", `hw_offload is "packet", but protocol is ah, which no network card does; allowed with it: "no", "auto"`},
		{`phase2: lifetime = ¦"8m"`, `lifetime of the child SA, 8m, is not longer than margintime, 9m; allowed`},
		{`phase2: lifetime_bytes = ¦999`, `lifetime_bytes is 999; allowed: an integer of at least 1000`},
		{`phase2: lifetime_packets = ¦"1h"`, `lifetime_packets is a string; allowed: an integer of at least 1000`},
		{`phase2: inactivity = ¦30`, `inactivity is a number without a unit; allowed`},
		{`phase2: proposals = "¦modp9999"`, `word 1: unknown algorithm`},
		{`phase2: encryption = ¦"aes777"`, `encryption "aes777": unknown algorithm`},
		{"phase2: encryption = \"aesgcm16\"\nphase2: ¦hash = \"sha256\"", `hash goes with no cipher of encryption, all of which authenticate by themselves; allowed`},
		{`phase2: key_length = ¦[]`, `key_length is empty; allowed: 128, 192, 256`},
		{`phase2: dh_group = ¦0`, `dh_group is 0; allowed: the number or name of a group`},
		{`phase2: replay_window = ¦31`, `replay_window is 31; allowed: 32 to 4096, or 0`},
		{`phase2: replay_window = ¦-1`, `replay_window is -1; allowed: 32 to 4096, or 0`},
		{`phase2: replay_window = ¦"32"`, `replay_window is a string; allowed: 32 to 4096, or 0`},
		{`phase2: ipcomp = ¦"deflate"`, `ipcomp is a string; allowed: true, false`},
		{`phase2: mark_in = ¦-1`, `mark_in is -1; allowed: a number, or "value/mask" such as "0x10/0xff"`},
		{`phase2: mark_in = ¦0x100000000`, `mark_in is 0x100000000; allowed: a number`},
		{`phase2: mark_out = ¦"%unique"`, `mark_out "%unique" has a bad value: it is no number of 32 bits; allowed: a number, or`},
		{`phase2: mark_out = ¦"1/x"`, `mark_out "1/x" has a bad mask: it is no number of 32 bits; allowed`},
		{`phase2: mark_out = ¦""`, `mark_out "" has a bad value`},
		{`phase2: mark_out = ¦[1]`, `mark_out is a list; allowed: a number, or`},
		{`phase2: set_mark_in = ¦"0x10/0x0f"`, `set_mark_in 0x10/0xf has bits outside of its mask; allowed: a value within the mask`},
		{`phase2: mark_in_sa = ¦true`, `mark_in_sa is true, but there is no mark_in; allowed: both, or mark_in_sa = false`},
		{`phase2: if_id_in = ¦"%unique"`, `if_id_in is a string; allowed: an integer from 0 to 4294967295`},
		{`phase2: if_id_out = ¦4294967296`, `if_id_out is 4294967296; allowed: an integer from 0 to 4294967295`},
		{"daemon: network.route_based = true\nphase2: if_id_out = ¦7", `if_id_out is set, but network.route_based gives every connection an interface of its own; allowed: one of the two`},
		{`phase2: hw_offload = ¦"yes"`, `hw_offload is "yes"; allowed: "no", "auto", "crypto", "packet"`},
		{`phase2: copy_df = ¦"no"`, `copy_df is a string; allowed: true, false`},
		{`phase2: copy_dscp = ¦"both"`, `copy_dscp is "both"; allowed: "out", "in", "yes", "no"`},
		{`phase2: tfc_padding = ¦65536`, `tfc_padding is 65536; allowed: an integer from 0 (none) to 65535, or "mtu"`},
		{`phase2: tfc_padding = ¦"max"`, `tfc_padding is a string; allowed: an integer from 0 (none) to 65535, or "mtu"`},
		{"daemon: ipsec.ipcomp = true\nphase2: tfc_padding = ¦500", `tfc_padding needs mode tunnel without ipcomp: only there a packet tells its own length; allowed: tfc_padding = 0`},
		{`phase2: priority = ¦4294967295`, `priority is 4294967295; allowed: an integer from 0 to 4294967294`},
	} {
		text, at := places(document(c.line))
		config, _, err := parse("goike.toml", []byte(text), noFiles)
		es := errorsOf(t, err)
		if len(es) != 1 || config != nil {
			t.Errorf("%s: %d errors: %v", c.line, len(es), err)
			continue
		}
		got := es[0].Error()
		if !strings.HasPrefix(got, "goike.toml:"+at[0]+": ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s: %s", c.line, got, at[0], c.want)
		}
		if !allowed.MatchString(got) || strings.Contains(got, "\n") {
			t.Errorf("%s: does not say in one line what is allowed: %s", c.line, got)
		}
		if strings.Contains(got, "a secret") || strings.Contains(got, "xxxx") || strings.Contains(got, "deadbee") {
			t.Errorf("%s: shows the secret: %s", c.line, got)
		}
	}
}
