//go:build linux

package planes

import (
	"fmt"
	"testing"

	"github.com/goike/goike/esp"
)

// testFamilies carries IPv4 and IPv6 in IPv4 and IPv6, raw and in UDP.
func testFamilies(t *testing.T, p *pair) {
	for _, encap := range []bool{false, true} {
		for _, outer := range []int{0, 1} {
			for _, inner := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s in %s, UDP %t", family2[inner], family2[outer], encap), func(t *testing.T) {
					x := p.newTunnel(func(x *tunnel) {
						x.outer6, x.encap, x.local, x.remote = outer == 1, encap, p.a.network[inner], p.b.network[inner]
					})
					testPath(t, x, inner)
				})
			}
			t.Run(fmt.Sprintf("transport over %s, UDP %t", family2[outer], encap), func(t *testing.T) {
				x := p.newTunnel(func(x *tunnel) {
					x.outer6, x.encap = outer == 1, encap
					x.transport()
				})
				testPath(t, x, outer)
			})
		}
	}
}

var family2 = [...]string{"IPv4", "IPv6"}

func testPath(t *testing.T, x *tunnel, inner int) {
	x.up(t)
	p := x.p
	from, to := p.a.inner[inner], p.b.inner[inner]
	if x.mode == esp.Transport {
		from, to = p.a.outer[inner], p.b.outer[inner]
	}
	p.settle(t)
	before := p.wire.Seen()
	sizes := []int{0, 500, 1200}
	for _, size := range sizes {
		exchange(t, from, to, echoPort, size)
		exchange(t, to, from, echoPort, size)
	}
	p.settle(t)
	seen := p.wire.Seen()
	raw, udp := seen.ESP-before.ESP, seen.UDPESP-before.UDPESP
	if x.encap {
		raw, udp = udp, raw
	}
	if raw < 4*len(sizes) || udp != 0 {
		t.Errorf("the internet has seen %v, before %v", seen, before)
	}
	if u := p.b.usage(t, x.idToB()); u.Packets != uint64(2*len(sizes)) || u.Bytes < 1700 {
		t.Errorf("%s: %+v", p.b.rig, u)
	}
	x.down(t)
}

// Ports other than 4500, at one end.
func testPort(t *testing.T, a, b rig) {
	p := openPairAt(t, a, b, 4501)
	for _, v6 := range []bool{false, true} {
		x := p.newTunnel(func(x *tunnel) { x.encap, x.outer6 = true, v6 })
		testPath(t, x, 0)
	}
	p.clean(t)
}

func TestPort(t *testing.T) {
	for _, ends := range [][2]rig{
		{userspace{}, userspace{}}, {inKernel{}, inKernel{}}, {inKernel{}, userspace{}}, {userspace{}, inKernel{}},
	} {
		t.Run(fmt.Sprintf("%s to %s", ends[0], ends[1]), func(t *testing.T) { testPort(t, ends[0], ends[1]) })
	}
}
