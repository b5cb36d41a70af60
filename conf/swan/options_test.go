package swan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

// optionNames are the names of a list of testdata.
func optionNames(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// examples are values of options that change something, where "7" is none.
var examples = map[string]string{
	"version": "2", "local_addrs": "192.0.2.9", "remote_addrs": "198.51.100.9", "local_port": "501", "proposals": "aes128-sha256-modp2048",
	"vips": "0.0.0.0", "aggressive": "yes", "pull": "no", "dscp": "101010", "encap": "yes", "mobike": "no", "fragmentation": "no", "childless": "never",
	"unique": "never", "ppk_required": "yes", "mediation": "yes", "auth": "pubkey", "id": "x.example.org", "mark_in_sa": "yes", "send_certreq": "no",
	"ah_proposals": "sha256", "esp_proposals": "aes128-sha256", "sha256_96": "yes", "local_ts": "10.9.0.0/16", "remote_ts": "10.9.0.0/16",
	"life_time": "2h", "rand_time": "1s", "rekey_bytes": "1m", "life_bytes": "1m", "rand_bytes": "1k", "rekey_packets": "5000", "life_packets": "5000", "rand_packets": "5",
	"hostaccess": "yes", "mode": "transport", "policies": "no", "policies_fwd_out": "yes", "dpd_action": "trap", "ipcomp": "yes", "label_mode": "simple",
	"replay_window": "64", "hw_offload": "auto", "copy_df": "no", "copy_ecn": "no", "copy_dscp": "in", "start_action": "trap", "close_action": "trap",
	"set_mark_in": "%same", "set_mark_out": "%same", "secret": "0x0123456789abcdef0123456789abcdef", "rekey_time": "10m", "over_time": "10m", "reauth_time": "3h",
	"revocation": "strict", "round": "2", "keyingtries": "3",
}

// needed are options without which another one says nothing, or nothing new.
var needed = map[string]string{
	"rand_bytes": "rekey_bytes = 1m\n", "rand_packets": "rekey_packets = 5000\n", "set_mark_in": "mark_in = 3\n", "set_mark_out": "mark_out = 3\n",
	"mark_in_sa": "mark_in = 3\n", "close_action": "start_action = none\n",
}

// base is a configuration without the option that a test adds to one of its sections.
func base(section, lines, auth string) string {
	at := func(s string) string {
		if s == section {
			return lines
		}
		return ""
	}
	return fmt.Sprintf("connections { c {\nremote_addrs = 198.51.100.2\n%slocal { %s\n%s}\nremote { %s\n%s}\nchildren { k {\n%s} } } }\nsecrets { ike { secret = \"a secret that is long enough\"\n%s} }\n%s",
		at("connection"), auth, at("local"), auth, at("remote"), at("child"), at("ike"), at("top"))
}

// placed puts an option of the list into a configuration.
func placed(name string) (section, option, prefix, suffix string) {
	parts := strings.Split(name, ".")
	option = strings.NewReplacer("<suffix>", "-1", "<attr>", "dns").Replace(parts[len(parts)-1])
	plain := func(s string) string { return strings.ReplaceAll(s, "<suffix>", "") }
	switch {
	case strings.HasPrefix(name, "connections.<conn>.children.<child>."):
		return "child", option, "", ""
	case strings.HasPrefix(option, "cert-") || strings.HasPrefix(option, "cacert-"): // a section
		return plain(parts[2]), option, option + " {\nfile = x\n}\n# ", ""
	case parts[0] == "connections" && len(parts) == 5:
		return plain(parts[2]), option, plain(parts[3]) + " {\n", "\n}"
	case parts[0] == "connections" && len(parts) == 4:
		return plain(parts[2]), option, "", ""
	case parts[0] == "connections":
		return "connection", option, "", ""
	case strings.HasPrefix(name, "secrets.ike"):
		return "ike", option, "", ""
	}
	return "top", option, parts[0] + " { " + plain(strings.ReplaceAll(parts[1], "<name>", "n")) + " {\n", "\n} }"
}

// said is all that a configuration says.
func said(c *conf.Config, ws []Warning) string {
	var s strings.Builder
	for _, conn := range c.Connections {
		fmt.Fprintf(&s, "%+v %v %v\n", *conn, *conn.UniqueIDs, conn.PSK)
		for _, k := range conn.Children {
			fmt.Fprintf(&s, "%+v %+v\n", *k, *k.Renewal)
		}
	}
	for _, k := range c.Secrets {
		fmt.Fprintf(&s, "%v %x\n", k.Owners, []byte(k.Key))
	}
	for _, w := range ws {
		s.WriteString(w.Text + "\n")
	}
	return withoutPointers(s.String())
}

// Every option of the manual page changes what is configured, is refused with a sentence,
// or is warned about; none is unknown, and none is passed over in silence.
func TestEveryOption(t *testing.T) {
	for _, name := range optionNames(t, "options.txt") {
		section, option, prefix, suffix := placed(name)
		value := examples[option]
		if value == "" {
			value = "7"
		}
		auth := "auth = psk"
		with := base(section, prefix+needed[option]+option+" = "+value+suffix+"\n", auth)
		without := base(section, needed[option], auth)
		c, ws, err := load(t, with)
		if err != nil {
			text := err.Error()
			if strings.Contains(text, "unknown") || !strings.Contains(text, "goike") {
				t.Errorf("%s = %s: %s", name, value, text)
			}
			continue
		}
		plain, ws0, err := load(t, without)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if said(plain, ws0) == said(c, ws) {
			t.Errorf("%s = %s changes nothing, and nobody says so", name, value)
		}
	}
}

// withoutPointers leaves out addresses of memory, which differ from time to time.
func withoutPointers(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '[' || r == ']' || r == '\n' || r == '{' || r == '}' })
	for i, w := range words {
		if _, rest, ok := strings.Cut(w, "0xc"); ok && len(rest) > 6 {
			words[i] = "pointer"
		}
	}
	return strings.Join(words, " ")
}

// The tables hold nothing that the manual page does not have, but for words that later
// versions or goike add.
func TestTablesAreTheManual(t *testing.T) {
	known := make(map[string]bool)
	for _, name := range optionNames(t, "options.txt") {
		parts := strings.Split(name, ".")
		known[parts[len(parts)-1]] = true
	}
	for _, list := range [][]string{names(connectionOptions), names(childOptions), names(localOptions), names(remoteOptions), names(certOptions), poolOptions[:1], authorityOptions} {
		for _, name := range list {
			if !known[name] {
				t.Errorf("%s is not in the list", name)
			}
		}
	}
}
