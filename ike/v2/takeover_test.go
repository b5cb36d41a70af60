package v2

import (
	"bytes"
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
)

// restart puts another process in the place of a host's: machines that can be carried on
// are, the others are forgotten, and so is every answer that was on its way. It tells how
// many were carried on.
func (h *host) restart() (carried int) {
	h.t.Helper()
	list := h.list()
	h.sas, h.held = make(map[uint64]*SA), nil
	var born []*SA
	for _, sa := range list {
		data := partsOf(sa)
		sa.closed = true
		if data == nil {
			continue
		}
		m, err := (Machines{}).Restore(ike.Birth{ID: sa.ID, Config: h.conf, Own: h.own}, h.conn(), data)
		if err != nil {
			h.t.Fatal(err)
		}
		heir := m.(*SA)
		if again := partsOf(heir); !maps.EqualFunc(again, data, bytes.Equal) {
			h.t.Fatalf("%s: the snapshot of what was restored differs\n%x\n%x", h.name, data, again)
		}
		h.add(heir.SPI, heir)
		born = append(born, heir)
	}
	for _, sa := range born {
		h.step(sa, ike.TakeOver{})
	}
	return len(born)
}

// Both processes are put in others' place, and all goes on: keys, windows, timers.
func TestTakeOver(t *testing.T) {
	n, a, _ := up(t, watchful)
	n.pass(10 * time.Second)
	before := a.Deadline()
	if n.a.restart()+n.b.restart() != 2 {
		t.Fatal("not all can be carried on")
	}
	a, _ = n.established(1)
	if a.Deadline() != before {
		t.Errorf("the next thing is due in %v, was in %v", a.Deadline().Sub(n.now), before.Sub(n.now))
	}
	if got := n.a.kinds(); got != "IKEUp ChildUp IKEUp ChildUp" {
		t.Error(got)
	}
	n.pass(time.Minute) // liveness checks
	for _, x := range []exchange{&rekeyExchange{}, &childExchange{childName: "lan", old: a.children[0]}} {
		a, _ = n.established(1)
		if c, ok := x.(*childExchange); ok {
			c.old = a.children[0]
		}
		a.push(x)
		n.a.step(a, ike.Timeout{})
		n.run()
		n.a.restart()
		n.b.restart()
		n.established(1)
	}
	_, b := n.established(1)
	b.conn.Children[0].Proposals = proposals(t, 3, "aes256gcm16")
	n.b.step(b, ike.Terminate{})
	n.run()
	if len(n.a.sas)+len(n.b.sas) != 0 {
		t.Error(n.story())
	}
}

// What the data plane has lost is set up anew by the IKE SA, and an IKE SA whose
// connection is gone is ended.
func TestTakeOverOfLittle(t *testing.T) {
	n, _, _ := up(t)
	clear(n.a.plane.sas)
	n.a.restart()
	n.pass(time.Minute)
	n.established(1)
	if up := len(n.b.of(ike.IKEUp)); up != 1 {
		t.Errorf("%d IKE SAs", up)
	}
	a := n.a.list()[0]
	data := partsOf(a)
	a.closed = true
	m, err := (Machines{}).Restore(ike.Birth{ID: 77, Config: &conf.Config{Retransmit: testRetransmit}}, nil, data)
	if err != nil {
		t.Fatal(err)
	}
	n.a.sas = map[uint64]*SA{m.(*SA).SPI: m.(*SA)}
	n.a.step(m.(*SA), ike.TakeOver{End: "the connection is no longer configured"})
	n.run()
	if len(n.a.sas)+len(n.b.sas) != 0 {
		t.Error(n.story())
	}
}

// A process may be put in another's place at any moment: the tunnel stays, or is ended by
// what the peer notices, and the two sides agree in the end.
func TestTakeOverAtAnyMoment(t *testing.T) {
	restless := func(a, b *conf.Connection) {
		for _, c := range []*conf.Connection{a, b} {
			c.Rekey, c.Lifetime, c.Margin, c.RekeyFuzz, c.DPDDelay = true, 5*time.Minute, 20*time.Second, 100, 30*time.Second
			c.Children[0].Lifetime = time.Minute
		}
	}
	carried := 0
	for k := 0; ; k += 7 {
		n, _, _ := up(t, restless)
		n.a.hold, n.b.hold = true, true
		begin, kept := n.a.steps, -1
		for end := n.now.Add(12 * time.Minute); n.now < end; {
			for kept >= 0 || n.a.steps-begin < k {
				if !n.turn() {
					break
				}
			}
			if kept < 0 && n.a.steps-begin >= k {
				kept = n.a.restart()
				continue
			}
			n.leap(end)
		}
		if kept < 0 {
			break // there were not so many steps
		}
		n.a.hold, n.b.hold = false, false
		n.a.release()
		n.b.release()
		n.run()
		n.pass(5 * time.Minute) // what b has begun meanwhile is over
		if kept == 1 {
			carried++
			n.established(1)
		} else if len(n.a.sas) != len(n.b.sas) {
			t.Fatalf("step %d, %d IKE SAs carried on: %d here, %d there\n%s", k, kept, len(n.a.sas), len(n.b.sas), n.story())
		}
	}
	if carried < 20 {
		t.Errorf("carried on %d times", carried)
	}
}

// So it may while the tunnel is set up: from the moment on in which both sides are
// authenticated the IKE SA is carried on, and the child with it or after it.
func TestTakeOverWhileSettingUp(t *testing.T) {
	carried := 0
	for k := range 20 {
		n := newNetwork(t)
		n.a.hold, n.b.hold = true, true
		n.a.dial()
		for n.a.steps < k && n.turn() {
		}
		if n.a.steps < k {
			break
		}
		kept := n.a.restart()
		n.passHeld(4 * time.Minute)
		if carried += kept; kept == 1 {
			n.established(1)
		}
	}
	if carried < 2 {
		t.Errorf("carried on %d times", carried)
	}
}

func FuzzRestore(f *testing.F) {
	n, a, b := up(f)
	for _, sa := range []*SA{a, b} {
		parts := partsOf(sa)
		f.Add(parts[0], parts[sa.children[0].ID])
	}
	a.push(&deleteExchange{child: a.children[0], why: "test"})
	n.intercept = func(packet) []packet { return nil }
	n.a.step(a, ike.Timeout{})
	parts := partsOf(a)
	f.Add(parts[0], parts[a.children[0].ID])
	child := a.children[0].ID
	f.Fuzz(func(_ *testing.T, whole, part []byte) {
		m, err := (Machines{}).Restore(ike.Birth{ID: 1, Config: n.a.conf}, n.a.conn(), map[uint64][]byte{0: whole, child: part})
		if err != nil {
			return
		}
		var fx ike.Effects
		m.Step(n.now, ike.TakeOver{}, &fx)
		m.Step(n.now, ike.Timeout{}, &fx)
		m.Status()
	})
}

// partsOf is the snapshot of a machine, nil when it cannot be carried on.
func partsOf(sa *SA) map[uint64][]byte {
	parts := make(map[uint64][]byte)
	if !sa.Snapshot(func(id uint64, data []byte) { parts[id] = bytes.Clone(data) }) {
		return nil
	}
	return parts
}

// An address that was lost while nobody watched is noticed by who takes over.
func TestTakeOverElsewhere(t *testing.T) {
	for _, mover := range []string{"a", "b", "without MOBIKE"} {
		t.Run(mover, func(t *testing.T) {
			n, _, _ := mobile(t, func(a, b *conf.Connection) { a.DPDDelay = time.Hour })
			want := [2]netip.Addr{addrA2, addrB}
			h := n.a
			switch mover {
			case "a":
				n.a.routed(addrA2, addrB)
			case "b":
				h, want = n.b, [2]netip.Addr{addrA, addrB2}
				n.b.routed(addrB2, addrA)
			default:
				n.a.list()[0].mobile = mobility{}
				n.a.routed(addrA2, addrB)
			}
			if h.restart() != 1 {
				t.Fatal("not carried on")
			}
			n.pass(time.Minute)
			if mover != "without MOBIKE" {
				n.at(want[0], want[1], false)
				return
			}
			if d := n.a.of(ike.IKEDown); len(d) != 1 || d[0].Why.Cause != ike.Expired {
				t.Error(n.story())
			}
		})
	}
}
