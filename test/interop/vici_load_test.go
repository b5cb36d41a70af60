//go:build linux

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// startEmpty starts goiked without a connection.
func (e end) startEmpty(t *testing.T) goike {
	t.Helper()
	g, err := lab.StartGoiked(e.at, binaries(t), "", lab.GoikedOptions{Args: []string{"--config", "none"}})
	if g != nil && g.Process != nil {
		t.Cleanup(func() {
			if code := g.Stop(); code != 0 {
				t.Errorf("goiked ended with exit code %d: %s", code, last(g.Output(), 15))
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g}
}

// swanctlFile writes a swanctl.conf for the stock swanctl.
func swanctlFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "swanctl.conf")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The same swanctl.conf, loaded by the stock swanctl --load-all, does for goiked what it
// does for strongSwan; loading it again touches nothing, and what is no longer in it goes.
func TestLoadAll(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.startSwan(t, ""), a.startEmpty(t)
	text := a.swanctl()
	file := swanctlFile(t, text)
	loaded := []string{"loaded ike secret 'ike'", "loaded connection 'site'", "successfully loaded 1 connections, 0 unloaded"}
	drive(t, w.A, ga.URI, []stock{
		{args: "--load-all --noprompt --file " + file, want: loaded},
		{args: "--list-conns", want: []string{"site: IKEv2", "local:  192.0.2.2", "remote: 198.51.100.2", "lan: TUNNEL"}},
		{args: "--initiate --child lan --timeout 20", want: []string{"initiate completed successfully"}},
	})
	before := agree(t, ga, gb, 1)
	w.carries(t)
	two := strings.Replace(text, "connections {", "connections {\n\tother { remote_addrs = 198.51.100.77\n\t\tlocal { auth = psk }\n\t\tremote { auth = psk } }\n", 1)
	bad := strings.Replace(text, "version = 2", "version = 2\n\t\tnonsense = 1", 1)
	drive(t, w.A, ga.URI, []stock{
		{args: "--load-all --noprompt --file " + file, want: loaded},
		{args: "--load-conns --file " + swanctlFile(t, two), want: []string{"loaded connection 'other'", "loaded connection 'site'", "successfully loaded 2 connections, 0 unloaded"}},
		{args: "--reload-settings"},
		{args: "--load-conns --file " + file, want: []string{"successfully loaded 1 connections, 1 unloaded"}},
		{args: "--load-conns --file " + swanctlFile(t, bad), want: []string{"unknown option: nonsense, config discarded"}, fails: true},
	})
	if after := agree(t, ga, gb, 1); after.Values["uniqueid"] != before.Values["uniqueid"] || after.Children[0].Values["spi-in"] != before.Children[0].Values["spi-in"] {
		t.Errorf("the tunnel was touched: %v, before %v", after, before)
	}
	w.carries(t)
	drive(t, w.A, ga.URI, []stock{
		{args: "--load-all --clear --noprompt --file " + swanctlFile(t, "connections {\n}\n"), want: []string{"no connections found, 1 unloaded"}},
		{args: "--list-conns --raw", want: []string{"list-conns reply {}"}},
	})
	gone(t, ga, gb)
}

// start_action of what is loaded: traffic brings a trap up, start begins at once.
func TestLoadStartAction(t *testing.T) {
	for _, action := range []string{"trap", "start"} {
		t.Run(action, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(newLink())
			gb, ga := b.startSwan(t, ""), a.startEmpty(t)
			file := swanctlFile(t, strings.Replace(a.swanctl(), "lan { ", "lan { start_action = "+action+"\n", 1))
			drive(t, w.A, ga.URI, []stock{{args: "--load-all --noprompt --file " + file, want: []string{"successfully loaded 1 connections"}}})
			if action == "trap" {
				drive(t, w.A, ga.URI, []stock{{args: "--list-pols --trap", want: []string{"site/lan, TUNNEL"}}})
				if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
					t.Fatal(err)
				}
			}
			agree(t, ga, gb, 1)
			w.carries(t)
		})
	}
}
