package toml

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	heading  = regexp.MustCompile(`^## .*?(\[+[a-z0-9.]+\]+)$`)
	keyEntry = regexp.MustCompile(`^\*\*([a-z0-9_]+)\*\* (.+)$`)
)

// manual returns the keys of goike.toml(5) by section, with what stands behind them.
func manual(t *testing.T) map[string]map[string]string {
	t.Helper()
	keys := make(map[string]map[string]string)
	section, key := "", ""
	for line := range strings.Lines(readText(t, "../../docs/goike.toml.5.md")) {
		line = strings.TrimRight(line, "\n")
		if m := heading.FindStringSubmatch(line); m != nil {
			section, key = m[1], ""
			keys[section] = make(map[string]string)
		} else if strings.HasPrefix(line, "## ") {
			section = ""
		} else if m := keyEntry.FindStringSubmatch(line); m != nil && section != "" {
			key = m[1]
			if keys[section][key] != "" {
				t.Errorf("%s %s is there twice", section, key)
			}
			keys[section][key] = m[2]
		} else if section != "" && key != "" {
			keys[section][key] += "\n" + strings.TrimLeft(line, ": ")
		}
	}
	return keys
}

// Every key that is known is in the manual page, and the other way round.
func TestManualPage(t *testing.T) {
	page := manual(t)
	for _, sec := range sections {
		for _, key := range sec.keys {
			if page[sec.label][key] == "" {
				t.Errorf("%s %s is not in the manual page", sec.label, key)
			}
			delete(page[sec.label], key)
		}
		for key := range page[sec.label] {
			t.Errorf("%s %s is in the manual page, and unknown", sec.label, key)
		}
		delete(page, sec.label)
	}
	for label := range page {
		t.Errorf("section %s is in the manual page, and unknown", label)
	}
}

// The examples of the manual page are accepted.
func TestManualExamples(t *testing.T) {
	example := regexp.MustCompile("(?s)Example:\\s+`([^`]*)`")
	n := 0
	for label, keys := range manual(t) {
		for key, text := range keys {
			m := example.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			n++
			line := m[1]
			where := "daemon: " + strings.Trim(label, "[]") + "."
			switch label {
			case "[[phase1]]":
				where = "phase1: "
			case "[[phase1.phase2]]":
				where = "phase2: "
			}
			text := document(where + line)
			switch {
			case strings.HasSuffix(line, `..."`):
				continue // abridged
			case label == "[[secret]]" && key == "owners":
				text = document("") + "[[secret]]\n" + line + "\nkey = \"a secret that is long enough\"\n"
			case label == "[[secret]]":
				text = document("") + "[[secret]]\n" + line + "\n"
			case key == "conf_files":
				text = document(where + line + "\ndaemon: ipsec.configuration_mode = \"advanced\"")
			case strings.HasPrefix(key, "margin_"):
				text = document(where + line + "\nphase2: lifetime" + strings.TrimPrefix(key, "margin") + " = 1_000_000_000")
			case key == "pre_shared_key_file":
				text = strings.Replace(text, `pre_shared_key = "a secret that is long enough"`, "", 1)
			case line == `mode = "transport"`:
				text = document("phase2: mode = \"transport\"\nphase2: local_network = \"10.1.0.1\"\nphase2: remote_network = \"10.2.0.1\"")
			case strings.HasPrefix(line, "local_network"):
				text = document("phase2: " + line + "\nphase2: remote_network = [\"10.2.0.0/16\", \"fd02::/64\"]")
			}
			key := func(string) ([]byte, error) { return []byte("a secret that is long enough"), nil }
			if _, _, err := parse("goike.toml", []byte(text), key); err != nil {
				t.Errorf("%s %s: %v", label, line, err)
			}
		}
	}
	if n < 50 {
		t.Errorf("%d examples", n)
	}
}

// codeBlocks are the configurations of a Markdown file.
func codeBlocks(text string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "```toml\n")
		if !ok {
			return blocks
		}
		block, rest, _ := strings.Cut(rest, "```")
		blocks = append(blocks, block)
		text = rest
	}
}

func TestConfigurationsOfDocuments(t *testing.T) {
	for _, path := range []string{"../../README.md", "../../docs/goike.toml.5.md"} {
		blocks := codeBlocks(readText(t, path))
		if len(blocks) == 0 {
			t.Errorf("%s has no configuration", path)
		}
		for _, block := range blocks {
			c, ws, err := parse(path, []byte(block), noFiles)
			if err != nil || len(ws) != 0 || len(c.Connections) == 0 {
				t.Errorf("%v %v\n%s", ws, err, block)
			}
		}
	}
}

// The configuration that is installed is valid as it stands, and with its example
// put to use.
func TestInstalledConfiguration(t *testing.T) {
	text := readText(t, "../../packaging/goike.toml")
	if c := mustParse(t, text); len(c.Connections) != 0 {
		t.Errorf("%d connections", len(c.Connections))
	}
	head, example, ok := strings.Cut(text, "# [[phase1]]")
	if !ok {
		t.Fatal("no example")
	}
	example = "# [[phase1]]" + example
	used := head + regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(example, "")
	if c := mustParse(t, used); len(c.Connections) != 1 || len(c.Connections[0].Children) != 1 {
		t.Errorf("%+v", c)
	}
}

// The keys that goike has promised are known, whether they are served yet or not.
func TestContract(t *testing.T) {
	contract := map[string]string{
		"[ipsec]":   "configuration_mode conf_files unique_ids ipcomp exclude_my_network cisco_extensions unencrypted_main_mode mss_clamp strict_crl make_before_break",
		"[network]": "interface route_based install_routes", "[firewall]": "manage", "[dataplane]": "backend", "[control]": "socket",
		"[metrics]": "listen", "[log]": "level format levels",
		"[[phase1]]": "name key_exchange remote_gateway local_address proposals encryption key_length hash dh_group lifetime authentication local_auth remote_auth " +
			"pre_shared_key pre_shared_key_file certificate private_key ca negotiation_mode identifier peer_identifier connection_behavior force_udp_encapsulation " +
			"keying_tries rekey margintime rekey_fuzz dpd_action dpd_delay dpd_failures mobike fragmentation reauthenticate",
		"[[phase1.phase2]]": "name description mode local_network remote_network protocol lifetime proposals encryption key_length hash dh_group",
	}
	for _, sec := range sections {
		for key := range strings.FieldsSeq(contract[sec.label]) {
			if !slices.Contains(sec.keys, key) {
				t.Errorf("%s %s is unknown", sec.label, key)
			}
		}
		delete(contract, sec.label)
	}
	if len(contract) != 0 {
		t.Errorf("sections that are unknown: %v", contract)
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"preshared_key": "pre_shared_key", "PSK": "pre_shared_key", "remote-gateway": "remote_gateway", "remote_gatway": "remote_gateway",
		"lifetimes": "lifetime", "rightid": "peer_identifier", "nam": "name", "x": "", "completely_different": "", strings.Repeat("name", 20): "",
	} {
		if got := nearest(name, names(phase1Keys)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
