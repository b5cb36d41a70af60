package toml

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
)

// Everything that is wrong is told at once, in the order of the file, and nothing
// that only follows from another error.
func TestAllErrorsAtOnce(t *testing.T) {
	text, at := places(`[log]
level = ¦"verbose"
¦colour = true

[¦lgo]
x = 1

[[phase1]]
name = "one"
remote_gateway = ¦"10.1.1.300"
¦preshared_key = "xxxxxxxxxxxxxxxx"
lifetime = ¦3600

  [[phase1.phase2]]
  name = "lan"
  local_network = [¦"10.1.0.0/36", "10.0.0.0/8[tcp/80]", ¦"10.1.0.5/16"]
  remote_network = ¦[]
  lifetime = ¦"1m"

¦[[phase1]]
name = "two"
remote_gateway = "any"
connection_behavior = "responder-only"

  ¦¦[[phase1.phase2]]
  name = "lan"

[[phase1]]
name = ¦"one"
remote_gateway = "198.51.100.2"
pre_shared_key = "a secret that is long enough"
margintime = ¦¦"4h"

  [[phase1.phase2]]
  name = "lan"
  local_network = "10.1.0.0/16"
  remote_network = "10.2.0.0/16"

  [[phase1.phase2]]
  name = ¦"lan"
  lifetime = "1d"
  local_network = "10.1.0.0/16"
  remote_network = ¦"fd00::/16"
`)
	_, _, err := parse("goike.toml", []byte(text), noFiles)
	es := errorsOf(t, err)
	var got []string
	for _, e := range es {
		got = append(got, fmt.Sprintf("%d:%d", e.Line, e.Col))
		if !allowed.MatchString(e.Text) {
			t.Errorf("does not say what is allowed: %s", e)
		}
	}
	if !reflect.DeepEqual(got, at) {
		t.Errorf("errors at %v\nwant %v\n%v", got, at, err)
	}
}

// A syntax error ends the reading; what was wrong before it is told too, but not
// what may be right behind it.
func TestSyntaxErrorAndOthers(t *testing.T) {
	text, at := places("[log]\nlevel = ¦\"x\"\n[[phase1]]\nname = \"a\"\npre_shared_key = \"abc\"¦defg\"\n")
	_, _, err := parse("goike.toml", []byte(text), noFiles)
	es := errorsOf(t, err)
	if len(es) != 2 || fmt.Sprintf("%d:%d", es[0].Line, es[0].Col) != at[0] || fmt.Sprintf("%d:%d", es[1].Line, es[1].Col) != at[1] {
		t.Errorf("%v, want %v", err, at)
	}
}

// Errors of the syntax are told without any part of the text, which may be a secret.
func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`pre_shared_key = ¦SECRET`, "no value can begin here; allowed"},
		{`pre_shared_key = "¦SECRET`, ""},
		{`pre_shared_key = "SECRET¦` + "\n\"", `a " that no " on the same line closes; allowed`},
		{`pre_shared_key = 'SECRET¦` + "\n'", `a ' that no ' on the same line closes; allowed`},
		{`pre_shared_key = "SE"¦CRET"`, "more text behind the end of a key and its value; allowed"},
		{`pre_shared_key = "SE¦\CRET"`, "an unknown escape sequence"},
		{`pre_shared_key ¦"SECRET"`, "a key that no = follows; allowed"},
		{`pre_shared_ke¦y`, "a key that no = follows"},
		{`pre_shared_key =¦ `, "a key without a value; allowed"},
		{`pre_shared_key = ¦tSECRET`, "no value can begin here; allowed"},
		{`pre_shared_key = 1¦SECRET`, ""},
		{`pre_shared_key = [¦,"SECRET"]`, "a comma without a value before it; allowed"},
		{`¦=SECRET`, "no key can begin here; allowed"},
		{`[[phase1`, ""},
		{"a = 1\r¦b", ""},
		{"a = \"\xff\xfe\"", ""},
		{"\x00", ""},
		{"a = " + strings.Repeat("[", 20000), ""},
	} {
		text, at := places(c.text)
		_, _, err := parse("goike.toml", []byte(text), noFiles)
		es := errorsOf(t, err)
		if len(es) == 0 {
			t.Errorf("%q is accepted", c.text)
			continue
		}
		got := es[len(es)-1]
		if c.want != "" && (!strings.Contains(got.Text, c.want) || fmt.Sprintf("%d:%d", got.Line, got.Col) != at[0]) {
			t.Errorf("%q: %v\nwant %v: %s", c.text, err, at, c.want)
		}
		if got.Line == 0 || strings.Contains(err.Error(), "U+") || strings.Contains(err.Error(), "SECRET") || strings.Contains(got.Error(), "\n") {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	text, at := places(document("phase1: pre_shared_key = ¦\"too short\"\nphase1: proposals = [\"aes128-sha256-modp2048\", ¦\"aes128-sha1-modp2048\"]\nphase1: lifetime = ¦\"15m\"\n" +
		"phase2: proposals = [¦\"aes128-sha1-modp2048\", ¦\"null-sha1\"]\nphase2: local_network = [\"10.1.0.0/16\", ¦\"fd01::/64\"]"))
	_, ws, err := parse("goike.toml", []byte(text), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	// In the order of the file: proposals are put in place of the lines above.
	want := map[string]string{
		at[0]: "the pre-shared key of \"site\" has 9 octets", at[1]: "sha1 is weak", at[2]: "is not longer than margintime with rekey_fuzz",
		at[3]: "only some proposals have a group", at[4]: "null is weak: it does not encrypt", at[5]: "local_network fd01::/64 is of no use",
	}
	last := ""
	for _, w := range ws {
		place := fmt.Sprintf("%d:%d", w.Line, w.Col)
		if !strings.HasPrefix(w.String(), "goike.toml:"+place+": ") || want[place] == "" || !strings.Contains(w.Text, want[place]) || strings.Contains(w.Text, "too short") {
			t.Errorf("%s", w)
		}
		delete(want, place)
		if order := fmt.Sprintf("%05d", w.Line); order < last {
			t.Errorf("out of order: %v", ws)
		} else {
			last = order
		}
	}
	if len(want) != 0 {
		t.Errorf("not told: %v\n%v", want, ws)
	}
}

// Byte order mark and ends of lines of other systems.
func TestEncodings(t *testing.T) {
	plain := mustParse(t, document(""))
	for name, text := range map[string]string{
		"byte order mark": "\xef\xbb\xbf" + document(""), "CRLF": strings.ReplaceAll(document(""), "\n", "\r\n"), "no end of line": strings.TrimRight(document(""), "\n"),
	} {
		if c := mustParse(t, text); !reflect.DeepEqual(c, plain) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	_, _, err := parse("goike.toml", []byte("\xef\xbb\xbf[log]\r\nlevel = \"ü\"\r\nformat = 1\r\n\"ü\" = 2\r\n'ü' = { ü = 2 }\r\n"), noFiles)
	if es := errorsOf(t, err); len(es) == 0 || es[0].Error() != `goike.toml:2:9: log.level is "ü"; allowed: "debug", "info", "warn", "error"` {
		t.Error(err)
	}
}

func TestInlineForms(t *testing.T) {
	plain := mustParse(t, document(""))
	c := mustParse(t, `phase1 = [{ name = "site", remote_gateway = "198.51.100.2", pre_shared_key = "a secret that is long enough",
		phase2 = [{ name = "lan", local_network = "10.1.0.0/16", remote_network = "10.2.0.0/16" }] }]`)
	if !reflect.DeepEqual(c, plain) {
		t.Errorf("%+v", c)
	}
	for text, want := range map[string]string{
		"[phase1]\nname = 1":     "1:2: phase1 is written as one section; allowed: [[phase1]], once for each",
		"phase1 = 7":             "1:1: phase1 is an integer; allowed: sections [[phase1]]",
		"phase1 = [{}, 7]":       "1:15: phase1 holds an integer; allowed: sections [[phase1]]",
		"[[phase1]]\nphase2 = 1": "2:1: phase2 is an integer; allowed: sections [[phase1.phase2]]",
		"[[log]]":                "1:3: log is a list of sections; allowed: a section [log]",
	} {
		_, _, err := parse("f", []byte(text), noFiles)
		if err == nil || !strings.Contains("\n"+err.Error()+"\n", "\nf:"+want+"\n") {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// Neither a huge file nor a huge number of errors takes long or says too much.
func TestBounds(t *testing.T) {
	began := time.Now()
	if _, _, err := Parse("f", make([]byte, maxFile+1)); err == nil || err.Error() != "f: has 16777217 octets; 16777216 are the most" {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"unknown keys":     "[[phase1]]\n" + manyLines(40_000, "presharedkey%d = 1\n"),
		"unknown sections": manyLines(20_000, "[section%d]\n"),
		"double keys":      "[log]\n" + strings.Repeat("level = \"info\"\n", 20_000),
		"networks":         "[[phase1]]\n[[phase1.phase2]]\nlocal_network = [" + strings.Repeat(`"10.0.0.0/8", `, 50_000) + "]",
		"bad proposals":    "[[phase1]]\nproposals = [" + strings.Repeat(`"aes-sha1-modp1", `, 10_000) + "]",
		"dotted key":       strings.Repeat("a.", 200_000) + "a = 1",
		"lists in lists":   "a = " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"peers":            strings.Repeat("[[phase1]]\nname = \"x\"\n", 10_000),
	} {
		_, ws, err := parse("f", []byte(text), noFiles)
		es := errorsOf(t, err)
		if len(es) == 0 || len(es) > maxErrors+1 || len(ws) > maxErrors {
			t.Errorf("%s: %d errors, %d warnings", name, len(es), len(ws))
		}
		if len(es) > maxErrors && !strings.Contains(es[maxErrors].Text, "more errors") {
			t.Errorf("%s: %v", name, es[maxErrors])
		}
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("that took %s", d)
	}
}

func manyLines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	good := document("")
	secretless := document("daemon: log.level = \"info\"")
	secretless = secretless[:strings.Index(secretless, "[[phase1]]")]
	for _, c := range []struct {
		path string
		want string // the only error, %s for the path
	}{
		{write(t, filepath.Join(dir, "0600"), good, 0o600), ""},
		{write(t, filepath.Join(dir, "0400"), good, 0o400), ""},
		{write(t, filepath.Join(dir, "0640"), good, 0o640), "%s:5:1: the file holds a secret, but its mode is 0640; allowed: 0600 (chmod 600 %s), or the secret in a pre_shared_key_file"},
		{write(t, filepath.Join(dir, "0604"), good, 0o604), "%s:5:1: the file holds a secret, but its mode is 0604; allowed: 0600 (chmod 600 %s), or the secret in a pre_shared_key_file"},
		{write(t, filepath.Join(dir, "nosecret"), secretless, 0o644), ""},
		{write(t, filepath.Join(dir, "empty"), "", 0o644), ""},
		{filepath.Join(dir, "missing.toml"), "%s: no such file or directory"},
		{dir, "%s: is a directory"},
		{"/dev/null", "%s: is no regular file"},
	} {
		config, _, err := Load(c.path)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if want := strings.ReplaceAll(c.want, "%s", c.path); got != want || (config == nil) != (err != nil) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	config, _, err := Load(filepath.Join(dir, "0600"))
	if err != nil || !reflect.DeepEqual(config, mustParse(t, good)) {
		t.Errorf("not the same loaded as parsed, though the buffer was wiped: %+v, %v", config, err)
	}
	huge := write(t, filepath.Join(dir, "huge"), "", 0o600)
	if err := os.Truncate(huge, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "are the most") {
		t.Error(err)
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	key := func(name, text string, mode os.FileMode) string {
		return write(t, filepath.Join(dir, name), text, mode)
	}
	key("good.key", "a secret of some length\n", 0o600)
	for _, c := range []struct{ path, psk, want string }{
		{"good.key", "a secret of some length", ""},
		{filepath.Join(dir, "good.key"), "a secret of some length", ""},
		{key("dos.key", "a secret of some length\r\n", 0o400), "a secret of some length", ""},
		{key("bare.key", " a secret\n of some length ", 0o600), " a secret\n of some length ", ""},
		{key("hex.key", "0x000102030405060708090a0b0c0d0e0f\n", 0o600), "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", ""},
		{key("open.key", "a secret of some length\n", 0o640), "", "has mode 0640, so that others can read it: chmod 600 "},
		{key("empty.key", "\n", 0o600), "", "is empty; allowed: a file of mode 0600 that holds the key"},
		{key("bad.key", "0xa secret\n", 0o600), "", "begins with 0x, but pairs of hexadecimal digits do not follow"},
		{key("huge.key", strings.Repeat("x", maxSecretFile+1), 0o600), "", "has 65537 octets; 65536 are the most"},
		{"nothing.key", "", "no such file or directory; allowed: a file"},
		{dir, "", "is a directory"},
		{"/dev/zero", "", "is no regular file"},
		{"", "", "is empty; allowed: a file"},
	} {
		text, at := places(strings.Replace(document(""), `pre_shared_key = "a secret that is long enough"`, fmt.Sprintf("pre_shared_key_file = ¦%q", c.path), 1))
		config, _, err := Parse(filepath.Join(dir, "goike.toml"), []byte(text))
		switch {
		case c.want == "" && (err != nil || string(config.Connections[0].PSK) != c.psk):
			t.Errorf("%s: %v", c.path, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "goike.toml:"+at[0]+": pre_shared_key_file") || len(errorsOf(t, err)) != 1):
			t.Errorf("%s: %v, want %s", c.path, err, c.want)
		case err != nil && strings.Contains(err.Error(), "a secret"):
			t.Errorf("%s: shows the secret: %v", c.path, err)
		}
	}
}

// A key may be a credential that systemd gives the service.
func TestCredential(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "branch"), "a secret of some length\n", 0o400)
	load := func(path string) (*conf.Config, error) {
		text := strings.Replace(document(""), `pre_shared_key = "a secret that is long enough"`, fmt.Sprintf("pre_shared_key_file = %q", path), 1)
		c, _, err := Parse("goike.toml", []byte(text))
		return c, err
	}
	if _, err := load("credential:branch"); err == nil || !strings.Contains(err.Error(), "LoadCredential=branch:FILE; here there are none ($CREDENTIALS_DIRECTORY is not set)") {
		t.Error(err)
	}
	t.Setenv(credentialsDir, dir)
	if c, err := load("credential:branch"); err != nil || string(c.Connections[0].PSK) != "a secret of some length" {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"credential:": "names no credential", "credential:../branch": "names no credential", "credential:none": "no such file or directory",
	} {
		if _, err := load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Keys by identity serve connections that have none, the nearest owner first.
func TestSecrets(t *testing.T) {
	const keyless = `[[phase1]]
name = "site"
remote_gateway = "198.51.100.2"
identifier = "hq.example.org"
peer_identifier = "branch.example.net"
`
	for _, c := range []struct{ secrets, want, err string }{
		{"", "", `1:1: "site" has no key to authenticate with`},
		{"[[secret]]\nkey = 'for anyone at all'\n", "for anyone at all", ""},
		{"[[secret]]\nkey = 'for anyone at all'\n[[secret]]\nowners = '*.example.net'\nkey = 'for the wildcard'\n", "for the wildcard", ""},
		{"[[secret]]\nowners = ['x', 'branch.example.net']\nkey = 'for the branch itself'\n[[secret]]\nowners = '*.example.net'\nkey = 'for the wildcard'\n", "for the branch itself", ""},
		{"[[secret]]\nowners = 'other.example.net'\nkey = 'for somebody else'\n", "", "has no key to authenticate with"},
		{"[[secret]]\nowners = 'other.example.net'\n", "", "6:1: secret has no key; allowed: key or key_file"},
		{"[[secret]]\nowners = 1\nkey = 'for nobody at all'\n", "", "7:10: secret.owners is an integer"},
		{"[[secret]]\nowners = ''\nkey = 'for nobody at all'\n", "", "7:10: secret.owners is empty"},
		{"[[secret]]\nkey = 1\n", "", "7:7: secret.key is an integer"},
		{"[[secret]]\nkey = 'for nobody at all'\nkey_file = 'x'\n", "", "8:1: secret.key_file and secret.key are both given"},
		{"[[secret]]\nkeys = 'for nobody at all'\n", "", "7:1: unknown key keys in [[secret]]; did you mean key?"},
	} {
		conn, _, err := parse("goike.toml", []byte(keyless+c.secrets), noFiles)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "for nobody") {
				t.Errorf("%s: %v, want %s", c.secrets, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.secrets, err)
		default:
			got, _ := conn.SharedKey(conn.Connections[0], conn.Connections[0].Local.ID, conn.Connections[0].Remote.ID)
			if string(got) != c.want {
				t.Errorf("%s: another key", c.secrets)
			}
		}
	}
	if _, _, err := parse("goike.toml", []byte(keyless+"[ipsec]\nconfiguration_mode = 'advanced'\nconf_files = 'a.conf'\n"), noFiles); err != nil {
		t.Error(err)
	}
}
