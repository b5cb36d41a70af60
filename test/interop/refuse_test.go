//go:build linux

package interop

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// refusal is a negotiation that cannot succeed. goike must say why in one line,
// in the words of the pattern, whichever end it is.
type refusal struct {
	name     string
	a, b     func(*link)
	initiate string // what goiked says as the initiator
	respond  string // as the responder
}

var refusals = []refusal{
	{
		name:     "wrong PSK",
		b:        func(k *link) { k.psk = "another secret of the laboratory" },
		initiate: `pre-shared key.*AUTHENTICATION_FAILED`,
		respond:  `pre-shared key`,
	},
	{
		name:     "no IKE proposal",
		b:        func(k *link) { k.ike = "aes256gcm16-prfsha256-ecp256" },
		initiate: `proposal.*NO_PROPOSAL_CHOSEN`,
		respond:  `(?i)proposal.*(curve25519|x25519).*ecp256|proposal.*ecp256.*(curve25519|x25519)`,
	},
	{
		name:     "no ESP proposal",
		b:        func(k *link) { k.children = []tunnel{{"lan", "aes256-sha256", netsA, netsB}} },
		initiate: `proposal.*NO_PROPOSAL_CHOSEN`,
		respond:  `(?i)proposal.*aes`,
	},
	{
		name:     "no selectors",
		b:        func(k *link) { k.children = []tunnel{{"lan", "aes256gcm16", "10.7.0.0/16", "10.8.0.0/16"}} },
		initiate: `(?i)(selectors|networks).*TS_UNACCEPTABLE`,
		respond:  `(?i)(selectors|networks).*10\.`,
	},
}

func TestRefused(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			t.Run("goiked initiates", func(t *testing.T) { r.test(t, true) })
			t.Run("goiked responds", func(t *testing.T) { r.test(t, false) })
			t.Run("goiked at both ends", r.both)
		})
	}
}

func (r refusal) ends(w *world, encapB bool) (a, b end) {
	ka, kb := newLink(), newLink()
	ka.encap, kb.encap = !encapB, encapB
	if r.a != nil {
		r.a(&ka)
	}
	if r.b != nil {
		r.b(&kb)
	}
	a, _ = w.ends(ka)
	_, b = w.ends(kb)
	return a, b
}

func (r refusal) test(t *testing.T, goikeAtA bool) {
	w := newWorld(t)
	a, b := r.ends(w, goikeAtA)
	if goikeAtA {
		b.startSwan(t, "")
		r.initiates(t, a.start(t))
		return
	}
	g := b.start(t)
	if err := a.startSwan(t, "").Up("lan"); err == nil {
		t.Error("strongSwan has a tunnel")
	}
	says(t, g, r.respond)
}

func (r refusal) both(t *testing.T) {
	w := newWorld(t)
	a, b := r.ends(w, true)
	gb := b.start(t)
	r.initiates(t, a.start(t))
	says(t, gb, r.respond)
}

// initiates checks what goiked says that asks in vain.
func (r refusal) initiates(t *testing.T, g goike) {
	t.Helper()
	out, code, err := g.Ctl("--timeout", "20s", "up", "site/lan")
	if code != 1 {
		t.Errorf("goikectl up: exit code %d, want 1: %v", code, err)
	}
	if text := fmt.Sprint(out, err); !matches(r.initiate, text) {
		t.Errorf("goikectl up does not say %q: %s", r.initiate, text)
	}
	says(t, g, r.initiate)
}

// says checks that the reason is a line of the log, and in the status.
func says(t *testing.T, g goike, pattern string) {
	t.Helper()
	if err := lab.Eventually(wait, func() error {
		if !matches(pattern, g.Log()) {
			return fmt.Errorf("no line %q in the log: %s", pattern, last(g.Log(), 15))
		}
		out, _, err := g.Ctl("status")
		if err != nil {
			return err
		}
		if !matches(pattern, strings.Join(strings.Fields(out), " ")) {
			return fmt.Errorf("the status does not say %q: %s", pattern, out)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
