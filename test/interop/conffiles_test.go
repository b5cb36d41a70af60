//go:build linux

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// A swanctl.conf is a configuration of goiked's as it is, alone and beside goike.toml:
// the same file as strongSwan's at the other end brings the tunnel up from either side.
func TestSwanctlConf(t *testing.T) {
	for _, c := range []struct {
		name       string
		beside     bool // of a goike.toml
		goikeCalls bool
	}{{"alone, goiked initiates", false, true}, {"alone, goiked responds", false, false}, {"beside goike.toml", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(newLink())
			b.encap = true
			s := b.startSwan(t, "")
			config, o := a.swanctl(), lab.GoikedOptions{ConfigName: "swanctl.conf"}
			if c.beside {
				file := filepath.Join(t.TempDir(), "site.conf")
				if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
				config, o = "[ipsec]\nconfiguration_mode = \"advanced\"\nconf_files = [\""+file+"\"]\n", lab.GoikedOptions{}
			}
			g := a.startWith(t, config, o)
			var caller peer = s
			if c.goikeCalls {
				caller = g
			}
			if err := caller.Up("lan"); err != nil {
				t.Fatal(err, last(g.Log(), 20), last(s.Log(), 20))
			}
			agree(t, g, s, 1)
			w.carries(t)
		})
	}
}

// When the first gateway is silent the second one is called, in the same try.
func TestSeveralGateways(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	b.encap = true
	s := b.startSwan(t, "")
	config := strings.Replace(a.config(), `remote_gateway = "198.51.100.2"`, `remote_gateway = ["198.51.100.77", "198.51.100.2"]`, 1)
	g := a.startWith(t, strings.Replace(config, "[dataplane]\n", hasty, 1), lab.GoikedOptions{})
	if err := g.Up("lan"); err != nil {
		t.Fatal(err, last(g.Log(), 20))
	}
	agree(t, g, s, 1)
	w.carries(t)
	if log := g.Log(); !strings.Contains(log, "connecting to 198.51.100.77:500") || strings.Contains(log, "try 2") {
		t.Error(last(log, 20))
	}
	if err := g.Down(); err != nil {
		t.Fatal(err)
	}
	if err := s.Up("lan"); err != nil {
		t.Error(err, last(g.Log(), 20))
	}
}

// `goikectl reload` tells what changes, as a dry run does, and changes no more: a tunnel
// whose connection gets other times goes on without losing a packet.
func TestReloadCommand(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	b.encap = true
	s, g := b.startSwan(t, ""), a.start(t)
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	before := agree(t, g, s, 1)
	stop := pings(t, w.HostA, lab.HostA4, lab.HostB4, often)
	put := func(config string) {
		if err := os.WriteFile(g.Config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctl := func(code int, want []string, args ...string) {
		t.Helper()
		out, is, err := g.Ctl(args...)
		if err != nil {
			out += err.Error()
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("goikectl %v does not print %q: %s", args, text, out)
			}
		}
		if is != code {
			t.Errorf("goikectl %v: exit code %d, want %d", args, is, code)
		}
	}
	ctl(0, []string{"site  unchanged"}, "reload", "--dry-run")
	put(strings.Replace(a.config(), "[[phase1]]\n", "[[phase1]]\ndpd_delay = \"17s\"\n", 1) +
		"[[phase1]]\nname = \"other\"\nremote_gateway = \"198.51.100.77\"\nconnection_behavior = \"responder-only\"\npre_shared_key = \"another secret of the laboratory\"\n")
	plan := []string{"site   in place  dpd_delay", "other  add"}
	ctl(0, append(plan, "nothing was changed: this was a dry run"), "reload", "--dry-run")
	if out, _, _ := g.Ctl("status"); strings.Contains(out, "other") {
		t.Error("a dry run has changed the configuration:", out)
	}
	ctl(0, plan, "reload")
	ctl(0, []string{"other"}, "status")
	put("[[phase1]]\nname = 1\n")
	ctl(1, []string{"goike.toml:2:8: name is an integer", "the configuration was not changed"}, "reload")
	ctl(0, []string{"other"}, "status")
	if sent, lost := stop(); len(lost) > 0 {
		t.Errorf("%d of %d packets were lost: %v", len(lost), sent, lost)
	}
	after := agree(t, g, s, 1)
	if after.Values["uniqueid"] != before.Values["uniqueid"] || after.Children[0].Values["spi-in"] != before.Children[0].Values["spi-in"] {
		t.Errorf("the tunnel was touched: %v, before %v", after, before)
	}
}
