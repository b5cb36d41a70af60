package v2

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Terminate with Force and Silent.
func TestTerminateAtOnce(t *testing.T) {
	for _, c := range []struct {
		ev   ike.Terminate
		told bool
	}{{ike.Terminate{Force: true, Why: "test"}, true}, {ike.Terminate{Silent: true, Why: "test"}, false}} {
		n, a, b := up(t)
		sent := len(n.sent)
		n.intercept = func(packet) []packet { return nil }
		n.a.step(a, c.ev)
		if !a.closed || len(n.a.sas) != 0 || n.a.kinds() != "IKEUp ChildUp ChildDown IKEDown" {
			t.Error(n.story())
		}
		n.a.empty()
		if told := len(n.sent) > sent; told != c.told {
			t.Errorf("%+v: the peer is told: %v", c.ev, told)
		}
		if c.told {
			n.b.step(b, ike.Datagram{Path: b.path, Data: n.sent[sent].data})
			if !b.closed {
				t.Error("the peer does not understand")
			}
		}
	}
}

func TestTerminateChildAtOnce(t *testing.T) {
	for _, c := range []struct {
		ev   ike.Terminate
		told bool
	}{{ike.Terminate{Child: "lan", Force: true}, true}, {ike.Terminate{Child: "lan", Silent: true}, false}} {
		n, a, b := up(t)
		n.a.step(a, c.ev)
		if len(a.children) != 0 || len(n.a.plane.sas) != 0 || len(n.a.of(ike.ChildDown)) != 1 {
			t.Error(n.story())
		}
		n.run()
		if told := len(b.children) == 0; told != c.told {
			t.Errorf("%+v: the peer is told: %v", c.ev, told)
		}
	}
}

// Terminate before the IKE SA is up, at every stage, on both sides.
func TestTerminateEarly(t *testing.T) {
	for stage := range 4 {
		for _, ev := range []ike.Terminate{{Why: "test"}, {Force: true, Why: "test"}, {Silent: true, Why: "test"}} {
			t.Run(fmt.Sprint(stage, ev), func(t *testing.T) {
				n := newNetwork(t)
				n.a.hold = stage == 0
				n.intercept = func(p packet) []packet { return lose(p, len(n.sent) > stage-1) }
				a := n.a.dial()
				n.run()
				n.a.step(a, ev)
				n.a.release()
				for _, b := range n.b.list() {
					n.b.step(b, ev)
				}
				if !ev.Force && !ev.Silent {
					n.pass(closingTime)
				}
				if f := n.a.failure(); f.Why.Cause != ike.Terminated || len(n.a.sas) != 0 || f.Child != "" {
					t.Error(f.Text)
				}
				if len(n.b.sas) > 0 {
					t.Error("b is still there")
				}
			})
		}
	}
}

// A child that is being set up, or waits for it, is taken down: it does not stay.
func TestTerminateChildUnderWay(t *testing.T) {
	third := func(a, b *conf.Connection) {
		addChild(t, a, "third", "172.18.0.0/24", "172.19.0.0/24", "aes256gcm16")
		addChild(t, b, "third", "172.19.0.0/24", "172.18.0.0/24", "aes256gcm16")
	}
	n, a, _ := up(t, second(t, "aes256gcm16", "aes256gcm16"), third)
	n.a.step(a, ike.Initiate{Child: "second"})
	n.a.step(a, ike.Initiate{Child: "third"})
	n.a.step(a, ike.Terminate{Child: "third", Why: "test"})
	n.a.step(a, ike.Terminate{Child: "second", Why: "test"})
	if f := n.a.failure(); f.Child != "third" || f.Why.Cause != ike.Terminated {
		t.Error(f.Text)
	}
	n.run()
	n.established(1)
	// Wanted again in time: it stays.
	n.a.step(a, ike.Initiate{Child: "second"})
	n.a.step(a, ike.Terminate{Child: "second", Why: "test"})
	n.a.step(a, ike.Initiate{Child: "second"})
	n.run()
	n.established(2)
	// The first child, in IKE_AUTH.
	n = newNetwork(t)
	a = n.a.dial()
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.run()
	n.established(0)
	if f := n.a.failure(); f.Child != "lan" || f.Why.Cause != ike.Terminated {
		t.Error(f.Text)
	}
	n = newNetwork(t)
	answer := cut(n, n.b, wire.IKEAuth, true)
	a = n.a.dial()
	n.run()
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.intercept = nil
	n.a.step(a, ike.Datagram{Path: a.path, Data: *answer})
	n.run()
	n.established(0)
}

// The IKE SA ends while children wait: they fail by name.
func TestWaitingChildrenFail(t *testing.T) {
	n, a, _ := up(t, second(t, "aes256gcm16", "aes256gcm16"))
	n.intercept = func(packet) []packet { return nil }
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.a.step(a, ike.Initiate{Child: "second"})
	n.a.step(a, ike.Terminate{Why: "test"})
	if f := n.a.failure(); f.Child != "second" || f.Why.Cause != ike.Terminated {
		t.Error(f.Text)
	}
	n.a.step(a, ike.Initiate{Child: "second"})
	if f := n.a.of(ike.Failed); len(f) != 2 || f[1].Child != "second" {
		t.Error(n.story())
	}
	// The peer falls silent while a child is being asked for.
	n, a, _ = up(t, second(t, "aes256gcm16", "aes256gcm16"))
	n.intercept = func(packet) []packet { return nil }
	n.a.step(a, ike.Initiate{Child: "second"})
	n.pass(200e9)
	f := n.a.failure()
	if f.Child != "second" || f.Why.Cause != ike.NoAnswer || n.a.kinds() != "IKEUp ChildUp Warning Failed ChildDown IKEDown" && n.a.kinds() != "IKEUp ChildUp Failed ChildDown IKEDown" {
		t.Error(n.story())
	}
	if d := n.a.of(ike.IKEDown)[0]; d.Why == nil || d.Why.Cause != ike.NoAnswer {
		t.Errorf("%+v", d)
	}
	n.a.empty()
}

// A new configuration: the SA goes on; a peer that is just proving itself to a
// connection that is gone does not.
func TestConfigured(t *testing.T) {
	n, a, b := up(t)
	c := *n.a.conf
	conn := *n.a.conn()
	c.Connections = []*conf.Connection{&conn}
	n.a.step(a, ike.Configured{Config: &c, Conn: &conn})
	if a.conn != &conn || a.Config != &c || a.closed {
		t.Error("the configuration is not taken over")
	}
	n.b.step(b, ike.Configured{Config: &conf.Config{Retransmit: testRetransmit}})
	if b.closed || b.conn == nil {
		t.Error("an established IKE SA went with its connection; that is for a command")
	}

	n = newNetwork(t)
	n.b.hold = true
	n.a.dial()
	n.run()
	b = n.b.list()[0]
	n.b.release()
	n.run()
	n.b.step(b, ike.Configured{Config: &conf.Config{Retransmit: testRetransmit}})
	if f := n.b.failure(); !b.closed || f.Why.Cause != ike.Terminated {
		t.Error(n.story())
	}
	n.b.release()

	// Before IKE_AUTH it counts what is configured then.
	n = newNetwork(t)
	request := cut(n, n.a, wire.IKEAuth, false)
	n.a.dial()
	n.run()
	b = n.b.list()[0]
	n.b.step(b, ike.Configured{Config: &conf.Config{Retransmit: testRetransmit}})
	n.b.step(b, ike.Datagram{Path: b.path, Data: *request})
	if f := n.b.failure(); f.Why.Cause != ike.WrongKey {
		t.Error(f.Text)
	}
}

// A closed machine does nothing any more, whatever comes.
func TestClosed(t *testing.T) {
	n, a, _ := up(t)
	keys := a.keys.all
	n.a.step(a, ike.Terminate{Force: true})
	var fx ike.Effects
	for _, ev := range []ike.Event{
		ike.Timeout{}, ike.Datagram{}, ike.Done{Ticket: 1}, ike.Notice{}, ike.Initiate{Child: "lan"}, ike.Terminate{}, ike.Configured{},
	} {
		a.Step(n.now, ev, &fx)
	}
	if len(fx.Actions) != 0 || a.Deadline() != ike.Never {
		t.Errorf("%+v", fx.Actions)
	}
	if len(keys) == 0 || len(bytes.Trim(keys, "\x00")) != 0 {
		t.Error("the keys are still there")
	}
	if got := fmt.Sprintf("%v %+v %#v %x", a, a, a, a); got != "IKE SA #1 IKE SA #1 IKE SA #1 IKE SA #1" {
		t.Error(got)
	}
}
