//go:build linux

package planes

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/goike/goike/esp"
)

// testReplay shows what of the packets that come late, twice or forged passes, for all
// sizes of the replay window (RFC 4303, 3.4.3).
func testReplay(t *testing.T, p *pair) {
	for _, c := range []struct {
		window uint32
		esn    bool
	}{{32, false}, {32, true}, {64, false}, {64, true}, {1024, true}, {4096, false}} {
		t.Run(fmt.Sprintf("window %d, ESN %t", c.window, c.esn), func(t *testing.T) {
			x := p.newTunnel(func(x *tunnel) {
				x.change = func(sa *esp.SA, _ bool) { sa.ESN, sa.Window = c.esn, c.window }
			})
			x.up(t)
			testWindow(t, x, int(c.window))
			x.down(t)
		})
	}
}

func testWindow(t *testing.T, x *tunnel, window int) {
	p := x.p
	at := p.tapSA(t, x.toB)
	c := dial(t, p.a.inner[0], 0)
	arrived := func(m string, want int) {
		t.Helper()
		eventually(t, func() error {
			if n := echoes.got(m); n != want {
				return fmt.Errorf("%s has arrived %d times, want %d", m, n, want)
			}
			return nil
		})
	}
	used := func(packets, replayed, forged uint64) {
		t.Helper()
		eventually(t, func() error {
			u := p.b.usage(t, x.idToB())
			if u.Packets != packets || u.Replayed != replayed || u.AuthFailed != forged {
				return fmt.Errorf("%s: %+v; want %d packets, %d replays, %d forged", p.b.rig, u, packets, replayed, forged)
			}
			return nil
		})
	}
	// Packets are held up on the way: the second comes first, the fourth much later.
	again := p.lose(t)
	var ms [4]string
	for i := range ms {
		ms[i] = c.send(t, p.b.inner[0], echoPort, 0)
	}
	held := at.next(t, len(ms))
	again()
	p.inject(t, held[1], held[0], held[2])
	for _, m := range ms[:3] {
		arrived(m, 1)
	}
	used(3, 0, 0)
	// What was seen is dropped, and what was changed on the way.
	p.inject(t, held[0], held[1], held[2])
	used(3, 3, 0)
	forged := bytes.Clone(held[3])
	forged[len(forged)-1] ^= 1
	p.inject(t, forged)
	used(3, 3, 1)
	// Behind the window nothing passes.
	sink := dial(t, p.b.inner[0], 2000) // nobody reads
	for i := range window {
		if c.send(t, sink.from, 2000, 0); i%128 == 127 {
			used(uint64(4+i), 3, 1) // what comes at once must fit the queues
		}
	}
	used(uint64(3+window), 3, 1)
	p.inject(t, held[3])
	if x.in(false).ESN { // then it seems to be of the next 2^32 packets (RFC 4303, A2)
		used(uint64(3+window), 3, 2)
	} else {
		used(uint64(3+window), 4, 1)
	}
	p.pass(t)
	for i, m := range ms {
		arrived(m, [...]int{1, 1, 1, 0}[i])
	}
}
