package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/conf/toml"
)

const convertedIpsec = `conn site
	keyexchange=ikev2
	authby=secret
	left=192.0.2.1
	right=198.51.100.2,203.0.113.2
	leftsubnet=10.1.0.0/16
	rightsubnet=10.2.0.0/16
	leftupdown=/bin/true
	auto=start
`

// convert prints what reads back as a goike.toml, with what changed as comments.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"ipsec.conf": convertedIpsec, "ipsec.secrets": ": PSK \"a key that is long enough\"\n", "swanctl.conf": checkedSwanctl} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"ipsec.conf":   {"# converted from ipsec.conf\n", ":8:1: leftupdown of conn", "# all of these are called in turn", "# given up after 3 tries", `remote_gateway = ["198.51.100.2", "203.0.113.2"]`, `key = "a key that is long enough"`},
		"swanctl.conf": {"# converted from swanctl.conf\n", `remote_gateway = "198.51.100.2"`, "# given up after 1 try", "[[secret]]"},
	} {
		r := run(t, "/nowhere", "convert", filepath.Join(dir, name))
		for _, text := range want {
			if !strings.Contains(r.out, text) {
				t.Errorf("%s: no %q in %+v", name, text, r)
			}
		}
		if c, _, err := toml.Parse("goike.toml", []byte(r.out)); r.code != exitOK || err != nil || len(c.Connections) != 1 {
			t.Errorf("%s: %v: %+v", name, err, r)
		}
		if strings.Contains(r.errs, "long enough") {
			t.Errorf("a secret is in a warning: %s", r.errs)
		}
	}
	for name, local := range map[string]string{"ipsec.conf": "here", "swanctl.conf": "192.0.2.1"} {
		if r := run(t, "/nowhere", "convert", filepath.Join(dir, name), "--local", local); r.code == exitOK || !strings.Contains(r.errs, "--local") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := run(t, "/nowhere", "convert", filepath.Join(dir, "ipsec.conf"), "--local", "192.0.2.1"); r.code != exitOK || strings.Contains(r.out, "neither left nor right") {
		t.Errorf("%+v", r)
	}
	out := filepath.Join(dir, "goike.toml")
	if r := run(t, "/nowhere", "convert", filepath.Join(dir, "ipsec.conf"), "--output", out); r.code != exitOK || r.out != "" {
		t.Errorf("%+v", r)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	for _, args := range [][]string{
		{filepath.Join(dir, "ipsec.conf"), "--output", out}, {filepath.Join(dir, "nothing.conf")}, {out}, {filepath.Join(dir, "swanctl.conf"), "--secrets", filepath.Join(dir, "ipsec.secrets")},
	} {
		if r := run(t, "/nowhere", append([]string{"convert"}, args...)...); r.code == exitOK || r.errs == "" || r.out != "" {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
