//go:build linux

package interop

import (
	"fmt"
	"testing"

	"github.com/goike/goike/test/lab"
)

// strangers are refusals for want of a connection: neither end knows more of the
// other than an address or an identity that it does not expect.
var strangers = []refusal{
	{
		name:     "no connection for the address",
		initiate: `NO_PROPOSAL_CHOSEN`,
		respond:  `no phase 1 has remote_gateway 192\.0\.2\.2 for local address 198\.51\.100\.2`,
	},
	{
		name:     "unknown identity of the initiator",
		b:        func(k *link) { k.idA = "another.example.org" },
		initiate: `AUTHENTICATION_FAILED`,
		respond:  `the peer's identity is a\.example\.org, peer_identifier is another\.example\.org`,
	},
	{
		name:     "unknown identity of the responder",
		a:        func(k *link) { k.idB = "another.example.org" },
		initiate: `AUTHENTICATION_FAILED`,
		respond:  `another\.example\.org`,
	},
}

func logs(g goike, pattern string) error {
	if !matches(pattern, g.Log()) {
		return fmt.Errorf("no line %q in the log: %s", pattern, last(g.Log(), 15))
	}
	return nil
}

// TestStrangers is TestRefused for peers that are not known.
func TestStrangers(t *testing.T) {
	for i, r := range strangers {
		t.Run(r.name, func(t *testing.T) {
			w := newWorld(t)
			a, b := r.ends(w, true)
			if i == 0 {
				b.remote = lab.InternetB // B expects another
			}
			gb := b.start(t)
			r.initiates(t, a.start(t))
			if i > 0 {
				says(t, gb, r.respond)
			} else if err := lab.Eventually(wait, func() error { return logs(gb, r.respond) }); err != nil {
				t.Error(err) // no connection whose status could tell of it
			}
		})
	}
}
