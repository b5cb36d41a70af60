//go:build linux

package interop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// tunnel is a child of the connection.
type tunnel struct {
	name, esp   string
	left, right string // networks at A and at B, comma separated
}

// link is the connection "site" between the two gateways, in neutral words. Both
// ends are configured from it.
type link struct {
	ike      string // proposals, comma separated, as strongSwan writes them
	psk      string
	idA, idB string // identities, as both write them
	v6       bool   // outer addresses
	nat      bool   // B does not know where A comes from
	roams    bool   // and A may have any address
	encap    bool   // this end forces UDP encapsulation
	behavior string
	children []tunnel
	// Lines added to the connection of either format.
	toml, swan string
	// Sections of goiked's configuration.
	daemon string
}

const (
	netsA = "10.1.0.0/16,fd01:0:0:1::/64"
	netsB = "10.2.0.0/16,fd02:0:0:1::/64"
)

// newLink is an ordinary connection with one child, "lan".
func newLink() link {
	return link{
		idA: "a.example.org", idB: "b.example.org",
		ike: "aes256gcm16-prfsha256-curve25519", psk: "a secret of the laboratory, long enough", behavior: "on-demand",
		children: []tunnel{{"lan", "aes256gcm16", netsA, netsB}},
	}
}

// two adds the child "lan2".
func (k link) two(esp string) link {
	k.children = []tunnel{{"lan", "aes256gcm16", "10.1.0.0/24", "10.2.0.0/24"}, {"lan2", esp, "10.1.1.0/24", "10.2.1.0/24"}}
	return k
}

// end is one side of a link.
type end struct {
	link
	at            *lab.Namespace
	local, remote netip.Addr
	localID, peer string
	left          bool // A
}

func (w *world) ends(k link) (a, b end) {
	a = end{link: k, at: w.A, local: lab.OuterA4, remote: lab.OuterB4, localID: k.idA, peer: k.idB, left: true}
	b = end{link: k, at: w.B, local: lab.OuterB4, remote: lab.OuterA4, localID: k.idB, peer: k.idA}
	if k.v6 {
		a.local, a.remote, b.local, b.remote = lab.OuterA6, lab.OuterB6, lab.OuterB6, lab.OuterA6
	}
	return a, b
}

func (e end) nets(c tunnel) (local, remote string) {
	if e.left {
		return c.left, c.right
	}
	return c.right, c.left
}

// config is the end as goike writes it.
func (e end) config() string {
	remote, behavior := e.remote.String(), e.behavior
	if e.nat && !e.left {
		remote, behavior = "any", "responder-only"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n[dataplane]\nbackend = \"userspace\"\n\n[[phase1]]\nname = \"site\"\nkey_exchange = \"ikev2\"\n", e.daemon)
	if !e.roams {
		fmt.Fprintf(&s, "local_address = %q\n", e.local)
	}
	fmt.Fprintf(&s, "remote_gateway = %q\nproposals = %s\n", remote, quote(e.ike))
	fmt.Fprintf(&s, "identifier = %q\npeer_identifier = %q\npre_shared_key = %q\n", e.localID, e.peer, e.psk)
	fmt.Fprintf(&s, "connection_behavior = %q\nforce_udp_encapsulation = %v\n%s\n", behavior, e.encap, e.toml)
	for _, c := range e.children {
		local, remote := e.nets(c)
		fmt.Fprintf(&s, "\n  [[phase1.phase2]]\n  name = %q\n  proposals = %s\n  local_network = %s\n  remote_network = %s\n",
			c.name, quote(c.esp), quote(local), quote(remote))
	}
	return s.String()
}

func quote(list string) string {
	return `["` + strings.Join(strings.Split(list, ","), `", "`) + `"]`
}

// swanctl is the end as strongSwan writes it.
func (e end) swanctl() string {
	local, remote := e.local.String(), e.remote.String()
	if e.nat && !e.left {
		remote = "%any"
	}
	if e.roams {
		local = "%any"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "connections {\n\tsite {\n\t\tversion = 2\n\t\tlocal_addrs = %s\n\t\tremote_addrs = %s\n", local, remote)
	fmt.Fprintf(&s, "\t\tproposals = %s\n\t\tencap = %s\n\t\t%s\n", e.ike, yes(e.encap), e.swan)
	fmt.Fprintf(&s, "\t\tlocal { auth = psk\n\t\t\tid = \"%s\" }\n\t\tremote { auth = psk\n\t\t\tid = \"%s\" }\n\t\tchildren {\n", e.localID, e.peer)
	for _, c := range e.children {
		local, remote := e.nets(c)
		fmt.Fprintf(&s, "\t\t\t%s { local_ts = %s\n\t\t\t\tremote_ts = %s\n\t\t\t\tesp_proposals = %s }\n", c.name, local, remote, c.esp)
	}
	fmt.Fprintf(&s, "\t\t}\n\t}\n}\nsecrets { ike { secret = %q } }\n", e.psk)
	return s.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// peer is a running daemon of either make.
type peer interface {
	Up(child string) error // of the connection "site"
	Down() error           // the whole connection
	DownChild(child string) error
	SAs() ([]lab.SA, error)
	Log() string
}

type goike struct{ *lab.Goiked }

func (g goike) Up(child string) error        { return g.Goiked.Up("site/" + child) }
func (g goike) Down() error                  { return g.Goiked.Down("site") }
func (g goike) DownChild(child string) error { return g.Goiked.Down("site/" + child) }
func (g goike) Log() string                  { return g.Output() }

// start starts goiked on the end.
func (e end) start(t *testing.T) goike {
	t.Helper()
	return e.startWith(t, e.config(), lab.GoikedOptions{})
}

// startWith starts it with another configuration.
func (e end) startWith(t *testing.T, config string, o lab.GoikedOptions) goike {
	t.Helper()
	g, err := lab.StartGoiked(e.at, binaries(t), config, o)
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

type swan struct{ *lab.StrongSwan }

func (s swan) Up(child string) error { return s.Initiate(child) }

func (s swan) Down() error {
	_, err := s.Swanctl("--terminate", "--ike", "site", "--timeout", "20")
	return err
}

func (s swan) DownChild(child string) error {
	_, err := s.Swanctl("--terminate", "--child", child, "--timeout", "20")
	return err
}

func (s swan) Log() string {
	b, err := os.ReadFile(s.StrongSwan.Log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// startSwan starts strongSwan on the end. settings are lines of its charon
// section.
func (e end) startSwan(t *testing.T, settings string) swan {
	t.Helper()
	e.shut(t)
	s, err := lab.StartStrongSwan(e.at, settings)
	if s != nil && s.Process != nil {
		t.Cleanup(func() { s.Stop() })
	}
	if err == nil {
		err = s.Load(e.swanctl())
	}
	if err != nil {
		t.Fatal(err)
	}
	return swan{s}
}

// shut keeps the end's site from sending in the clear while strongSwan has no SA: its
// user space data plane knows no traps, and only what goiked lets out is to be seen on
// the outer link. The routes of SAs come before this one.
func (e end) shut(t *testing.T) {
	t.Helper()
	ip := func(args ...string) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if out, err := e.at.Run(ctx, append([]string{"ip"}, args...)...); err != nil {
			t.Fatal(err, out)
		}
	}
	net4, net6 := lab.NetA4, lab.NetA6
	if e.left {
		net4, net6 = lab.NetB4, lab.NetB6
	}
	for family, net := range map[string]netip.Prefix{"-4": net4, "-6": net6} {
		ip(family, "route", "replace", "blackhole", net.String())
		t.Cleanup(func() { ip(family, "route", "flush", "type", "blackhole") })
	}
}

// carries checks that traffic of all kinds passes between the hosts.
func (w *world) carries(t *testing.T) {
	t.Helper()
	if err := errors.Join(
		w.HostA.Ping(lab.HostA4, lab.HostB4, 5*time.Second), w.HostB.Ping(lab.HostB4, lab.HostA4, 5*time.Second),
		w.HostA.Ping(lab.HostA6, lab.HostB6, 5*time.Second), w.HostB.Ping(lab.HostB6, lab.HostA6, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// oneSA returns the only IKE SA of a peer, with as many children as said.
func oneSA(t *testing.T, p peer, children int) lab.SA {
	t.Helper()
	var sa lab.SA
	if err := lab.Eventually(5*time.Second, func() error {
		sas, err := p.SAs()
		if err != nil {
			return err
		}
		if len(sas) != 1 || len(sas[0].Children) != children || sas[0].Values["state"] != "ESTABLISHED" {
			return fmt.Errorf("%T: want one IKE SA with %d children, have %v", p, children, sas)
		}
		sa = sas[0]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sa
}

// agree checks that both ends have the same SAs, and returns what A has.
func agree(t *testing.T, a, b peer, children int) lab.SA {
	t.Helper()
	x, y := oneSA(t, a, children), oneSA(t, b, children)
	for _, key := range []string{"initiator-spi", "responder-spi", "version"} {
		if x.Values[key] != y.Values[key] || x.Values[key] == "" {
			t.Errorf("%s: %q at A, %q at B", key, x.Values[key], y.Values[key])
		}
	}
	if x.Suite() != y.Suite() || x.Suite() == "" {
		t.Errorf("suite: %q at A, %q at B", x.Suite(), y.Suite())
	}
	if x.Values["local-id"] != y.Values["remote-id"] || x.Values["remote-id"] != y.Values["local-id"] {
		t.Errorf("identities: %v at A, %v at B", x.Values, y.Values)
	}
	for _, c := range x.Children {
		d := twin(y, c)
		if d == nil {
			t.Fatalf("B has no child with the SPIs of %v: %v", c.Values, y.Children)
		}
		if c.Suite() != d.Suite() || c.Suite() == "" {
			t.Errorf("ESP suite: %q at A, %q at B", c.Suite(), d.Suite())
		}
		if fmt.Sprint(c.Lists["local-ts"], c.Lists["remote-ts"]) != fmt.Sprint(d.Lists["remote-ts"], d.Lists["local-ts"]) {
			t.Errorf("selectors: %v at A, %v at B", c.Lists, d.Lists)
		}
	}
	return x
}

// twin finds the child whose SPIs are those of c, the other way round.
func twin(sa lab.SA, c lab.Child) *lab.Child {
	for i, d := range sa.Children {
		if d.Values["spi-in"] == c.Values["spi-out"] && d.Values["spi-out"] == c.Values["spi-in"] {
			return &sa.Children[i]
		}
	}
	return nil
}

// gone waits until a peer has no IKE SA left.
func gone(t *testing.T, peers ...peer) {
	t.Helper()
	for _, p := range peers {
		if err := lab.Eventually(5*time.Second, func() error {
			sas, err := p.SAs()
			if err == nil && len(sas) > 0 {
				err = fmt.Errorf("%T still has %v", p, sas)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}

// logged waits until a peer has logged something.
func logged(t *testing.T, p peer, what string) {
	t.Helper()
	if err := lab.Eventually(5*time.Second, func() error {
		if !strings.Contains(p.Log(), what) {
			return fmt.Errorf("%T has not logged %q: %s", p, what, last(p.Log(), 15))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func last(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
