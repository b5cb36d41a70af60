//go:build linux

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/test/lab"
)

// TestResume cuts the line until goiked gives its peer up: the tunnel comes back by a
// ticket (RFC 5723), also through a NAT. A gateway that has restarted does not know the
// ticket, and gets a new IKE SA at once. strongSwan does not speak it: two goiked.
func TestResumption(t *testing.T) {
	for _, c := range []struct {
		name         string
		nat, restart bool
	}{{"without NAT", false, false}, {"NAT", true, false}, {"gateway restarted", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.nat {
				if err := w.NAT(); err != nil {
					t.Fatal(err)
				}
			}
			k := newLink()
			k.nat, k.behavior, k.toml = c.nat, "start", "dpd_delay = \"1s\"\nsession_resumption = true\n"
			a, _ := w.ends(k)
			k.behavior, k.toml = "responder-only", "session_resumption = true\ndpd_action = \"none\"\n"
			_, b := w.ends(k)
			gb, err := lab.StartGoiked(b.at, binaries(t), b.config(), lab.GoikedOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ga := a.startImpatient(t)
			w.carries(t)
			if c.restart {
				gb.Kill()
				b.start(t)
			} else {
				t.Cleanup(func() { gb.Stop() })
				if err := w.Drop("udp dport { 500, 4500 }"); err != nil {
					t.Fatal(err)
				}
				logged(t, ga, "the peer does not answer")
				if err := w.Open(); err != nil {
					t.Fatal(err)
				}
			}
			want := "resumed with"
			if c.restart {
				want = "not resumed: the peer does not take the ticket"
			}
			if err := lab.Eventually(4*wait, func() error {
				if !strings.Contains(ga.Log(), want) {
					return fmt.Errorf("no %q: %s", want, last(ga.Log(), 20))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := w.HostA.Ping(lab.HostA4, lab.HostB4, 2*wait); err != nil {
				t.Error(err, last(ga.Log(), 30))
			}
			w.carries(t)
		})
	}
}

// startImpatient starts goiked with short retransmissions.
func (e end) startImpatient(t *testing.T) goike {
	t.Helper()
	config := strings.Replace(e.config(), "[dataplane]\n", "[retransmit]\ntimeout = \"1s\"\ntries = 1\n\n[dataplane]\n", 1)
	g, err := lab.StartGoiked(e.at, binaries(t), config, lab.GoikedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Stop() })
	return goike{g}
}
