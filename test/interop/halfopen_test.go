//go:build linux

package interop

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

var errLeftOver = errors.New("an IKE SA is left")

// goneWithin waits until a peer has no IKE SA left, not even a half-open one.
func goneWithin(t *testing.T, p peer, d time.Duration) {
	t.Helper()
	if err := lab.Eventually(d, func() error {
		sas, err := p.SAs()
		if err == nil && len(sas) > 0 {
			err = errLeftOver
		}
		return err
	}); err != nil {
		t.Error(err, last(p.Log(), 20))
	}
}

// TestRefusedResponder shows that strongSwan, which goiked has refused after it took the
// IKE SA for established, has none left a second later (RFC 7296, 2.21.2).
func TestRefusedResponder(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	a, b := w.ends(k)
	b.encap = true
	b.localID = "c.example.org" // not what A expects
	s := b.startSwan(t, "")
	g := a.start(t)
	if _, code, _ := g.Ctl("--timeout", "20s", "up", "site/lan"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	goneWithin(t, s, time.Second)
	if !strings.Contains(s.Log(), "AUTH_FAILED") {
		t.Error(last(s.Log(), 20))
	}
	goneWithin(t, g, time.Second)
}

// TestDownInAuth takes down what waits for strongSwan's answer to IKE_AUTH: it is deleted
// there when the line is open again.
func TestDownInAuth(t *testing.T) {
	w := newWorld(t)
	k := newLink()
	k.encap = true // goes over to port 4500 after IKE_SA_INIT
	a, b := w.ends(k)
	s, g := b.startSwan(t, ""), a.start(t)
	if err := w.Drop("udp dport 4500"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.Ctl("--timeout", "1s", "up", "site/lan"); err == nil {
		t.Fatal("up through a closed line")
	}
	if sas, err := s.SAs(); err != nil || len(sas) != 1 {
		t.Fatalf("strongSwan has no half-open IKE SA: %v %v", sas, err)
	}
	down := make(chan error, 1)
	go func() { down <- g.Down() }()
	if err := w.Open(); err != nil {
		t.Fatal(err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	goneWithin(t, g, time.Second)
	goneWithin(t, s, time.Second)
}
