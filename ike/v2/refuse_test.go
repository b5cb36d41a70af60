package v2

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
)

// Every cause of a refusal, as both ends tell it in one line.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(a, b *conf.Connection)
		cause  ike.Cause
		notify string
		child  string
		a, b   string // patterns
	}{
		{
			"wrong PSK", func(_, b *conf.Connection) { b.PSK = crypto.Secret("another") },
			ike.WrongKey, "AUTHENTICATION_FAILED", "",
			`pre-shared key.*AUTHENTICATION_FAILED`, `pre-shared keys for b\.example\.org and a\.example\.org differ.*AUTHENTICATION_FAILED.*pre_shared_key`,
		},
		{
			"no IKE proposal", func(_, b *conf.Connection) {
				b.Proposals = proposals(t, crypto.IKE, "aes256gcm16-prfsha256-ecp256", "aes128-sha1-modp1024")
			},
			ike.NoProposal, "NO_PROPOSAL_CHOSEN", "",
			`proposal.*aes256gcm16-prfsha256-curve25519.*NO_PROPOSAL_CHOSEN.*phase 1`,
			`proposal.*offered aes256gcm16-prfsha256-curve25519.*configured.*ecp256, aes128-sha1-modp1024.*nearest is aes256gcm16-prfsha256-ecp256.*group \(curve25519 / ecp256\).*phase 1`,
		},
		{
			"no ESP proposal", func(_, b *conf.Connection) { b.Children[0].Proposals = proposals(t, crypto.ESP, "aes256-sha256") },
			ike.NoProposal, "NO_PROPOSAL_CHOSEN", "lan",
			`proposal.*aes256gcm16.*NO_PROPOSAL_CHOSEN.*phase 2`, `(?i)proposal.*aes256gcm16.*aes256-sha256.*encryption.*phase 2`,
		},
		{
			"AH and ESP", func(_, b *conf.Connection) {
				b.Children[0].Protocol, b.Children[0].Proposals = crypto.AH, proposals(t, crypto.AH, "sha256")
			},
			ike.NoProposal, "NO_PROPOSAL_CHOSEN", "lan", `proposal.*NO_PROPOSAL_CHOSEN`, `proposal.*sha256`,
		},
		{
			"no selectors", func(_, b *conf.Connection) {
				b.Children[0].Local, b.Children[0].Remote = []conf.Selector{subnet("10.7.0.0/16")}, []conf.Selector{subnet("10.8.0.0/16")}
			},
			ike.NoSelectors, "TS_UNACCEPTABLE", "lan",
			`(?i)(selectors|networks).*10\.1\.0\.0/16 === 10\.2\.0\.0/16.*TS_UNACCEPTABLE.*mirror`,
			`(?i)(selectors|networks).*10\.2\.0\.0/16 === 10\.1\.0\.0/16.*10\.7\.0\.0/16 === 10\.8\.0\.0/16.*neither local_network nor remote_network.*mirror`,
		},
		{
			"no local selectors", func(_, b *conf.Connection) { b.Children[0].Local = []conf.Selector{subnet("10.7.0.0/16")} },
			ike.NoSelectors, "TS_UNACCEPTABLE", "lan", `selectors.*TS_UNACCEPTABLE`, `local_network: 10\.2\.0\.0/16 \(peer\) has nothing in common with 10\.7\.0\.0/16`,
		},
		{
			"no remote selectors", func(_, b *conf.Connection) { b.Children[0].Remote = []conf.Selector{subnet("10.7.0.0/16")} },
			ike.NoSelectors, "TS_UNACCEPTABLE", "lan", `selectors.*TS_UNACCEPTABLE`, `remote_network: 10\.1\.0\.0/16 \(peer\) has nothing in common with 10\.7\.0\.0/16`,
		},
		{
			"no phase 2", func(_, b *conf.Connection) { b.Children = nil },
			ike.NoSelectors, "TS_UNACCEPTABLE", "lan", `selectors.*TS_UNACCEPTABLE`, `no phase 2 is configured`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, c.change)
			n.a.dial()
			n.pass(2 * time.Second)
			for _, h := range []*host{n.a, n.b} {
				f := h.failure()
				pattern := map[*host]string{n.a: c.a, n.b: c.b}[h]
				if !regexp.MustCompile(pattern).MatchString(f.Text) {
					t.Errorf("%s says %q, not %q", h.name, f.Text, pattern)
				}
				if f.Why.Cause != c.cause || f.Why.Notify != c.notify || f.Why.ByPeer != (h == n.a) || f.Conn != "site" {
					t.Errorf("%s: %+v of %q", h.name, f.Why, f.Conn)
				}
				if strings.Contains(f.Text, testPSK) || strings.ContainsAny(f.Text, "\n\r") {
					t.Errorf("%q", f.Text)
				}
				if f.Child != c.child && (h == n.a || c.name != "no phase 2") {
					t.Errorf("%s: child %q", h.name, f.Child)
				}
				up := h.kinds() == "IKEUp Failed" && len(h.list()[0].children) == 0 && h.list()[0].Status().LastError == f.Why
				if up != (c.child != "") {
					t.Errorf("%s: %s", h.name, h.kinds())
				}
				h.empty()
			}
		})
	}
}

// Of several phase 2 the nearest is shown.
func TestNearestChild(t *testing.T) {
	n := newNetwork(t, func(_, b *conf.Connection) {
		b.Children[0].Local, b.Children[0].Remote = []conf.Selector{subnet("192.168.0.0/24")}, []conf.Selector{subnet("192.168.1.0/24")}
		addChild(t, b, "near", "10.2.0.0/16", "192.168.1.0/24", "aes256gcm16")
	})
	n.a.dial()
	n.run()
	if f := n.b.failure(); f.Why.Nearest != "near" || f.Child != "near" || !strings.Contains(f.Text, "nearest is near") {
		t.Errorf("%+v", f)
	}
}

// Which configured child serves an offer (RFC 7296, 2.9).
func TestChooseChild(t *testing.T) {
	conn := &conf.Connection{Name: "site"}
	for _, c := range []struct{ name, local, remote string }{
		{"all", "10.0.0.0/8", "10.0.0.0/8"}, {"lan", "10.2.0.0/16", "10.1.0.0/16"}, {"part", "10.2.3.0/24", "10.1.0.0/16"},
		{"six", "fd02::/64", "fd01::/64"},
	} {
		addChild(t, conn, c.name, c.local, c.remote, "aes256gcm16")
	}
	sa := newSA(ike.Birth{}, pathOf("198.51.100.2:500", "192.0.2.1:500"))
	sa.conn = conn
	for _, c := range []struct{ tsr, tsi, want string }{
		{"10.2.0.0/16", "10.1.0.0/16", "lan"},
		{"10.2.3.0/24", "10.1.0.0/16", "part"},
		{"10.2.3.0/24", "10.1.7.0/24", "all"}, // holds all of it, and stands first
		{"10.9.0.0/16", "10.9.1.0/24", "all"},
		{"10.2.3.4/32 10.2.0.0/16", "10.1.9.9/32 10.1.0.0/16", "lan"},
		{"10.9.3.4/32 10.2.0.0/16", "10.1.9.9/32 10.1.0.0/16", "all"}, // the packet's own come first
		{"0.0.0.0/0", "0.0.0.0/0", "all"},
		{"fd02::/64", "fd01::/64", "six"},
		{"::/0", "::/0", "six"},
		{"192.168.0.0/16", "10.1.0.0/16", ""},
		{"10.2.0.0/16", "fd01::/64", ""},
	} {
		o := childOffer{}
		for _, s := range strings.Fields(c.tsr) {
			o.local = append(o.local, wireSelector(s))
		}
		for _, s := range strings.Fields(c.tsi) {
			o.remote = append(o.remote, wireSelector(s))
		}
		got := ""
		if fits := sa.bySelectors(o); len(fits) > 0 {
			got = fits[0].conf.Name
		}
		if got != c.want {
			t.Errorf("%s === %s: %q, want %q", c.tsr, c.tsi, got, c.want)
		}
	}
}
