//go:build linux

package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// peer is a running daemon of any make.
type peer interface {
	Up(child string) error // of the connection "site"
	Down() error           // the whole connection
	Log() string
	Stop() int
}

// lister is a peer that tells of its SAs by VICI.
type lister interface {
	peer
	SAs() ([]lab.SA, error)
}

type goike struct {
	*lab.Goiked
	vici
}

func (g goike) Up(child string) error  { return g.vici.Up(child) }
func (g goike) Down() error            { return g.vici.Down() }
func (g goike) SAs() ([]lab.SA, error) { return g.vici.SAs() }
func (g goike) Log() string            { return g.Output() }

// start starts goiked on the end, with its SAs in the kernel.
func (w *world) start(t *testing.T, e end) goike {
	return w.startWith(t, e, "kernel", lab.GoikedOptions{})
}

func (w *world) startWith(t *testing.T, e end, backend string, o lab.GoikedOptions) goike {
	t.Helper()
	return w.startBuilt(t, w.bins, e, backend, o)
}

func (w *world) startBuilt(t *testing.T, bins lab.Binaries, e end, backend string, o lab.GoikedOptions) goike {
	t.Helper()
	g, err := lab.StartGoiked(e.at, bins, e.config(backend), o)
	if g != nil && g.Process != nil {
		t.Cleanup(func() {
			if code := g.Stop(); code > 0 {
				t.Errorf("goiked ended with exit code %d: %s", code, last(g.Output(), 15))
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return goike{g, newVICI(g.URI)}
}

type swan struct {
	*lab.StrongSwan
	vici
}

func (s swan) SAs() ([]lab.SA, error) { return s.vici.SAs() }

func (s swan) Log() string {
	b, err := os.ReadFile(s.StrongSwan.Log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// startSwan starts strongSwan on the end, with its SAs in the kernel; one that
// runs there already gets the configuration, and loses what it has.
func (w *world) startSwan(t *testing.T, e end) swan {
	t.Helper()
	s, running := w.swans[e.at]
	if !running {
		// BEET mode is done only with those who send strongSwan's vendor ID.
		charon, err := lab.StartStrongSwanKernel(e.at, "\tsend_vendor_id = yes")
		if charon != nil && charon.Process != nil {
			w.t.Cleanup(func() { charon.Stop() })
		}
		if err != nil {
			t.Fatal(err)
		}
		s = swan{charon, newVICI(charon.URI)}
		w.swans[e.at] = s
		if e.at == w.B {
			w.shut(t)
		}
	}
	_ = s.Down() // it has none, if all is well
	if err := s.Load(e.swanctl()); err != nil {
		t.Fatal(err)
	}
	return s
}

// stopSwan stops strongSwan where goiked is to run.
func (w *world) stopSwan(t *testing.T, at *lab.Namespace) {
	t.Helper()
	if s, running := w.swans[at]; running {
		s.Stop()
		delete(w.swans, at)
		if at == w.B {
			w.unshut(t)
		}
	}
}

// oneSA returns the only IKE SA of a peer, with as many children as said.
func oneSA(t *testing.T, p lister, children int) lab.SA {
	t.Helper()
	var sa lab.SA
	if err := lab.Eventually(wait, func() error {
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

// gone waits until a peer has no IKE SA left.
func gone(t *testing.T, p lister) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		sas, err := p.SAs()
		if err == nil && len(sas) > 0 {
			err = fmt.Errorf("%T still has %v", p, sas)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// stateless waits until the kernel of a namespace has no SA left.
func stateless(t *testing.T, at *lab.Namespace) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		if left := states(t, at); len(left) > 0 {
			return fmt.Errorf("SAs are left: %v", left)
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

// holds checks that the kernel of an end holds the SAs that its daemon tells of,
// all of them and no other, that each has carried packets, and that none of them
// was refused; and returns what the kernel has for each child, inbound first.
func (e end) holds(t *testing.T, p lister, children int) (lab.SA, [][2]state) {
	t.Helper()
	sa := oneSA(t, p, children)
	kernel := states(t, e.at)
	var found [][2]state
	want := 2 * children
	for _, c := range sa.Children {
		var pair [2]state
		for i, key := range []string{"spi-in", "spi-out"} {
			s, err := held(kernel, c.Values[key])
			if err != nil {
				t.Fatalf("%s: %v in %v", c.Values["name"], err, kernel)
			}
			pair[i] = s
		}
		if pair[0].reqid != pair[1].reqid || pair[0].reqid == 0 {
			t.Errorf("reqids %d and %d", pair[0].reqid, pair[1].reqid)
		}
		if e.compresses(c.Values["name"]) {
			want += 2
		}
		found = append(found, pair)
	}
	// an IPComp SA has an IP-in-IP SA beside it for packets that were not compressed
	negotiated := slices.DeleteFunc(slices.Clone(kernel), func(s state) bool { return s.proto == "4" || s.proto == "41" || s.proto == "ipencap" })
	if len(negotiated) != want {
		t.Errorf("%d SAs in the kernel, not %d: %v", len(negotiated), want, negotiated)
	}
	return sa, found
}

// compresses tells whether a child has IPComp SAs, too.
func (e end) compresses(name string) bool {
	return slices.ContainsFunc(e.children, func(c child) bool { return c.name == name && c.ipcomp })
}

// held finds the SA with an SPI in hexadecimal digits.
func held(kernel []state, hex string) (state, error) {
	spi, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return state{}, err
	}
	s, ok := find(kernel, uint32(spi))
	switch {
	case !ok:
		return s, fmt.Errorf("no SA with SPI %s", hex)
	case s.packets == 0:
		return s, fmt.Errorf("SA %s has carried nothing", hex)
	case !unfailed(s.failed):
		return s, fmt.Errorf("SA %s refused packets: %s", hex, s.failed)
	}
	return s, nil
}

// unfailed tells whether none of the counters ("replay-window 0 replay 0 failed 0")
// tells of a packet that was replayed or forged. Packets older than the window come
// about by reordering and are left out.
func unfailed(counters string) bool {
	words := strings.Fields(counters)
	for i, w := range words {
		if (w == "replay" || w == "failed") && i+1 < len(words) && words[i+1] != "0" {
			return false
		}
	}
	return true
}

var errNotYet = errors.New("not yet")
