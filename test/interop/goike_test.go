//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// Two goiked: what strongSwan's user space data plane cannot do, raw ESP before
// all, and what concerns the daemon itself.
func TestTwoGoiked(t *testing.T) {
	for _, c := range []struct {
		name       string
		v6, nat    bool
		encapA     bool
		esp        string
		wantRawESP bool
	}{
		{"raw ESP over IPv4", false, false, false, "aes256gcm16", true},
		{"raw ESP over IPv6", true, false, false, "chacha20poly1305", true},
		{"raw ESP, CBC", false, false, false, "aes256-sha256", true},
		{"NAT over IPv4", false, true, false, "aes256gcm16", false},
		{"NAT over IPv6", true, true, false, "aes256-sha512", false},
		{"forced encapsulation", false, false, true, "aes128gcm16", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.nat {
				if err := w.NAT(); err != nil {
					t.Fatal(err)
				}
			}
			k := newLink()
			k.v6, k.nat, k.children[0].esp = c.v6, c.nat, c.esp
			_, b := w.ends(k)
			k.encap = c.encapA
			a, _ := w.ends(k)
			gb, ga := b.start(t), a.start(t)
			if err := ga.Up("lan"); err != nil {
				t.Fatal(err)
			}
			w.carries(t)
			statusKnows(t, ga, agree(t, ga, gb, 1))
			if s := w.wire.Seen(); (s.ESP > 0) != c.wantRawESP || (s.UDPESP > 0) == c.wantRawESP {
				t.Errorf("seen on the wire: %s", s)
			}
			takeDown(t, ga, gb, c.v6)
		})
	}
}

// Both ends have the connection up from the start: one tunnel comes of it.
func TestBothStart(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.behavior = "start"
	a, b := w.ends(k)
	ga, gb := a.start(t), b.start(t)
	w.carries(t)
	if err := lab.Eventually(2*wait, func() error {
		x, errX := ga.SAs()
		y, errY := gb.SAs()
		if err := errors.Join(errX, errY); err != nil {
			return err
		}
		if len(x) != 1 || len(y) != 1 {
			return fmt.Errorf("%d IKE SAs at A, %d at B", len(x), len(y))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	agree(t, ga, gb, 1)
	w.carries(t)
}

// Traffic brings an on-demand tunnel up, and nothing of it leaves before.
func TestOnDemand(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.start(t), a.start(t)
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Fatal(err)
	}
	agree(t, ga, gb, 1)
}

// While the tunnel is down, whatever the reason, nothing leaves in the clear.
// The capture of every test asserts it; here the hosts try.
func TestNothingLeavesWithoutTunnel(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.behavior = "start"
	a, b := w.ends(k)
	ga := a.start(t)
	if err := w.HostA.PingOnce(lab.HostA4, lab.HostB4); err == nil {
		t.Fatal("a ping came back without a peer")
	}
	gb, err := lab.StartGoiked(b.at, binaries(t), b.config(), lab.GoikedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	gb.Kill()
	if err := w.HostA.PingOnce(lab.HostA4, lab.HostB4); err == nil {
		t.Fatal("a ping came back from a peer that is dead")
	}
	b.start(t) // finds what it has left, and has the tunnel up again
	w.carries(t)
}

// A daemon that ends takes its routes, rules and interfaces away, and its peer
// learns of it.
func TestStopLeavesNothing(t *testing.T) {
	w := newWorld(t)
	before := w.state(t)
	a, b := w.ends(newLink())
	gb, ga := b.start(t), a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	if code := ga.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	gone(t, gb)
	if after := w.state(t); after != before {
		t.Errorf("left behind: %s\nbefore: %s", after, before)
	}
}

// state is all that a daemon at A could have changed there.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var s strings.Builder
	for _, cmd := range []string{"ip -br link", "ip rule", "ip -6 rule", "ip route show table all", "ip -6 route show table all", "nft list ruleset"} {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		out, err := w.A.Run(ctx, strings.Fields(cmd)...)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%s:\n%s", cmd, out)
	}
	return s.String()
}

// A daemon that was killed starts again on what it has left.
func TestStartAfterCrash(t *testing.T) {
	w := newWorld(t)
	before := w.state(t)
	a, b := w.ends(newLink())
	gb := b.start(t)
	crashed, err := lab.StartGoiked(a.at, binaries(t), a.config(), lab.GoikedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := crashed.Up("site/lan"); err != nil {
		t.Fatal(err)
	}
	crashed.Kill()
	ga := a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	agree(t, ga, gb, 1)
	if code := ga.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if after := w.state(t); after != before {
		t.Errorf("left behind: %s\nbefore: %s", after, before)
	}
}

// SIGHUP takes the configuration again: an unchanged tunnel is not touched, a
// broken file changes nothing.
func TestReload(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.start(t), a.start(t)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	before := agree(t, ga, gb, 1)
	other := strings.ReplaceAll(a.config()[strings.Index(a.config(), "[[phase1]]"):], `"site"`, `"other"`)
	other = strings.ReplaceAll(other, "10.", "172.")
	other = strings.ReplaceAll(other, "fd0", "fc0")
	other = strings.ReplaceAll(other, "local_address = \"192.0.2.2\"\n", "")
	other = strings.ReplaceAll(other, "198.51.100.2", "198.51.100.77")
	if err := ga.Reload(a.config() + "\n" + other); err != nil {
		t.Fatal(err)
	}
	if err := lab.Eventually(wait, func() error {
		out, _, err := ga.Ctl("status")
		if err == nil && !strings.Contains(out, "other") {
			err = fmt.Errorf("no connection \"other\" in %s", out)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := ga.Reload("nonsense = 1"); err != nil {
		t.Fatal(err)
	}
	logged(t, ga, "nonsense")
	after := agree(t, ga, gb, 1)
	if after.Values["initiator-spi"] != before.Values["initiator-spi"] ||
		after.Children[0].Values["spi-in"] != before.Children[0].Values["spi-in"] {
		t.Errorf("the tunnel was touched: %v, before %v", after, before)
	}
	w.carries(t)
}

// The stock swanctl steers goiked.
func TestStockSwanctl(t *testing.T) {
	w := newWorld(t)
	a, b := w.ends(newLink())
	gb, ga := b.start(t), a.start(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--version", "--daemon"}, []string{"goike"}},
		{[]string{"--stats"}, []string{"uptime", "IKE_SAs"}},
		{[]string{"--list-conns"}, []string{"site: IKEv2", "local:  192.0.2.2", "remote: 198.51.100.2", "lan: TUNNEL", "10.2.0.0/16"}},
		{[]string{"--initiate", "--child", "lan", "--timeout", "20"}, []string{"initiate completed successfully"}},
		{[]string{"--list-sas"}, []string{"site: #", "ESTABLISHED, IKEv2", "lan: #", "INSTALLED, TUNNEL", "local  10.1.0.0/16", "AES_GCM_16-256"}},
		{[]string{"--terminate", "--ike", "site", "--timeout", "20"}, []string{"terminate completed successfully"}},
	} {
		out, err := w.A.Swanctl(ga.URI, c.args...)
		if err != nil {
			t.Errorf("swanctl %v: %v %s", c.args, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("swanctl %v does not print %q: %s", c.args, want, out)
			}
		}
	}
	gone(t, ga, gb)
}

// Transport mode between the gateways themselves.
func TestTransport(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	a, b := w.ends(k)
	config := func(e end) string {
		s := e.config()
		return s[:strings.Index(s, "  local_network")] + "  mode = \"transport\"\n"
	}
	start := func(e end) goike {
		g, err := lab.StartGoiked(e.at, binaries(t), config(e), lab.GoikedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Stop() })
		return goike{g}
	}
	gb, ga := start(b), start(a)
	if err := ga.Up("lan"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.A.Ping(lab.OuterA4, lab.OuterB4, 5*time.Second), w.B.Ping(lab.OuterB4, lab.OuterA4, wait)); err != nil {
		t.Fatal(err)
	}
	if sa := agree(t, ga, gb, 1); sa.Children[0].Values["mode"] != "TRANSPORT" {
		t.Errorf("mode %s", sa.Children[0].Values["mode"])
	}
}
