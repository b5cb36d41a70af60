package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

const (
	siteToml = `[ipsec]
configuration_mode = "advanced"
conf_files = ["conf.d/*.conf", "more.conf"]
unique_ids = "never"
[[phase1]]
name = "site"
remote_gateway = "198.51.100.2"
`
	branchConf = `connections {
	NAME {
		remote_addrs = 198.51.100.3
		local {
			auth = psk
		}
		remote {
			auth = psk
		}
		children {
			lan {
				local_ts = 10.1.0.0/16
				remote_ts = 10.3.0.0/16
			}
		}
	}
}
secrets {
	ike-NAME {
		id = 198.51.100.3
		secret = "a secret of some length"
	}
}
`
)

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func branch(name string) string { return strings.ReplaceAll(branchConf, "NAME", name) }

func names(c *conf.Config) string {
	var list []string
	for _, conn := range c.Connections {
		list = append(list, conn.Name)
	}
	return strings.Join(list, " ")
}

func texts(ws []conf.Warning) string {
	var list []string
	for _, w := range ws {
		list = append(list, w.String())
	}
	return strings.Join(list, "\n")
}

// Connections of files in strongSwan's syntax come beside those of goike.toml.
func TestAdvanced(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "goike.toml", siteToml)
	put(t, dir, "conf.d/1.conf", branch("branch"))
	put(t, dir, "conf.d/2.conf", "")
	put(t, dir, "more.conf", branch("more"))
	c, ws, err := File(path, "")
	if err != nil || names(c) != "site branch more" || len(c.Secrets) != 2 || c.UniqueIDs != conf.UniqueNever || !c.ExcludeMyNetwork {
		t.Fatalf("%v: %v", err, c)
	}
	if text := texts(ws); !strings.Contains(text, path+`: connection "site": no secret is for its identities`) || strings.Contains(text, "branch") {
		t.Error(text)
	}
	put(t, dir, "more.conf", branch("site"))
	if _, _, err := File(path, ""); err == nil || err.Error() != filepath.Join(dir, "more.conf")+`: connection "site" is in `+path+", too; allowed: a name used once" {
		t.Error(err)
	}
	put(t, dir, "more.conf", branch("branch"))
	put(t, dir, "conf.d/2.conf", "connections {\n\tx {\n\t\tremote_adrs = 192.0.2.1\n")
	_, _, err = File(path, "")
	for _, want := range []string{"2.conf:", "more.conf: connection \"branch\" is in " + filepath.Join(dir, "conf.d/1.conf")} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "more.conf")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "conf.d/2.conf", "")
	if _, _, err := File(path, ""); err == nil || !strings.Contains(err.Error(), path+": ipsec.conf_files: ") || !strings.Contains(err.Error(), "more.conf: no such file") {
		t.Error(err)
	}
	put(t, dir, "more.conf", "")
	if err := os.RemoveAll(filepath.Join(dir, "conf.d")); err != nil {
		t.Fatal(err)
	}
	if _, ws, err := File(path, ""); err != nil || !strings.Contains(texts(ws), "no file is called "+filepath.Join(dir, "conf.d/*.conf")) {
		t.Error(err, texts(ws))
	}
}

// A swanctl.conf is a configuration by itself, and a strongswan.conf goes with it.
func TestSwanctl(t *testing.T) {
	dir := t.TempDir()
	path := put(t, dir, "swanctl.conf", branch("branch"))
	charon := put(t, dir, "strongswan.conf", "charon {\n\tretransmit_tries = 2\n}\n")
	c, _, err := File(path, "")
	if err != nil || names(c) != "branch" || c.Retransmit.Tries == 2 {
		t.Errorf("%v: %v", err, c)
	}
	c, _, err = File(path, charon)
	if err != nil || names(c) != "branch" || c.Retransmit.Tries != 2 {
		t.Errorf("%v: %v", err, c)
	}
	if _, _, err := File(put(t, dir, "goike.toml", siteToml), charon); err == nil || !strings.HasPrefix(err.Error(), charon+": settings of charon go with") {
		t.Error(err)
	}
	put(t, dir, "strongswan.conf", "charon {\n\tretransmit_tries = many\n}\n")
	if _, _, err := File(path, charon); err == nil || !strings.Contains(err.Error(), charon+":2:") {
		t.Error(err)
	}
	if _, _, err := File(filepath.Join(dir, "none.conf"), charon); err == nil || !strings.Contains(err.Error(), "none.conf") {
		t.Error(err)
	}
}
