//go:build linux

package planes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// killed takes A's plane away as a crash does, and starts another one over what it has
// left. Traffic goes on where the kernel carries it; nothing ever leaves in the clear;
// a child that is set up anew takes the place of what was left, and what was not taken
// over is gone after a while.
func killed(t *testing.T, p *pair) {
	a, b := p.a.inner[0], p.b.inner[0]
	old := p.newTunnel(func(x *tunnel) { x.owner = 1 })
	old.up(t)
	exchange(t, a, b, echoPort, 0)
	p.clean(t)
	kernel := p.a.rig.kernel()
	reaches := func(when string) {
		t.Helper()
		c := dial(t, a, 0)
		defer func() { _ = c.Close() }()
		m := c.send(t, b, echoPort, 0)
		if !kernel {
			return // that it has not left in the clear is seen below
		}
		if err := c.answer(m, patience); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	p.a.die()
	reaches("while nobody is there")
	p.a.open(t)
	reaches("after the start")
	p.clean(t)
	next := p.newTunnel(func(x *tunnel) { x.owner = 2 })
	next.up(t)
	exchange(t, a, b, echoPort, 0)
	p.b.apply(t, old.remove(false)...)
	exchange(t, a, b, echoPort, 0)
	p.b.apply(t, p.fence.remove(false)...)
	p.fence = p.newTunnel(func(x *tunnel) { x.local, x.remote = host(p.a.inner2), host(p.b.inner2) })
	p.fence.up(t)
	p.pass(t)
	eventually(t, func() error { // what was left goes, and what is new stays
		dump := strings.Join(p.a.dump(t), "\n")
		for _, spi := range []uint32{old.toA, old.toB} {
			if strings.Contains(dump, fmt.Sprintf("0x%08x", spi)) {
				return errors.New("SAs of the killed plane are there still:\n" + dump)
			}
		}
		return nil
	})
	exchange(t, a, b, echoPort, 0)
	p.pass(t)
	next.down(t)
	p.clean(t)
}

func testKilled(t *testing.T, a, b rig) { killed(t, openPair(t, remote{a}, b)) }

func TestUserspaceKilled(t *testing.T) { testKilled(t, userspace{}, userspace{}) }

func TestKernelKilled(t *testing.T) { testKilled(t, inKernel{}, inKernel{}) }

func TestKernelKilledOfMixed(t *testing.T) { testKilled(t, inKernel{}, userspace{}) }
