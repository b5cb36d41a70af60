//go:build linux

package interop

import (
	"fmt"
	"testing"

	"github.com/goike/goike/test/lab"
)

// explained is something that keeps a tunnel from coming up, and what `goikectl explain`
// has to say about it, whichever end goiked is.
type explained struct {
	name     string
	b        func(*link) // what is otherwise at B
	initiate []string
	respond  []string
	strange  bool // goiked knows no connection for the peer: only --refused tells
}

var explanations = []explained{
	{
		name:     "wrong PSK",
		b:        func(k *link) { k.psk = "another secret of the laboratory" },
		initiate: []string{`site is not up: the peer does not accept the authentication`, `this host has called itself a\.example\.org`, `here: +check pre_shared_key`},
		respond:  []string{`site is not up: the pre-shared keys differ`, `this host is b\.example\.org, the peer a\.example\.org`},
	},
	{
		name:     "identity of the initiator",
		b:        func(k *link) { k.idA = "another.example.org" },
		initiate: []string{`the peer does not accept the authentication`, `identifier is what the peer expects`},
		respond: []string{
			`192\.0\.2\.2\[4500\].* was refused: the peer is not who it is to be`, `the peer calls itself a\.example\.org; expected is another\.example\.org`, `peer_identifier = "a\.example\.org"`,
		},
		strange: true,
	},
	{
		name:     "no IKE proposal",
		b:        func(k *link) { k.ike = "aes256gcm16-prfsha256-ecp256" },
		initiate: []string{`site is not up: the peer does not accept the proposals of phase 1`, `offered: aes256gcm16-prfsha256-`, `there: +add aes256gcm16-prfsha256-curve25519`},
		respond: []string{
			`the two sides have no proposal of phase 1 in common`, `what differs: .*ecp256`, `here: +add to the proposals of phase 1: proposals = \["aes256gcm16-prfsha256-curve25519"\]`,
			`swanctl\.conf: proposals = aes256gcm16-prfsha256-ecp256`,
		},
		strange: true,
	},
	{
		name:     "no ESP proposal",
		b:        func(k *link) { k.children = []tunnel{{"lan", "aes256-sha256", netsA, netsB}} },
		initiate: []string{`site/lan is not up: the peer does not accept the proposals of phase 2`, `there: +add aes256gcm16 to its proposals of phase 2`},
		respond:  []string{`site/lan is not up: the two sides have no proposal of phase 2 in common`, `proposals of phase 2: proposals = \["aes256gcm16"\]`, `esp_proposals = aes256-sha256`},
	},
	{
		name:     "no selectors",
		b:        func(k *link) { k.children = []tunnel{{"lan", "aes256gcm16", "10.7.0.0/16", "10.8.0.0/16"}} },
		initiate: []string{`site/lan is not up: the peer does not accept the networks`, `have to mirror the peer's`},
		respond:  []string{`site/lan is not up: the networks of the two sides do not fit`, `offered: .*10\.1\.0\.0/16`, `configured: .*10\.8\.0\.0/16`},
	},
}

// explains waits until goikectl explain says all of the patterns.
func explains(t *testing.T, g goike, patterns []string, args ...string) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		out, _, err := g.Ctl(append([]string{"explain"}, args...)...)
		for _, p := range patterns {
			if err == nil && !matches(p, out) {
				err = fmt.Errorf("explain %v does not say %q: %s", args, p, out)
			}
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestExplain brings about each cause with strongSwan at the other end.
func TestExplain(t *testing.T) {
	for _, c := range explanations {
		r := refusal{b: c.b}
		t.Run(c.name+"/goiked initiates", func(t *testing.T) {
			w := newWorld(t)
			a, b := r.ends(w, true)
			b.startSwan(t, "")
			g := a.start(t)
			if err := g.Up("lan"); err == nil {
				t.Fatal("there is a tunnel")
			}
			explains(t, g, c.initiate, "site")
		})
		t.Run(c.name+"/goiked responds", func(t *testing.T) {
			w := newWorld(t)
			a, b := r.ends(w, false)
			g := b.start(t)
			if err := a.startSwan(t, "").Up("lan"); err == nil {
				t.Fatal("strongSwan has a tunnel")
			}
			if c.strange {
				explains(t, g, c.respond, "--refused")
			} else {
				explains(t, g, c.respond, "site")
			}
		})
	}
}

// A peer that is silent: explain tells which port answers, and which does not.
func TestExplainSilence(t *testing.T) {
	for _, c := range []struct {
		name, drop string
		want       []string
	}{
		{"all", "", []string{`site is not up: the peer does not answer`, `port 500: \d messages sent to 198\.51\.100\.2, 0 received`, `there: +check that its IKE daemon runs`}},
		{"port 4500", "udp dport 4500", []string{`site is not up: the peer does not answer`, `port 500: 1 message sent to 198\.51\.100\.2, 1 received`, `port 4500: \d messages sent .*, 0 received`, `let UDP port 4500 pass`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := w.ends(newLink())
			b.encap = true
			b.startSwan(t, "")
			g := a.startLasting(t, "", hasty)
			if err := w.Drop(c.drop); err != nil {
				t.Fatal(err)
			}
			if err := g.Up("lan"); err == nil {
				t.Fatal("there is a tunnel")
			}
			explains(t, g, c.want, "site")
		})
	}
}

// What others say about messages that do not arrive: the peer's host, a router, a firewall.
func TestExplainUnreachable(t *testing.T) {
	for _, c := range []struct {
		name, reject string
		want         []string
	}{
		{"nothing listens", "-", []string{
			`198\.51\.100\.2 says of messages to UDP port 500 of 198\.51\.100\.2 that nothing listens there \(ICMP`, `there: +start the IKE daemon of 198\.51\.100\.2`}},
		{"firewall", "reject with icmp type admin-prohibited", []string{
			`192\.0\.2\.1 says of messages .* that a firewall forbids it`, `there: +let UDP ports 500 and 4500 pass the firewall at 192\.0\.2\.1`}},
		{"no host", "reject with icmp type host-unreachable", []string{`192\.0\.2\.1 says of messages .* that this host is not there`, `here: +check that 198\.51\.100\.2 is the address of the peer`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			a, _ := w.ends(newLink())
			g := a.startLasting(t, "", hasty)
			if c.reject != "-" {
				if err := w.Rules("table inet lose { chain forward { type filter hook forward priority 0; udp dport { 500, 4500 } " + c.reject + "; }; }"); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.Up("lan"); err == nil {
				t.Fatal("there is a tunnel")
			}
			explains(t, g, append(c.want, `site is not up: the peer does not answer`), "site")
		})
	}
}

// What is up is explained, too. strongSwan with its own ESP says that it is behind a NAT.
func TestExplainUp(t *testing.T) {
	w := newWorld(t)
	if err := w.NAT(); err != nil {
		t.Fatal(err)
	}
	k := newLink()
	k.nat = true
	a, b := w.ends(k)
	b.startSwan(t, "")
	g := a.start(t)
	explains(t, g, []string{`site is down, and no traffic has asked for it`, `goikectl up site`}, "site")
	if err := g.Up("lan"); err != nil {
		t.Fatal(err)
	}
	explains(t, g, []string{`site is up`, `both sides are behind a NAT: ESP goes in UDP, port 4500`}, "site")
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Error(err)
	}
	explains(t, g, []string{`no peer has begun anything here in vain`}, "--refused")
}
