//go:build linux

package interop

import (
	"strings"
	"testing"
)

// TestChildless sets the IKE SA up first and the child by CREATE_CHILD_SA, with a key
// exchange of its own (RFC 6023).
func TestChildless(t *testing.T) {
	t.Run("prefer", func(t *testing.T) { // strongSwan 5.9.8 does not know the word
		testChildless(t, "prefer", "allow", allRoles[0])
	})
	t.Run("force", func(t *testing.T) {
		roles(t, func(t *testing.T, r role) { testChildless(t, "force", "force", r) })
	})
}

func testChildless(t *testing.T, goike, swan string, r role) {
	w := newWorld(t)
	k := newLink()
	k.children[0].esp = "aes256gcm16-curve25519"
	k.toml, k.swan = "childless = \""+goike+"\"\n", "childless = "+swan
	a, b, strong := w.pair(t, k, r)
	if err := a.Up("lan"); err != nil {
		t.Fatal(err)
	}
	if sa := agree(t, a, b, 1); !strings.Contains(sa.Children[0].Suite(), "CURVE") {
		t.Errorf("no key exchange of its own: %s", sa.Children[0].Suite())
	}
	w.carries(t)
	if !strings.Contains(strong.Log(), "CREATE_CHILD_SA") {
		t.Error(last(strong.Log(), 30))
	}
}

// TestChildlessRefused shows that a side which does without, or demands, is heard.
func TestChildlessRefused(t *testing.T) {
	for _, c := range []struct {
		name               string
		initiator          string
		responder          string
		initiates, answers string
	}{
		{"never taken", "force", "never", `does not announce`, ``},
		{"demanded", "never", "force", `INVALID_SYNTAX`, `childless is "force"`},
	} {
		t.Run(c.name+", goiked initiates", func(t *testing.T) {
			w := newWorld(t)
			k := newLink()
			k.toml, k.swan = "childless = \""+c.initiator+"\"\n", "childless = "+c.responder
			a, b := w.ends(k)
			b.encap = true
			b.startSwan(t, "")
			refusal{initiate: c.initiates}.initiates(t, a.start(t))
		})
		t.Run(c.name+", goiked responds", func(t *testing.T) {
			w := newWorld(t)
			k := newLink()
			k.toml, k.swan = "childless = \""+c.responder+"\"\n", "childless = "+c.initiator
			a, b := w.ends(k)
			a.encap = true
			g := b.start(t)
			if err := a.startSwan(t, "").Up("lan"); err == nil {
				t.Error("strongSwan has a tunnel")
			}
			if c.answers != "" {
				says(t, g, c.answers)
			}
		})
	}
}
