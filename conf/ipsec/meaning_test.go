package ipsec

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

// This host is the side whose address it has; who has neither is told.
func TestSides(t *testing.T) {
	addr := netip.MustParseAddr
	for _, c := range []struct {
		left, right string
		own         []netip.Addr
		peer        string
		warned      bool
	}{
		{"192.0.2.1", "198.51.100.2", nil, "198.51.100.2", false},
		{"192.0.2.1", "198.51.100.2", []netip.Addr{addr("192.0.2.1"), addr("127.0.0.1")}, "198.51.100.2", false},
		{"192.0.2.1", "198.51.100.2", []netip.Addr{addr("198.51.100.2")}, "192.0.2.1", false},
		{"192.0.2.1", "198.51.100.2", []netip.Addr{addr("203.0.113.1")}, "198.51.100.2", true},
		{"gw.example.org", "198.51.100.2", []netip.Addr{addr("198.51.100.2")}, "gw.example.org", false},
		{"%defaultroute", "198.51.100.2", []netip.Addr{addr("198.51.100.2")}, "198.51.100.2", false},
		{"192.0.2.1", "%defaultroute", []netip.Addr{addr("192.0.2.1")}, "192.0.2.1", false},
	} {
		text := strings.NewReplacer("left=192.0.2.1", "left="+c.left, "right=198.51.100.2", "right="+c.right).Replace(conn("leftid=@l", "rightid=@r"))
		got, ws, err := Load(filepath.Join(folder(t, text, someKey), "ipsec.conf"), "", c.own)
		if err != nil {
			t.Fatal(err)
		}
		x := got.Connections[0]
		remote := map[bool]string{true: "r", false: "l"}[c.peer == c.right]
		if x.Gateways.String() != c.peer || x.Remote.ID.String() != remote {
			t.Errorf("%+v: the peer is %s, %s", c, x.Gateways, x.Remote.ID)
		}
		warned := slices.ContainsFunc(ws, func(w conf.Warning) bool {
			return strings.Contains(w.Text, "neither left nor right is an address of this host")
		})
		if warned != c.warned {
			t.Errorf("%+v: %v", c, ws)
		}
	}
}

// Who only passes or drops packets has no peer and no key.
func TestShunts(t *testing.T) {
	for _, settings := range []string{"authby=never\n\ttype=passthrough\n\tauto=route", "type=drop\n\tauto=route\n\tright=127.0.0.1", "leftauth=never\n\trightauth=never\n\ttype=pass\n\tauto=add"} {
		c, warnings, err := load(t, "conn lan\n\tleftsubnet=192.168.0.0/16\n\trightsubnet=192.168.0.0/16\n\t"+settings+"\n", "")
		if err != nil || len(c.Connections) != 1 || !c.Connections[0].OnlyShunts() || strings.Contains(warnings, "cannot authenticate") {
			t.Errorf("%s: %v %s", settings, err, warnings)
		}
	}
}

// What libreswan fills in, and what strongSwan takes besides.
func TestProposalDefaults(t *testing.T) {
	c, warnings, err := load(t, conn("ikev2=insist", "ike=aes_gcm", "phase2alg=aes128"), someKey)
	if err != nil || strings.Contains(warnings, "has no !") {
		t.Fatal(err, warnings)
	}
	x := c.Connections[0]
	if got := x.Proposals[0].String(); got != "aes256gcm16-aes128gcm16-prfsha512-prfsha256-modp2048-modp3072-modp4096-modp8192-ecp256-ecp384-ecp521-curve25519" {
		t.Error(got)
	}
	if got := x.Children[0].Proposals[0].String(); !strings.HasPrefix(got, "aes128-sha512-sha256-modp2048") {
		t.Error(got)
	}
	for ending, times := range map[string]int{"": 1, "!": 0} { // once for both
		_, warnings, err := load(t, conn("ike=aes256-sha256-modp2048"+ending)+"conn other\n\talso=site\n\tauto=add\n", someKey)
		if n := strings.Count(warnings, ":6:1: ike has no ! at its end, so that strongSwan takes its defaults, too"); err != nil || n != times {
			t.Errorf("%q: %v, said %d times: %s", ending, err, n, warnings)
		}
	}
}
