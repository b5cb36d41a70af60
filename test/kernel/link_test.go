//go:build linux

package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/goike/goike/test/lab"
)

// child is a child of the connection, in neutral words.
type child struct {
	name        string
	esp, ah     string // proposals as strongSwan writes them; one of them
	mode        string // tunnel, transport, beet, pass, drop
	left, right string // networks at A and at B, comma separated; empty in transport mode
	ipcomp      bool
	toml, swan  string // lines added to the child of either format
}

// link is the connection "site" between the two gateways. Both ends are
// configured from it.
type link struct {
	v6       bool // outer addresses
	nat      bool // A is behind a NAT: B does not know where it comes from
	roams    bool // nor which address of its own A has
	encap    bool // this end forces UDP encapsulation
	behavior string
	children []child
	global   string // lines before the connection, of goike
	toml     string // lines of the connection, of goike
	swan     string // and of strongSwan
	// plutoLines are those of libreswan.
	plutoLines string
}

const (
	idA  = "a.example.org"
	idB  = "b.example.org"
	psk  = "a secret of the laboratory, long enough"
	ike  = "aes128gcm16-prfsha256-curve25519"
	gcm  = "aes256gcm16"
	netA = "10.1.0.0/16"
	netB = "10.2.0.0/16"
)

// newLink is an ordinary connection with one child, "lan", over IPv4.
func newLink(esp string) link {
	return link{behavior: "responder-only", children: []child{{name: "lan", esp: esp, mode: "tunnel", left: netA, right: netB}}}
}

// wide gives the child replay windows that hold whatever comes late: a CPU of a virtual
// machine may stand still for so long that a hundred packets overtake those in its queue.
func (k link) wide() link {
	k.children = slices.Clone(k.children)
	k.children[0].toml += "  replay_window = 1024\n"
	k.children[0].swan += "\t\t\t\treplay_window = 1024\n"
	k.plutoLines += "\treplay-window=1024\n"
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
	a = end{link: k, at: w.A, local: lab.OuterA4, remote: lab.OuterB4, localID: idA, peer: idB, left: true}
	b = end{link: k, at: w.B, local: lab.OuterB4, remote: lab.OuterA4, localID: idB, peer: idA}
	if k.v6 {
		a.local, a.remote, b.local, b.remote = lab.OuterA6, lab.OuterB6, lab.OuterB6, lab.OuterA6
	}
	return a, b
}

func (e end) nets(c child) (local, remote string) {
	if e.left {
		return c.left, c.right
	}
	return c.right, c.left
}

// waits tells whether this end cannot call the other one.
func (e end) waits() bool { return (e.nat || e.roams) && !e.left }

// config is the end as goike writes it.
func (e end) config(backend string) string {
	remote, behavior := e.remote.String(), e.behavior
	if e.waits() {
		remote, behavior = "any", "responder-only"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n[dataplane]\nbackend = %q\n\n[[phase1]]\nname = \"site\"\nkey_exchange = \"ikev2\"\n", e.global, backend)
	if !e.roams {
		fmt.Fprintf(&s, "local_address = %q\n", e.local)
	}
	fmt.Fprintf(&s, "remote_gateway = %q\nproposals = [%q]\n", remote, ike)
	fmt.Fprintf(&s, "identifier = %q\npeer_identifier = %q\npre_shared_key = %q\n", e.localID, e.peer, psk)
	fmt.Fprintf(&s, "connection_behavior = %q\nforce_udp_encapsulation = %v\n%s\n", behavior, e.encap, e.toml)
	for _, c := range e.children {
		s.WriteString(e.phase2(c))
	}
	return s.String()
}

func (e end) phase2(c child) string {
	var s strings.Builder
	fmt.Fprintf(&s, "\n  [[phase1.phase2]]\n  name = %q\n  mode = %q\n%s\n", c.name, c.mode, c.toml)
	if local, remote := e.nets(c); local != "" {
		fmt.Fprintf(&s, "  local_network = %s\n  remote_network = %s\n", quote(local), quote(remote))
	}
	switch {
	case c.ah != "":
		fmt.Fprintf(&s, "  protocol = \"ah\"\n  proposals = %s\n", quote(c.ah))
	case c.esp != "":
		fmt.Fprintf(&s, "  proposals = %s\n", quote(c.esp))
	}
	if c.ipcomp {
		s.WriteString("  ipcomp = true\n")
	}
	return s.String()
}

func quote(list string) string {
	return `["` + strings.Join(strings.Split(list, ","), `", "`) + `"]`
}

// swanctl is the end as strongSwan writes it.
func (e end) swanctl() string {
	remote := e.remote.String()
	if e.waits() {
		remote = "%any"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "connections {\n\tsite {\n\t\tversion = 2\n\t\tlocal_addrs = %s\n\t\tremote_addrs = %s\n", e.local, remote)
	fmt.Fprintf(&s, "\t\tproposals = %s\n\t\tencap = %s\n\t\t%s\n", ike, yes(e.encap), e.swan)
	fmt.Fprintf(&s, "\t\tlocal { auth = psk\n\t\t\tid = \"%s\" }\n\t\tremote { auth = psk\n\t\t\tid = \"%s\" }\n\t\tchildren {\n", e.localID, e.peer)
	for _, c := range e.children {
		s.WriteString(e.swanChild(c))
	}
	fmt.Fprintf(&s, "\t\t}\n\t}\n}\nsecrets { ike { secret = %q } }\n", psk)
	return s.String()
}

func (e end) swanChild(c child) string {
	var s strings.Builder
	fmt.Fprintf(&s, "\t\t\t%s {\n\t\t\t\tmode = %s\n\t\t\t\tipcomp = %s\n", c.name, c.mode, yes(c.ipcomp))
	if local, remote := e.nets(c); local != "" {
		fmt.Fprintf(&s, "\t\t\t\tlocal_ts = %s\n\t\t\t\tremote_ts = %s\n", local, remote)
	}
	if c.esp != "" {
		fmt.Fprintf(&s, "\t\t\t\tesp_proposals = %s\n", c.esp)
	}
	if c.ah != "" {
		fmt.Fprintf(&s, "\t\t\t\tah_proposals = %s\n", c.ah)
	}
	fmt.Fprintf(&s, "\t\t\t\t%s\n\t\t\t}\n", c.swan)
	return s.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
