//go:build linux

package kernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/goike/goike/test/lab"
)

// iked is the end as OpenIKED writes it.
func (e end) iked(role string) string {
	c := e.children[0]
	local, remote := e.nets(c)
	return fmt.Sprintf("ikev2 \"site\" %s esp from %s to %s local %s peer %s "+
		"ikesa enc aes-128-gcm prf hmac-sha2-256 group curve25519 childsa enc aes-256 auth hmac-sha1 noesn "+
		"srcid %q dstid %q ikelifetime 3h lifetime 1h bytes 512M psk %q\n", role, local, remote, e.local, e.remote, e.localID, e.peer, psk)
}

// TestOpenIKED has OpenBSD's daemon at B, in both roles. By PF_KEY, Linux takes no
// combined-mode ciphers, and this version of the daemon knows of HMAC-SHA1 only.
func TestOpenIKED(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		tunnelCase
		role string // of iked
	}{
		{tunnelCase{name: "goiked initiates", link: newLink("aes256-sha1")}, "passive"},
		{tunnelCase{name: "OpenIKED initiates", link: newLink("aes256-sha1")}, "active"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func(begun time.Time) { t.Log(timed("all", begun)) }(time.Now())
			t.Cleanup(func() { w.checkWire(t, c.tunnelCase) })
			a, b := w.ends(c.link)
			before := owned(t, a.at)
			g := w.startA(t, a)
			o, err := lab.StartOpenIKED(b.at, b.iked(c.role))
			if o != nil && o.Process != nil {
				defer o.Stop()
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.role == "passive" {
				if err := g.Up("lan"); err != nil {
					t.Fatal(err, "\n", last(o.Output(), 30))
				}
			}
			oneSA(t, g, 1)
			w.use(t, c.tunnelCase)
			c.check(t, a, g)
			if c.role == "active" { // else it is set up again at once
				o.Stop()
			} else if err := g.Down(); err != nil {
				t.Error(err)
			}
			if code := g.Stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			unchanged(t, a.at, before)
		})
	}
}
