//go:build linux

package kernel

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// libreswan is the connection "site" at B.
type libreswan struct{ *lab.Libreswan }

func (l libreswan) Up(string) error { return l.Libreswan.Up("site") }
func (l libreswan) Down() error     { return l.Libreswan.Down("site") }
func (l libreswan) Log() string     { return l.Output() }

// pluto writes proposals its own way.
var plutoProposals = map[string]string{
	gcm: "aes_gcm256", "aes256-sha256": "aes256-sha2_256", "aes128-sha256": "aes128-sha2_256", "chacha20poly1305": "chacha20_poly1305",
	"aes256gcm16-esn": "aes_gcm256",
}

// pluto is the end as libreswan writes it, with the first child alone.
func (e end) pluto() (conf, secrets string) {
	remote, c := e.remote.String(), e.children[0]
	if e.waits() {
		remote = "%any"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "conn site\n\tikev2=insist\n\tauthby=secret\n\tauto=add\n\tleftupdown=%%disabled\n\tpfs=no\n")
	fmt.Fprintf(&s, "\tleft=%s\n\tleftid=@%s\n\tright=%s\n\trightid=@%s\n", e.local, e.localID, remote, e.peer)
	fmt.Fprintf(&s, "\tike=aes_gcm128-sha2_256;dh31\n\tesp=%s\n\ttype=%s\n\tesn=%s\n", plutoProposals[c.esp], c.mode, yes(strings.HasSuffix(c.esp, "-esn")))
	s.WriteString(e.plutoLines)
	if local, remote := e.nets(c); local != "" {
		fmt.Fprintf(&s, "\tleftsubnet=%s\n\trightsubnet=%s\n", local, remote)
	}
	return s.String(), fmt.Sprintf("@%s @%s : PSK %q\n", e.localID, e.peer, psk)
}

var libreswanCases = []tunnelCase{
	{name: "AES-GCM", link: newLink(gcm)},
	{name: "AES-CBC with SHA-256", link: newLink("aes256-sha256")},
	{name: "ChaCha20 with ESN off, IPv6 in IPv4", link: single(child{esp: "chacha20poly1305", left: nets6A, right: nets6B}), paths: []func(*world) path{hosts6}},
	{name: "ESN", link: newLink("aes256gcm16-esn"), wants: map[string]string{"flags": "af-unspec esn"}},
	{name: "transport", link: single(child{mode: "transport", esp: gcm}), paths: []func(*world) path{outer4}},
	{name: "goiked behind a NAT", link: newLink(gcm).with(func(k *link) { k.nat = true }), udp: true},
}

// TestLibreswan is TestTunnel with libreswan at B.
func TestLibreswan(t *testing.T) {
	w := newWorld(t)
	for _, c := range libreswanCases {
		t.Run(c.name, func(t *testing.T) {
			defer func(begun time.Time) { t.Log(timed("all", begun)) }(time.Now())
			_, b := w.ends(c.link)
			conf, secrets := b.pluto()
			l, err := lab.StartLibreswan(b.at, conf, secrets)
			if l != nil && l.Process != nil {
				defer l.Stop()
			}
			if err != nil {
				t.Fatal(err)
			}
			w.withPeer(t, c, libreswan{l})
			if traffic, err := l.Traffic(); err != nil || strings.Contains(traffic, "inBytes") {
				t.Errorf("libreswan still has SAs: %s %v", traffic, err)
			}
		})
	}
}

// withPeer runs a case with a peer at B that is not strongSwan.
func (w *world) withPeer(t *testing.T, c tunnelCase, p peer) {
	t.Helper()
	t.Cleanup(func() { w.checkWire(t, c) })
	rules := w.Open
	if c.link.nat {
		rules = w.NAT
	}
	if err := rules(); err != nil {
		t.Fatal(err)
	}
	a, _ := w.ends(c.link)
	before := owned(t, a.at)
	g := w.startA(t, a)
	initiators := []peer{g, p}
	if c.link.nat {
		initiators = []peer{g}
	}
	for _, who := range initiators {
		if err := who.Up("lan"); err != nil {
			t.Fatal(err, "\n", last(p.Log(), 20), "\n", last(g.Log(), 20))
		}
		w.use(t, c)
		c.check(t, a, g)
		if err := who.Down(); err != nil { // libreswan would set up again what another takes down
			t.Error(err)
		}
		gone(t, g)
	}
	if code := g.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	unchanged(t, a.at, before)
}

// checkWire judges what a case has sent over the outer link.
func (w *world) checkWire(t *testing.T, c tunnelCase) {
	t.Helper()
	if err := w.clean(); err != nil {
		t.Error(err)
	}
	if s := w.wire.Seen(); !t.Failed() && !w.ah && ((s.UDPESP > 0) != c.udp || (s.ESP > 0) == c.udp) {
		t.Errorf("seen on the wire: %s", s)
	}
	if t.Failed() {
		_ = w.wire.Write(filepath.Join(w.Lab.Dir, strings.ReplaceAll(t.Name(), "/", "_")+".pcap"))
	}
	w.wire.Reset()
}
