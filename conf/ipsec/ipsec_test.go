package ipsec

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
)

// folder has an ipsec.conf and an ipsec.secrets.
func folder(t *testing.T, config, secrets string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"ipsec.conf": config, "ipsec.secrets": secrets} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, config, secrets string) (*conf.Config, string, error) {
	t.Helper()
	c, ws, err := Load(filepath.Join(folder(t, config, secrets), "ipsec.conf"), "", nil)
	var texts []string
	for _, w := range ws {
		texts = append(texts, strings.TrimPrefix(w.String(), w.File))
	}
	return c, strings.Join(texts, "\n"), err
}

const someKey = ": PSK \"a key that is long enough\"\n"

// conn is a conn with these settings.
func conn(settings ...string) string {
	return "conn site\n\tauthby=secret\n\tleft=192.0.2.1\n\tright=198.51.100.2\n\tauto=start\n\t" + strings.Join(settings, "\n\t") + "\n"
}

// libreswan's defaults and words.
func TestLibreswan(t *testing.T) {
	c, warnings, err := load(t, "config setup\n\tlogfile=/var/log/pluto.log\n"+conn("ikev2=insist", "ike=aes_gcm256-sha2_256;dh19,aes256-sha2;modp2048", "phase2alg=aes_gcm_c_128-null", "leftsubnets={10.1.0.0/16 10.9.0.0/16}", "rightsubnet=10.2.0.0/16", "dpddelay=20", "keyingtries=%forever"), someKey)
	if err != nil {
		t.Fatal(err)
	}
	x := c.Connections[0]
	if got := x.Proposals[0].String() + " " + x.Proposals[1].String() + " " + x.Children[0].Proposals[0].String(); got != "aes256gcm16-prfsha256-ecp256 aes256-sha256-modp2048 aes128gcm16-ecp256" {
		t.Error(got)
	}
	if x.Version != conf.IKEv2 || x.Lifetime != 8*time.Hour || x.Children[0].Lifetime != 8*time.Hour || x.KeyingTries != 0 || x.DPDAction != conf.DPDHold || x.DPDDelay != 20*time.Second ||
		x.MOBIKE || x.Reauthenticate || len(x.Children) != 2 || x.Children[1].Name != "site-2x1" || x.Children[1].Local[0].String() != "10.9.0.0/16" || len(x.Children[1].Local) != 1 {
		t.Errorf("%+v", x)
	}
	for _, want := range []string{"read as libreswan's", ":2:1: logfile is a setting of the other daemon"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in %s", want, warnings)
		}
	}
}

// strongSwan's defaults, inheritance, and sides.
func TestStrongSwan(t *testing.T) {
	c, warnings, err := load(t, `# a comment
version 2
conn %default
	keyexchange=ikev2
	ikelifetime=2h # another
conn base
	right = %defaultroute
	rightid="C=CH, O=Example, CN=hq"
	left=gw.example.org
	leftid=@#0a0b
	ikelifetime=5h
	authby=psk
conn a
	also=base
	leftsubnet=10.2.0.1/16[tcp/443]
	rightprotoport=tcp/22
	auto=route
	dpdaction=hold
	fragmentation=force
	closeaction=hold
	leftupdown=/bin/true
conn b
	also=base
	auto=add
	type=passthrough
	leftsubnet=10.3.0.0/16
	rightsubnet=10.1.0.0/16
`, "@hq : RSA key.pem\n# none\n@#0a0b\n  : PSK 0x000102030405060708090a0b0c0d0e0f\n%any : PSK \"0x is text\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Connections) != 2 {
		t.Fatalf("%d connections", len(c.Connections))
	}
	x := c.Connections[0]
	if x.Name != "a" || x.Gateways.String() != "gw.example.org" || x.Local.ID.Kind != id.DN || x.Remote.ID.Kind != id.KeyID || x.Lifetime != 5*time.Hour || !x.Reauthenticate ||
		x.Behavior != conf.OnDemand || x.DPDAction != conf.DPDHold || x.KeyingTries != 3 || c.ExcludeMyNetwork {
		t.Errorf("%+v", x)
	}
	if got := x.Children[0].Remote[0].String() + " " + x.Children[0].Local[0].String(); got != "10.2.0.0/16[tcp/443] dynamic[tcp/22]" {
		t.Error(got)
	}
	if child := c.Connections[1].Children[0]; child.Mode != conf.Pass || child.Lifetime != conf.Forever {
		t.Errorf("%+v", child)
	}
	if len(c.Secrets) != 2 || len(c.Secrets[0].Key) != 16 || len(c.Secrets[0].Owners) != 1 || string(c.Secrets[1].Key) != "0x is text" || len(c.Secrets[1].Owners) != 0 {
		t.Errorf("%d secrets", len(c.Secrets))
	}
	for _, want := range []string{"read as strongSwan's", ":1:1: RSA is left out", "leftupdown of conn \"a\" changes nothing: goike runs no scripts", "closeaction of conn \"a\" is \"hold\""} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in %s", want, warnings)
		}
	}
}

// Everything wrong is said with its place, and no secret in it.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ config, secrets, want string }{
		{conn("keyexchange=ikev1"), someKey, `:6:1: keyexchange of conn "site" is "ikev1"; allowed: ikev2, or ike; goike does not do IKEv1 yet`},
		{conn("ikev2=no"), someKey, `ikev2 of conn "site" is "no"`},
		{"conn site\n\tright=198.51.100.2\n\tauto=add\n", someKey, `:1:1: conn "site" has no authby, which would be authentication by public keys`},
		{conn("leftauth=pubkey"), someKey, `leftauth of conn "site" is "pubkey"; allowed: secret`},
		{conn("leftcert=x.pem"), someKey, `leftcert of conn "site": goike does not use certificates yet`},
		{conn("rightsourceip=%config"), someKey, `rightsourceip of conn "site": goike does not give or ask for virtual addresses yet`},
		{conn("ikelifetim=3h"), someKey, `"ikelifetim" of conn "site" is a keyword of neither strongSwan nor libreswan; did you mean ikelifetime?`},
		{conn("ikelifetime=soon"), someKey, `ikelifetime of conn "site" is "soon"; allowed: a number of seconds`},
		{conn("ike=aes256-nonsense"), someKey, `ike holds "aes256-nonsense"`},
		{conn("esp=aes256"), someKey, `esp holds "aes256"`},
		{conn("leftsubnet=10.1.0.0/36"), someKey, `leftsubnet of conn "site" holds "10.1.0.0/36"`},
		{conn("mobike=perhaps"), someKey, `mobike of conn "site" is "perhaps"; allowed: yes, no`},
		{conn("rekeyfuzz=2000%"), someKey, `rekeyfuzz of conn "site" is "2000%"; allowed: a number up to 1000`},
		{conn("also=nothing"), someKey, `:6:1: also="nothing": there is no such conn`},
		{conn("also=site"), someKey, `goes in a circle`},
		{conn("type=magic"), someKey, `type of conn "site" is "magic"`},
		{conn("dpdaction=magic"), someKey, `dpdaction of conn "site" is "magic"`},
		{conn("aggressive=yes"), someKey, `aggressive of conn "site" is "yes"`},
		{conn("mark=x"), someKey, `mark of conn "site": "x"`},
		{conn("rightid=@#zz"), someKey, `rightid of conn "site"`},
		{strings.Replace(conn(), "198.51.100.2", "%any", 1), someKey, `has no single peer to call`},
		{strings.Replace(conn(), "auto=start", "auto=perhaps", 1), someKey, `auto of conn "site" is "perhaps"`},
		{"key=value\n", someKey, `:1:1: "key" stands before the first section`},
		{"conn\n", someKey, `:1:1: conn needs a name`},
		{"ca x\n", someKey, `:1:1: ca "x": goike does not use certificates yet`},
		{conn() + "nonsense\n", someKey, `this line is none of config setup, conn NAME`},
		{"config setup\n\tuniqueids=perhaps\n", someKey, `uniqueids is "perhaps"`},
		{conn(), "x PSK hidden\n", `:1:1: this line has no colon between selectors and secret`},
		{conn(), ": PSK \"hidden\n", `:1:1: the key begins with a quotation mark, but no other one ends it`},
		{conn(), ": HIDDEN hidden\n", `:1:1: this is a secret of another type than PSK`},
		{conn(), "@#zz : PSK \"hidden\"\n", `:1:1: selector "@#zz": identity`},
	} {
		got, _, err := load(t, c.config, c.secrets)
		if got != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v; want %q", c.config, err, c.want)
		}
	}
}

// What nothing loads is left out, and what lacks a key is said.
func TestWarnings(t *testing.T) {
	c, warnings, err := load(t, strings.Replace(conn(), "auto=start", "auto=ignore", 1)+"include none*.conf\n", someKey)
	if err != nil || len(c.Connections) != 0 || !strings.Contains(warnings, `conn "site" is left out: auto is "ignore"`) || !strings.Contains(warnings, "there is no such file") {
		t.Error(err, warnings)
	}
	if _, warnings, err = load(t, conn(), "other.example.org : PSK \"a key that is long enough\"\n"); err != nil || !strings.Contains(warnings, `no PSK of ipsec.secrets is for its identities`) {
		t.Error(err, warnings)
	}
	dir := folder(t, conn("xauth=no", "leftfirewall=yes", "x-note=mine"), someKey)
	if err := os.Chmod(filepath.Join(dir, "ipsec.secrets"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, ws, err := Load(filepath.Join(dir, "ipsec.conf"), "", nil)
	if err != nil || !strings.Contains(ws[len(ws)-1].String(), "mode is 0644") && !strings.Contains(ws[1].String(), "mode is 0644") && !strings.Contains(ws[2].String(), "mode is 0644") {
		t.Error(err, ws)
	}
}

// The colon between selectors and key is found, whatever is in either.
func TestSecrets(t *testing.T) {
	for line, want := range map[string]string{
		`: PSK "a key: of : some # length"`: " a key: of : some # length", `a.example.org b.example.org : PSK 'single # : quotes'`: "a.example.org b.example.org single # : quotes",
		`a.example.org: PSK "x : y"`: "a.example.org x : y", `2001:db8::1 fe80:: : PSK "x"`: "2001:db8::1 fe80:: x", `2001:db8::1: PSK 0x3031`: "2001:db8::1 01",
		`"C=CH, CN=a:b" : PSK "x"`: "", `a :PSK "x"`: "a x", "a\t:\tPSK\t\"x\"": "a x", `a : psk bare # comment`: "a bare",
	} {
		c, _, err := load(t, conn(), line+"\n")
		if want == "" {
			if err == nil && len(c.Secrets) == 1 && string(c.Secrets[0].Key) == "x" {
				continue
			}
			t.Errorf("%s: %v", line, err)
			continue
		}
		if err != nil || len(c.Secrets) != 1 {
			t.Errorf("%s: %v", line, err)
			continue
		}
		got := ""
		for _, o := range c.Secrets[0].Owners {
			got += o.String() + " "
		}
		if got += string(c.Secrets[0].Key); strings.TrimSpace(got) != strings.TrimSpace(want) { //nolint:unconvert // it would print redacted
			t.Errorf("%s: another key or owner: %q", line, got)
		}
	}
}

func TestIs(t *testing.T) {
	dir := folder(t, conn(), "connections {\n}\n")
	for name, want := range map[string]bool{"ipsec.conf": true, "ipsec.secrets": false} {
		if is, err := Is(filepath.Join(dir, name)); is != want || err != nil {
			t.Errorf("%s: %v %v", name, is, err)
		}
	}
	if _, err := Is(dir); err == nil {
		t.Error("a directory is read")
	}
}

// FuzzLoad reads any two texts: they become a configuration that is valid, or errors with
// places.
func FuzzLoad(f *testing.F) {
	f.Add(conn("ike=aes256-sha256-modp2048!", "leftsubnet=10.1.0.0/16,dynamic[tcp/22]", "also=%default"), someKey)
	f.Add("config setup\n uniqueids=no\nconn %default\n ikev2=yes\nconn a\n also=b\n also=a\nconn b\n right=%any\n auto=add\ninclude x.conf\n", "a b : PSK 0sAAAA\n : RSA x\n")
	f.Add(conn("phase2alg=aes_gcm_c_256;dh14,aes", "ike=;+-", "mark=1/2", "lifebytes=99999999999999999999", "tfc=%mtu"), ": PSK '\n\"")
	f.Fuzz(func(t *testing.T, config, secrets string) {
		p := newParser()
		p.glob = func(pattern string) ([]string, error) { return []string{filepath.Base(pattern)}, nil }
		p.read = func(path string) ([]byte, fs.FileMode, error) {
			switch path {
			case "ipsec.conf", "x.conf":
				return []byte(config), 0o600, nil
			case "ipsec.secrets":
				return []byte(secrets), 0o600, nil
			}
			return nil, 0, fs.ErrNotExist
		}
		c, _, err := p.load("ipsec.conf", "ipsec.secrets")
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if c == nil {
			return
		}
		for _, f := range conf.Validate(c) {
			if !f.Warning && f.Key != "pre_shared_key" {
				t.Errorf("%+v", f)
			}
		}
	})
}
