//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// The ways through the internet.
const (
	direct = iota // no NAT; strongSwan forces UDP encapsulation
	forced        // no NAT; goiked forces it
	nat           // a NAT in the middle
)

// tunnelCase is one tunnel between goiked and strongSwan.
type tunnelCase struct {
	ke, ike, esp string
	v6           bool
	way          int
	shows        string // key exchange as strongSwan lists it
}

func (c tunnelCase) name() string {
	return strings.Join([]string{c.ke, c.esp, map[bool]string{false: "v4", true: "v6"}[c.v6], [...]string{"direct", "forced", "nat"}[c.way]}, "/")
}

// tunnelCases cover every pair of key exchange, cipher, outer family and way.
var tunnelCases = []tunnelCase{
	{"curve25519", "aes256gcm16-prfsha384", "aes256gcm16", false, direct, "CURVE_25519"},
	{"curve25519", "aes256-sha256", "aes256-sha256", true, nat, "CURVE_25519"},
	{"curve25519", "chacha20poly1305-prfsha256", "chacha20poly1305", true, forced, "CURVE_25519"},
	{"ecp256", "aes128gcm16-prfsha256", "aes128gcm16", true, forced, "ECP_256"},
	{"ecp256", "aes128-sha256", "aes128-sha256", false, direct, "ECP_256"},
	{"ecp256", "chacha20poly1305-prfsha512", "chacha20poly1305", false, nat, "ECP_256"},
	{"modp2048", "aes256gcm16-prfsha256", "aes256gcm16", false, nat, "MODP_2048"},
	{"modp2048", "aes256-sha256", "aes256-sha256", false, forced, "MODP_2048"},
	{"modp2048", "chacha20poly1305-prfsha256", "chacha20poly1305", true, direct, "MODP_2048"},
}

// TestCoverage asserts what the comment of tunnelCases says.
func TestCoverage(t *testing.T) {
	cipher := func(c tunnelCase) string {
		switch {
		case strings.Contains(c.esp, "gcm"):
			return "gcm"
		case strings.Contains(c.esp, "chacha"):
			return "chacha"
		}
		return "cbc"
	}
	pairs := map[string]bool{}
	for _, c := range tunnelCases {
		values := []string{c.ke, cipher(c), fmt.Sprint("v6:", c.v6), fmt.Sprint("way:", c.way)}
		for i, x := range values {
			for _, y := range values[i+1:] {
				pairs[x+" "+y] = true
			}
		}
	}
	if want := 3*3*3 + 3*3*2; len(pairs) != want {
		t.Errorf("%d pairs are covered, not %d: %v", len(pairs), want, pairs)
	}
}

func (c tunnelCase) link() link {
	k := newLink()
	k.ike, k.v6, k.nat = c.ike+"-"+c.ke, c.v6, c.way == nat
	k.children[0].esp = c.esp
	return k
}

// TestTunnel sets up, uses and takes down a tunnel. Who initiates and who
// deletes: goiked in half of the subtests each. The initiator is at A, behind
// the NAT where there is one.
func TestTunnel(t *testing.T) {
	for i, c := range tunnelCases {
		t.Run("goiked initiates/"+c.name(), func(t *testing.T) { testTunnel(t, c, true, i%2 == 0) })
		t.Run("goiked responds/"+c.name(), func(t *testing.T) { testTunnel(t, c, false, i%2 == 0) })
	}
}

func testTunnel(t *testing.T, c tunnelCase, goikeAtA, downFromA bool) {
	w := newWorld(t)
	if c.way == nat {
		if err := w.NAT(); err != nil {
			t.Fatal(err)
		}
	}
	ka, kb := c.link(), c.link()
	ka.encap = c.way == forced && goikeAtA || c.way == direct && !goikeAtA
	kb.encap = c.way == forced && !goikeAtA || c.way == direct && goikeAtA
	a, _ := w.ends(ka)
	_, b := w.ends(kb)
	var atA, atB peer
	var g goike
	if goikeAtA {
		atB = b.startSwan(t, "")
		g = a.start(t)
		atA = g
	} else {
		g = b.start(t)
		atB = g
		atA = a.startSwan(t, "")
	}
	if err := atA.Up("lan"); err != nil {
		t.Fatal(err)
	}
	w.carries(t)
	sa := agree(t, atA, atB, 1)
	if !strings.Contains(sa.Suite(), c.shows) {
		t.Errorf("the suite is %s, without %s", sa.Suite(), c.shows)
	}
	statusKnows(t, g, sa)
	if s := w.wire.Seen(); s.UDPESP == 0 || s.ESP != 0 || s.IKE < 4 {
		t.Errorf("seen on the wire: %s", s)
	}
	takeDown(t, atA, atB, downFromA)
}

func takeDown(t *testing.T, a, b peer, fromA bool) {
	t.Helper()
	from := b
	if fromA {
		from = a
	}
	if err := from.Down(); err != nil {
		t.Error(err)
	}
	gone(t, a, b)
}

// statusKnows checks that `goikectl --json status` tells of the same SA as
// swanctl: its SPIs are in it.
func statusKnows(t *testing.T, g goike, sa lab.SA) {
	t.Helper()
	status, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.ToLower(fmt.Sprint(status))
	for _, spi := range []string{sa.Values["initiator-spi"], sa.Values["responder-spi"],
		sa.Children[0].Values["spi-in"], sa.Children[0].Values["spi-out"]} {
		if !strings.Contains(all, spi) {
			t.Errorf("the status does not tell of SPI %s: %s", spi, all)
		}
	}
}

// The tests themselves are tried on two strongSwan: what they ask of goiked,
// strongSwan gives.
func TestHarness(t *testing.T) {
	for _, c := range []tunnelCase{tunnelCases[0], tunnelCases[1], tunnelCases[5]} {
		t.Run(c.name(), func(t *testing.T) {
			w := newWorld(t)
			k := c.link()
			if c.way == nat {
				if err := w.NAT(); err != nil {
					t.Fatal(err)
				}
			}
			k.encap = c.way != nat
			a, b := w.ends(k)
			atB, atA := b.startSwan(t, ""), a.startSwan(t, "")
			if err := atA.Up("lan"); err != nil {
				t.Fatal(err)
			}
			w.carries(t)
			if sa := agree(t, atA, atB, 1); !strings.Contains(sa.Suite(), c.shows) {
				t.Errorf("the suite is %s, without %s", sa.Suite(), c.shows)
			}
			if s := w.wire.Seen(); s.UDPESP == 0 || s.ESP != 0 || s.IKE < 4 {
				t.Errorf("seen on the wire: %s", s)
			}
			takeDown(t, atA, atB, c.v6)
		})
	}
}
