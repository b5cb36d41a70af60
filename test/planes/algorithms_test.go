//go:build linux

package planes

import (
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
)

// suites are all ciphers of the registry, with every integrity algorithm where the
// cipher needs one at least once.
func suites() (list [][2]crypto.Alg) {
	sha256 := crypto.Alg{Type: crypto.Integ, ID: crypto.IntegHMACSHA256}
	cbc := crypto.Alg{Type: crypto.Encr, ID: crypto.EncrAESCBC, KeyBits: 256}
	for _, e := range crypto.Algorithms(crypto.Encr) {
		if crypto.Combined(e) {
			list = append(list, [2]crypto.Alg{e})
		} else {
			list = append(list, [2]crypto.Alg{e, sha256})
		}
	}
	for _, i := range crypto.Algorithms(crypto.Integ) {
		if i != sha256 {
			list = append(list, [2]crypto.Alg{cbc, i})
		}
	}
	return list
}

// readable tells whether an inner packet can be read from outside.
func readable(encr crypto.Alg) bool {
	return encr.ID == crypto.EncrNull || encr.ID == crypto.EncrNullAESGMAC
}

// testAlgorithms carries packets of all remainders of a block with every algorithm, in
// tunnel and transport mode. What the registry has every plane can do.
func testAlgorithms(t *testing.T, p *pair) {
	for _, s := range suites() {
		for _, mode := range []esp.Mode{esp.Tunnel, esp.Transport} {
			name := s[0].String() + "-" + s[1].String() + [...]string{" tunnel", " transport"}[mode]
			t.Run(name, func(t *testing.T) { testAlgorithm(t, p, s[0], s[1], mode) })
		}
	}
}

func testAlgorithm(t *testing.T, p *pair, encr, integ crypto.Alg, mode esp.Mode) {
	x := p.newTunnel(func(x *tunnel) {
		x.encr, x.integ = encr, integ
		if mode == esp.Transport {
			x.transport()
		}
	})
	for _, s := range []*side{p.a, p.b} {
		if err := s.Check(t.Context(), x.in(true)); err != nil {
			t.Fatalf("%s: %v", s.rig, err)
		}
	}
	x.up(t)
	from, to := p.a.inner[0], p.b.inner[0]
	if mode == esp.Transport {
		from, to = p.a.outer[0], p.b.outer[0]
	}
	sizes := []int{20, 21, 22, 23, 1200}
	for _, size := range sizes {
		exchange(t, from, to, echoPort, size)
	}
	for _, s := range []*side{p.a, p.b} {
		for _, id := range []esp.SAID{x.idToA(), x.idToB()} {
			if u := s.usage(t, id); u.Packets != uint64(len(sizes)) || u.AuthFailed+u.Replayed != 0 || u.LastUse < 0 && !s.rig.kernel() {
				t.Errorf("%s: %+v", s.rig, u)
			}
		}
	}
	x.down(t)
	for _, s := range []*side{p.a, p.b} {
		if u, err := s.Query(t.Context(), x.idToA()); err == nil {
			t.Errorf("%s: what was removed has carried %+v", s.rig, u)
		}
	}
	if readable(encr) && mode == esp.Tunnel { // the capture knows inner packets by their addresses
		p.plaintext(t)
	}
}
