//go:build linux

package interop

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// wait is how long something may take that should happen at once.
const wait = 10 * time.Second

// ike is nil when n IKE messages have been seen on the wire.
func (w *world) ike(n int) error {
	if s := w.wire.Seen(); s.IKE < n {
		return fmt.Errorf("only %d of %d IKE messages seen", s.IKE, n)
	}
	return nil
}

// provocation makes one end use something that an ordinary tunnel does not need.
type provocation struct {
	name     string
	a, b     func(*link)
	goike    func(k *link, atA bool) // only where one end is goiked, for both
	settings string                  // of charon
	halfOpen int                     // IKE SAs that others have left half-open at B, when it is strongSwan
	flood    int                     // the same when it is goiked
	logs     []string
}

// longIDs make IKE_AUTH longer than the 400 octets from which on strongSwan is
// told to fragment, in both directions.
func longIDs(k *link) {
	k.idA, k.idB = "@#"+strings.Repeat("0a", 250), "@#"+strings.Repeat("0b", 250)
}

// manyNetworks make it longer than 1280 octets, where goiked begins: 16 for each
// network, in the request and in the answer. They are on goiked's side, as
// strongSwan wants a route of its own for each.
func manyNetworks(k *link, goikeAtA bool) {
	side, nets := 2, make([]string, 100)
	if goikeAtA {
		side = 1
	}
	for i := range nets {
		nets[i] = fmt.Sprintf("10.%d.%d.0/24", side, i)
	}
	if c := &k.children[0]; goikeAtA {
		c.left, c.right = strings.Join(nets, ","), "10.2.0.0/16"
	} else {
		c.left, c.right = "10.1.0.0/16", strings.Join(nets, ",")
	}
}

var provocations = []provocation{
	{
		name: "INVALID_KE_PAYLOAD",
		a:    func(k *link) { k.ike = "aes256gcm16-prfsha256-modp2048-curve25519" },
		logs: []string{"N(INVAL_KE)"},
	},
	{
		name:     "COOKIE",
		b:        func(k *link) { k.nat = true }, // whoever asks
		settings: "cookie_threshold = 1",
		halfOpen: 1, flood: 1000,
		logs: []string{"N(COOKIE)"},
	},
	{
		name: "fragments", a: longIDs, b: longIDs, goike: manyNetworks,
		settings: "fragment_size = 400",
		logs:     []string{"received fragment #1 of", "splitting IKE message"},
	},
}

func TestProvoked(t *testing.T) {
	for _, p := range provocations {
		t.Run(p.name, func(t *testing.T) { roles(t, p.test) })
	}
}

// test sets the tunnel up. The roles without goiked show that the provocation is
// one: strongSwan says in its log that it has met it.
func (p provocation) test(t *testing.T, r role) {
	w := newWorld(t)
	ka, kb := newLink(), newLink()
	ka.encap, kb.encap = !r.goikeA, r.goikeA
	if p.a != nil {
		p.a(&ka)
	}
	if p.b != nil {
		p.b(&kb)
	}
	if p.goike != nil && (r.goikeA || r.goikeB) {
		p.goike(&ka, r.goikeA)
		p.goike(&kb, r.goikeA)
	}
	a, _ := w.ends(ka)
	_, b := w.ends(kb)
	var atA, log peer
	n := p.halfOpen
	if r.goikeB {
		b.start(t)
		n = p.flood
	} else {
		log = b.startSwan(t, p.settings)
	}
	w.halfOpen(t, b.local, n)
	if r.goikeA {
		atA = a.start(t)
	} else {
		atA = a.startSwan(t, p.settings)
		log = atA
	}
	if err := atA.Up("lan"); err != nil {
		t.Fatal(err)
	}
	for _, line := range p.logs {
		logged(t, log, line)
	}
	if err := w.HostA.Ping(lab.HostA4, lab.HostB4, wait); err != nil {
		t.Error(err)
	}
	if err := atA.Down(); err != nil {
		t.Error(err)
	}
}

// The first messages pass, IKE_AUTH on port 4500 is lost; then the way is free
// again, and a retransmission brings the tunnel up.
func TestRetransmissionRecovers(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.encap = true
	a, b := w.ends(k)
	s, g := b.startSwan(t, ""), a.start(t)
	if err := w.Drop("udp dport 4500"); err != nil {
		t.Fatal(err)
	}
	near, err := w.Internet.Capture("toA")
	if err != nil {
		t.Fatal(err)
	}
	defer near.Stop()
	up := make(chan error, 1)
	go func() { up <- g.Up("lan") }()
	if err := lab.Eventually(wait, func() error {
		if near.Seen().IKE < 3 {
			return fmt.Errorf("no IKE_AUTH request: %s", near.Seen())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	if err := <-up; err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	agree(t, g, s, 1)
}

// The peer is gone in the middle of the handshake: the command ends with the
// reason in time, and the next attempt works.
func TestPeerVanishes(t *testing.T) {
	t.Run("goiked initiates", func(t *testing.T) {
		w := newWorld(t)
		k := newLink()
		k.encap = true
		a, b := w.ends(k)
		s, g := b.startSwan(t, ""), a.start(t)
		if err := w.Drop("udp dport 4500"); err != nil {
			t.Fatal(err)
		}
		_, code, err := g.Ctl("--timeout", "1s", "up", "site/lan")
		if code != 1 {
			t.Fatalf("exit code %d: %v", code, err)
		}
		if err := w.Open(); err != nil {
			t.Fatal(err)
		}
		if err := g.Up("lan"); err != nil {
			t.Fatal(err)
		}
		agree(t, g, s, 1)
	})
	t.Run("goiked responds", func(t *testing.T) {
		w := newWorld(t)
		k := newLink()
		k.encap = true
		a, b := w.ends(k)
		g, s := b.start(t), a.startSwan(t, "")
		if err := w.Drop("udp dport 4500"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Swanctl("--initiate", "--child", "lan", "--timeout", "1"); err == nil {
			t.Fatal("up without IKE_AUTH")
		}
		s.Kill()
		if err := w.Open(); err != nil {
			t.Fatal(err)
		}
		s = a.startSwan(t, "")
		if err := s.Up("lan"); err != nil {
			t.Fatal(err)
		}
		w.carries(t)
		x := oneUp(t, g)
		if y := oneSA(t, s, 1); x.Values["initiator-spi"] != y.Values["initiator-spi"] {
			t.Errorf("different IKE SAs: %v and %v", x, y)
		}
	})
}

// oneUp returns the only established IKE SA, whatever is half-open besides.
func oneUp(t *testing.T, p peer) lab.SA {
	t.Helper()
	sas, err := p.SAs()
	if err != nil {
		t.Fatal(err)
	}
	var up []lab.SA
	for _, sa := range sas {
		if sa.Values["state"] == "ESTABLISHED" {
			up = append(up, sa)
		}
	}
	if len(up) != 1 {
		t.Fatal(errors.New("want one established IKE SA"), sas)
	}
	return up[0]
}
