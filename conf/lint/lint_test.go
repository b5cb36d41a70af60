package lint

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/toml"
	"github.com/goike/goike/crypto"
)

const (
	goodKey  = `pre_shared_key = "0x000102030405060708090a0b0c0d0e0ff1f2f3f4f5f6f7f8f9fafbfcfdfeff00"`
	otherKey = `pre_shared_key = "0x010102030405060708090a0b0c0d0e0ff1f2f3f4f5f6f7f8f9fafbfcfdfeff00"`
)

// site is a connection that there is nothing to say about, with other lines in place of
// some of its own, and further ones.
func site(name, gateway, remote string, lines ...string) string {
	phase1 := []string{`name = "` + name + `"`, `remote_gateway = "` + gateway + `"`, goodKey}
	phase2 := []string{`name = "lan"`, `local_network = "10.1.0.0/16"`, `remote_network = "` + remote + `"`, `proposals = ["aes256gcm16-curve25519"]`}
	for _, line := range lines {
		list := &phase1
		if text, ok := strings.CutPrefix(line, "phase2: "); ok {
			list, line = &phase2, text
		}
		line, out := strings.CutPrefix(line, "no ")
		key, _, _ := strings.Cut(line, " ")
		*list = slices.DeleteFunc(*list, func(l string) bool { return strings.HasPrefix(l, key+" ") })
		if !out {
			*list = append(*list, line)
		}
	}
	return "[[phase1]]\n" + strings.Join(phase1, "\n") + "\n[[phase1.phase2]]\n" + strings.Join(phase2, "\n") + "\n"
}

// TestCheck has for each finding a configuration that it is about, and one like it that it
// is not about.
func TestCheck(t *testing.T) {
	one := func(lines ...string) string { return site("a", "192.0.2.1", "10.2.0.0/16", lines...) }
	two := func(second string, lines ...string) string {
		return one(lines...) + second
	}
	b := func(lines ...string) string {
		return site("b", "192.0.2.2", "10.3.0.0/16", append([]string{otherKey}, lines...)...)
	}
	responder := []string{`remote_gateway = "any"`, `connection_behavior = "responder-only"`}
	for _, c := range []struct{ name, bad, want, good string }{
		{"a weak key", one(`pre_shared_key = "abcdefghijklmnopqrst"`), `4: pre_shared_key: the pre-shared key of "a" has 94 bits at most`, one(`pre_shared_key = "abcdefghijklmnopqrstuvwxyzab"`)},
		{"digits", one(`pre_shared_key = "01234567890123456789"`), `has 66 bits at most`, one()},
		{"hexadecimal", one(`pre_shared_key = "0x000102030405060708090a0b0c0d0e"`), "", one()},
		{"the same key", two(b(goodKey)), `pre_shared_key: the pre-shared key of "b" is that of "a", too`, two(b())},
		{"the same key for the same peer", two(site("b", "192.0.2.1", "10.3.0.0/16", `identifier = "x.example.org"`)), "", one()},
		{"anyone", one(responder...), `"a" takes any peer from anywhere that knows its key`, one(append([]string{`peer_identifier = "*.example.org"`}, responder...)...)},
		{"nobody's key", one() + "[[secret]]\nowners = [\"x.example.org\"]\nkey = \"a secret of some length\"\n",
			`secret.owners: the key for x.example.org serves no connection`, two(site("b", "192.0.2.2", "10.3.0.0/16", `peer_identifier = "x.example.org"`, "no pre_shared_key") + "[[secret]]\nowners = [\"x.example.org\"]\nkey = \"a secret of some length\"\n")},
		{"one identity", one(`identifier = "x.example.org"`, `peer_identifier = "x.example.org"`), `identifier and peer_identifier of "a" are both x.example.org`, one(`identifier = "x.example.org"`, `peer_identifier = "y.example.org"`)},
		{"another address", one(`peer_identifier = "192.0.2.9"`), `peer_identifier of "a" is the address 192.0.2.9, which remote_gateway 192.0.2.1 does not have`, one(`peer_identifier = "192.0.2.1"`)},
		{"an address of a name", one(`peer_identifier = "192.0.2.9"`, `remote_gateway = "gw.example.org"`), "", one()},
		{"no dpd", one(`dpd_action = "none"`), `dpd_action: "a" does not ask whether its peer lives`, one(append([]string{`dpd_action = "none"`, `peer_identifier = "*.x"`}, responder...)...)},
		{"no rekey", one(`rekey = false`), `rekey: rekey of "a" is false`, one()},
		{"forever", one(`lifetime = "forever"`), `lifetime: the IKE SA is never replaced`, one(`lifetime = "24h"`)},
		{"two days", one(`phase2: lifetime = "2d"`), `lifetime: the tunnel lives for 2d`, one(`phase2: lifetime = "8h"`)},
		{"no group", one(`phase2: proposals = ["aes256gcm16"]`), `proposals: phase2 "lan" has no key exchange group`, one("phase2: no proposals")},
		{"cannot be told apart", two(site("b", "192.0.2.1", "10.3.0.0/16")), `remote_gateway: a peer that begins "b" cannot be told from one that begins "a"`, two(site("b", "192.0.2.1", "10.3.0.0/16", `peer_identifier = "x"`, otherKey))},
		{"the same networks", two(b(`phase2: remote_network = "10.2.0.0/16"`)), `remote_network: the networks of "b/lan" are those of "a/lan"`, two(b(`phase2: remote_network = "10.2.1.0/24"`))},
		{"overlapping networks", two(b(`phase2: remote_network = "10.2.128.0-10.3.0.255"`)), `the networks of "b/lan" overlap those of "a/lan"`, two(b(`phase2: remote_network = "10.2.0.0/16"`, `phase2: priority = 7`))},
		{"ports", two(b(`phase2: remote_network = "10.2.0.0/16[tcp]"`)), "", two(b(`phase2: remote_network = "10.2.0.0/16[tcp/443]"`))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := texts(t, c.bad); c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("%q; want %q", got, c.want)
			}
			if got := texts(t, c.good); got != "" {
				t.Errorf("%q; want nothing", got)
			}
		})
	}
}

// texts are the findings in a configuration, a line each.
func texts(t *testing.T, config string) string {
	t.Helper()
	c, _, err := toml.Parse("goike.toml", []byte(config))
	if err != nil {
		t.Fatal(err, config)
	}
	var s strings.Builder
	for _, f := range Check(c) {
		if !f.Warning || strings.Contains(f.Text, "abcdef") {
			t.Errorf("%+v", f)
		}
		fmt.Fprintf(&s, "4: %s: %s\n", f.Key, f.Text)
	}
	return s.String()
}

func TestBits(t *testing.T) {
	for key, want := range map[string]int{"": 0, "0000000000": 33, "aaaaaaaaaa": 47, "aA0000000000": 71, "a b": 17, "\x00\x01": 16, "a\xff": 16} {
		if got := bits(crypto.Secret(key)); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}

// However many networks there are, it ends.
func TestManyNetworks(t *testing.T) {
	c := conf.Default()
	for i := range 300 {
		conn := conf.DefaultConnection()
		conn.Name, conn.Gateways = fmt.Sprint(i), conf.Gateways{{Host: fmt.Sprint("gw", i)}}
		child := conf.DefaultChild()
		for k := range conf.MaxNetworks {
			sel, err := conf.ParseSelector(fmt.Sprintf("10.%d.%d.0/24", k, i%256))
			if err != nil {
				t.Fatal(err)
			}
			child.Local, child.Remote = append(child.Local, sel), append(child.Remote, sel)
		}
		conn.Children = []*conf.Child{child}
		c.Connections = append(c.Connections, conn)
	}
	if !slices.ContainsFunc(Check(c), func(f conf.Finding) bool { return strings.Contains(f.Text, "too many networks") }) {
		t.Error("nobody learns that not all were compared")
	}
}

// There is nothing to say about the configurations of the documents.
func TestDocuments(t *testing.T) {
	for _, path := range []string{"../../README.md", "../../docs/goike.toml.5.md"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(b), "```toml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s has no configuration", path)
		}
		for _, block := range blocks {
			text, _, _ := strings.Cut(block, "```")
			if got := texts(t, text); got != "" {
				t.Errorf("%s: %s in %s", path, got, text)
			}
		}
	}
}
