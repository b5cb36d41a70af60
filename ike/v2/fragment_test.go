package v2

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// small makes IKE_AUTH messages of either side come in fragments.
func small(a, b *conf.Connection) {
	for _, c := range []*conf.Connection{a, b} {
		c.FragmentSize = 200
		for i := range 8 {
			c.Children[0].Local = append(c.Children[0].Local, subnet(fmt.Sprintf("172.%d.0.0/24", 16+i)))
			c.Children[0].Remote = append(c.Children[0].Remote, subnet(fmt.Sprintf("172.%d.0.0/24", 16+i)))
		}
	}
}

// fragments are the messages of a host that are fragments.
func (n *network) fragments(from *host) (out []packet) {
	for _, p := range n.sent {
		if p.from == from && header(n.t, p.data).NextPayload == wire.PayloadSKF {
			out = append(out, p)
		}
	}
	return out
}

func TestFragments(t *testing.T) {
	n, a, b := up(t, small)
	if !a.Status().Fragments || !b.Status().Fragments {
		t.Error("no side knows of fragmentation")
	}
	for _, h := range []*host{n.a, n.b} {
		fs := n.fragments(h)
		if len(fs) < 3 {
			t.Errorf("%s sent %d fragments", h.name, len(fs))
		}
		for i, p := range fs {
			if len(p.data)+20+8+4 > 200 {
				t.Errorf("a fragment of %d octets", len(p.data))
			}
			_, ps := parsed(t, p.data)
			f := ps[0].(*wire.SKF)
			if int(f.Fragment) != i+1 || int(f.Total) != len(fs) || (f.First == 0) != (i > 0) {
				t.Errorf("fragment %d of %d, first %v", f.Fragment, f.Total, f.First)
			}
		}
	}
	for _, sa := range []*SA{a, b} {
		if sa.win.fragments[0].parts != nil || sa.win.fragments[1].parts != nil {
			t.Error("the reassembly keeps its memory")
		}
	}
}

// One side does not fragment: neither does.
func TestNoFragmentation(t *testing.T) {
	for _, left := range []bool{true, false} {
		n, a, b := up(t, small, func(a, b *conf.Connection) {
			if left {
				a.Fragmentation = false
			} else {
				b.Fragmentation = false
			}
		})
		if len(n.fragments(n.a))+len(n.fragments(n.b)) > 0 || a.fragments || b.fragments {
			t.Error("fragments")
		}
	}
}

// Fragments come in any order, several times, and are lost: retransmission helps,
// and a retransmitted response has the very octets of the first.
func TestFragmentsOnABadWay(t *testing.T) {
	ways := map[string]func(i int, p packet) []packet{
		"twice":      func(_ int, p packet) []packet { return []packet{p, p} },
		"lost first": func(i int, p packet) []packet { return lose(p, i == 0) },
		"lost last":  func(i int, p packet) []packet { return lose(p, i == 2) },
		"lost often": func(i int, p packet) []packet { return lose(p, i%3 == 1) },
	}
	for name, way := range ways {
		for _, left := range []bool{true, false} {
			t.Run(fmt.Sprint(name, left), func(t *testing.T) {
				n := newNetwork(t, small)
				i := 0
				n.intercept = func(p packet) []packet {
					if header(t, p.data).NextPayload != wire.PayloadSKF || (p.from == n.a) != left {
						return []packet{p}
					}
					i++
					return way(i-1, p)
				}
				n.a.dial()
				n.pass(2 * time.Minute)
				n.established(1)
				if len(n.b.of(ike.IKEUp)) != 1 {
					t.Error(n.story())
				}
				sent := make(map[string]bool)
				for _, p := range n.fragments(n.b) {
					sent[string(p.data)] = true
				}
				if _, ps := parsed(t, n.fragments(n.b)[0].data); len(sent) != int(ps[0].(*wire.SKF).Total) {
					t.Errorf("%d different fragments of the response", len(sent))
				}
			})
		}
	}
	t.Run("backwards", func(t *testing.T) {
		n := newNetwork(t, small)
		var held []packet
		n.intercept = func(p packet) []packet {
			if header(t, p.data).NextPayload != wire.PayloadSKF {
				return []packet{p}
			}
			held = append(held, p)
			_, ps := parsed(t, p.data)
			if int(ps[0].(*wire.SKF).Total) > len(held) {
				return nil
			}
			slices.Reverse(held)
			out := held
			held = nil
			return out
		}
		n.a.dial()
		n.run()
		n.established(1)
	})
}

func lose(p packet, yes bool) []packet {
	if yes {
		return nil
	}
	return []packet{p}
}

// fragmented returns the fragments of a request of a to b.
func fragmented(t *testing.T, a *SA, size int) [][]byte {
	t.Helper()
	data := make([]byte, size)
	packets, err := a.protect(a.header(wire.Informational, a.win.nextSend, false), &wire.Notify{Kind: 40000, Data: data})
	if err != nil || len(packets) < 3 {
		t.Fatal(len(packets), err)
	}
	return packets
}

// Fragments that contradict each other, or themselves, do not get in; a larger
// total begins anew (RFC 7383, 2.6).
func TestInconsistentFragments(t *testing.T) {
	n, a, b := up(t, small)
	give := func(data []byte) string {
		n.b.step(b, ike.Datagram{Path: b.path, Data: bytes.Clone(data)})
		return snapshot(b)
	}
	three, more := fragmented(t, a, 250), fragmented(t, a, 600)
	before := snapshot(b)
	seal := func(number, total uint16) []byte {
		s, err := a.sealer()
		if err != nil {
			t.Fatal(err)
		}
		data, head, err := wire.AppendSealed(nil, a.header(wire.Informational, a.win.nextSend, false),
			&wire.SKF{Fragment: 1, Total: 3}, s.IVLen()+2+s.ICVLen())
		if err != nil {
			t.Fatal(err)
		}
		copy(data[wire.HeaderLen+4:], []byte{byte(number >> 8), byte(number), byte(total >> 8), byte(total)})
		s.Seal(data, head, nil, a.ivCounter)
		a.ivCounter++
		return data
	}
	for _, c := range [][2]uint16{{0, 3}, {1, 0}, {4, 3}, {1, maxFragments + 1}} {
		if give(seal(c[0], c[1])) != before {
			t.Errorf("fragment %d of %d got in", c[0], c[1])
		}
	}
	first := give(three[0])
	if first == before {
		t.Error("a fragment did not get in")
	}
	if give(three[0]) != first {
		t.Error("a second copy of a fragment changed something")
	}
	if give(more[1]) == first {
		t.Error("a larger total did not begin anew")
	}
	again := snapshot(b)
	if give(three[0]) != again || give(three[2]) != again {
		t.Error("a smaller total got in")
	}
	answers := len(n.fragments(n.b))
	for i, p := range more {
		if i != 1 {
			give(p)
		}
	}
	if b.win.nextRecv != 2+1 || len(n.sent) == answers {
		t.Errorf("the message was not answered, next is %d", b.win.nextRecv)
	}
	// Only its first fragment is answered when it comes again.
	for i, p := range more {
		before := len(n.sent)
		give(p)
		if answered := len(n.sent) > before; answered != (i == 0) {
			t.Errorf("fragment %d answered: %v", i+1, answered)
		}
	}
}

// A message of fragments is bounded.
func TestTooManyFragments(t *testing.T) {
	_, a, _ := up(t, small)
	if _, err := a.protect(a.header(wire.Informational, 9, false), &wire.Notify{Kind: 40000, Data: make([]byte, 60000)}); err == nil {
		t.Error("a message of 60000 octets in small fragments")
	}
	r := &reassembly{total: 3, parts: make([][]byte, 3)}
	if _, _, err := r.add(&wire.SKF{Fragment: 1, Total: 3}, make([]byte, plaintextLimit)); err != nil {
		t.Error(err)
	}
	if _, _, err := r.add(&wire.SKF{Fragment: 2, Total: 3}, []byte{1}); err == nil || r.parts != nil {
		t.Error("the plaintext is not bounded")
	}
}
