package v2

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// Either side deletes a child, or the IKE SA.
func TestDelete(t *testing.T) {
	for _, left := range []bool{true, false} {
		n, a, b := up(t)
		from, sa := n.a, a
		if !left {
			from, sa = n.b, b
		}
		from.step(sa, ike.Terminate{ChildID: sa.children[0].ID, Why: "test"})
		n.run()
		n.established(0)
		if n.a.kinds() != "IKEUp ChildUp ChildDown" || n.b.kinds() != n.a.kinds() {
			t.Error(n.story())
		}
		from.step(sa, ike.Initiate{Child: "lan"})
		n.run()
		n.established(1)
		from.step(sa, ike.Terminate{Why: "test"})
		if s := sa.Status(); s.State != ike.Deleting || len(s.Active) != 1 {
			t.Errorf("%+v", s)
		}
		n.run()
		if len(n.a.sas)+len(n.b.sas) > 0 || n.a.kinds() != "IKEUp ChildUp ChildDown ChildUp ChildDown IKEDown" || n.b.kinds() != n.a.kinds() {
			t.Error(n.story())
		}
		n.a.empty()
		n.b.empty()
	}
}

// The requests cross: the answers do not name what both delete (RFC 7296, 1.4.1).
func TestCrossingDeletes(t *testing.T) {
	n, a, b := up(t)
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.b.step(b, ike.Terminate{Child: "lan"})
	first := len(n.sent)
	n.run()
	for _, p := range n.sent[first:] {
		to := a
		if p.from == n.a {
			to = b
		}
		if ps := n.open(to, p.data); len(ps) != 0 {
			t.Errorf("%s answers %+v", p.from.name, ps)
		}
	}
	n.established(0)
	if n.a.kinds() != "IKEUp ChildUp ChildDown" || n.b.kinds() != n.a.kinds() {
		t.Error(n.story())
	}

	n, a, b = up(t)
	n.a.step(a, ike.Terminate{Why: "test"})
	n.b.step(b, ike.Terminate{Why: "test"})
	n.run()
	if len(n.a.sas)+len(n.b.sas) > 0 || n.a.kinds() != "IKEUp ChildUp ChildDown IKEDown" || n.b.kinds() != n.a.kinds() {
		t.Error(n.story())
	}
	// A child and the IKE SA.
	n, a, b = up(t)
	n.a.step(a, ike.Terminate{Child: "lan"})
	n.b.step(b, ike.Terminate{Why: "test"})
	n.run()
	if len(n.a.sas)+len(n.b.sas) > 0 {
		t.Error(n.story())
	}
	n.a.empty()
	n.b.empty()
}

// A delete names several children, unknown ones and AH: what is ours goes, and the
// answer names our halves.
func TestDeleteOfSeveral(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"))
	n.a.step(a, ike.Initiate{Child: "second"})
	n.run()
	x, y := b.children[0], b.children[1]
	ps := n.exchange(a, b, wire.Informational, deleteOf(crypto.AH, x.SPIOut), deleteOf(crypto.ESP, 77, x.SPIOut, y.SPIOut, x.SPIOut))
	if len(b.children) != 0 || len(ps) != 1 {
		t.Fatalf("%d children, %+v", len(b.children), ps)
	}
	d := ps[0].(*wire.Delete)
	if len(d.SPIs) != 2 || binary.BigEndian.Uint32(d.SPIs[0]) != x.SPIIn || binary.BigEndian.Uint32(d.SPIs[1]) != y.SPIIn {
		t.Errorf("%+v", d)
	}
	if ps := n.exchange(a, b, wire.Informational, deleteOf(crypto.ESP, 77)); len(ps) != 0 || b.closed {
		t.Errorf("a delete of nothing: %+v", ps)
	}
}

// Liveness and what is not known are answered by nothing, and change nothing else.
func TestInformational(t *testing.T) {
	for name, ps := range map[string][]wire.Payload{
		"liveness":       nil,
		"status notify":  {&wire.Notify{Kind: wire.NotifyInitialContact}},
		"unknown notify": {&wire.Notify{Kind: 40961, Data: make([]byte, 300)}},
		"unknown error":  {&wire.Notify{Kind: 12345}},
		"error":          {&wire.Notify{Kind: wire.NotifyInvalidSPI, Protocol: wire.ProtocolESP, SPI: be32(5)}},
		"no proposal":    {&wire.Notify{Kind: wire.NotifyNoProposalChosen}},
		"unprotected's":  {&wire.Notify{Kind: wire.NotifyInvalidIKESPI}},
		"unknown":        {&wire.Raw{Kind: 250, Data: []byte{1, 2, 3}}},
		"vendor":         {&wire.VendorID{Data: []byte("someone")}},
		"configuration":  {&wire.CP{Kind: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := up(t)
			before := len(n.sent)
			answer := n.exchange(a, b, wire.Informational, ps...)
			if len(answer) != 0 || len(n.sent) != before+1 || b.win.nextRecv != 3 || n.b.kinds() != "IKEUp ChildUp" || len(b.children) != 1 {
				t.Errorf("%+v %s", answer, n.story())
			}
		})
	}
}

// A critical payload that is not known is refused with its type (RFC 7296, 2.5);
// what breaks the protocol ends the IKE SA on both sides (2.21.3).
func TestBrokenRequests(t *testing.T) {
	for name, c := range map[string]struct {
		x    wire.ExchangeType
		ps   []wire.Payload
		want wire.NotifyType
		ends bool
	}{
		"critical": {wire.Informational, []wire.Payload{&wire.Raw{Kind: 250, CriticalFlag: true}}, wire.NotifyUnsupportedCriticalPayload, false},
		"KE":       {wire.Informational, []wire.Payload{&wire.KE{Method: 31, Data: make([]byte, 32)}}, wire.NotifyInvalidSyntax, true},
		"exchange": {43, nil, wire.NotifyInvalidSyntax, true},
	} {
		n, a, b := up(t)
		ps := n.exchange(a, b, c.x, c.ps...)
		notify := wire.FindNotify(ps, c.want)
		if notify == nil || len(ps) != 1 || b.closed != c.ends {
			t.Errorf("%s: %+v, closed %v", name, ps, b.closed)
			continue
		}
		if c.want == wire.NotifyUnsupportedCriticalPayload && string(notify.Data) != "\xfa" {
			t.Errorf("data %x", notify.Data)
		}
		if d := n.b.of(ike.IKEDown); c.ends && (len(d) != 1 || d[0].Why.Cause != ike.BadMessage) {
			t.Error(n.story())
		}
	}
}

// Errors by which the peer says that it has given up end the IKE SA
// (RFC 7296, 2.21.2).
func TestPeerGivesUp(t *testing.T) {
	for _, kind := range []wire.NotifyType{wire.NotifyAuthenticationFailed, wire.NotifyInvalidSyntax} {
		n, a, b := up(t)
		if ps := n.exchange(a, b, wire.Informational, &wire.Notify{Kind: kind}); len(ps) != 0 || !b.closed {
			t.Errorf("%s: %+v", kind, ps)
		}
		d := n.b.of(ike.IKEDown)
		if len(d) != 1 || !d[0].Why.ByPeer || d[0].Why.Notify != kind.String() || n.b.kinds() != "IKEUp ChildUp ChildDown IKEDown" {
			t.Error(n.story())
		}
		n.b.empty()
	}
}

// An answer that breaks the protocol ends the IKE SA: nobody can be told.
func TestBrokenReply(t *testing.T) {
	n, a, b := up(t)
	n.intercept = func(packet) []packet { return nil }
	n.a.step(a, ike.Terminate{Child: "lan"})
	reply := craftMessage(t, b, b.header(wire.Informational, a.win.out.id, true), &wire.KE{Method: 31, Data: make([]byte, 32)})
	n.a.step(a, ike.Datagram{Path: a.path, Data: reply})
	if d := n.a.of(ike.IKEDown); !a.closed || len(d) != 1 || d[0].Why.Cause != ike.BadMessage {
		t.Error(n.story())
	}
}

// Lifetimes end children and IKE SAs, and a peer that does not answer is not waited
// for longer than closingTime.
func TestLifetimes(t *testing.T) {
	n, _, _ := up(t, func(a, b *conf.Connection) {
		a.Children[0].Lifetime, b.Children[0].Lifetime = time.Minute, conf.Forever
		a.Lifetime, b.Lifetime = 10*time.Minute, conf.Forever
	})
	n.pass(59 * time.Second)
	n.established(1)
	n.pass(2 * time.Second)
	n.established(0)
	n.pass(10 * time.Minute)
	if len(n.a.sas)+len(n.b.sas) > 0 || n.a.kinds() != "IKEUp ChildUp ChildDown IKEDown" {
		t.Error(n.story())
	}

	n, a, _ := up(t)
	n.intercept = func(packet) []packet { return nil }
	n.a.step(a, ike.Terminate{Why: "test"})
	n.pass(closingTime)
	if d := n.a.of(ike.IKEDown); len(d) != 1 {
		t.Error(n.story())
	}
	n.a.empty()

	// A half-open IKE SA is given up after halfOpenTime.
	n = newNetwork(t)
	n.intercept = func(p packet) []packet { return lose(p, header(t, p.data).Exchange == wire.IKEAuth) }
	n.a.dial()
	n.run()
	b := n.b.list()[0]
	if b.Deadline() != n.now.Add(halfOpenTime) {
		t.Errorf("deadline in %v", b.Deadline().Sub(n.now))
	}
	n.pass(halfOpenTime)
	if f := n.b.failure(); f.Why.Cause != ike.NoAnswer || len(n.b.sas) != 0 {
		t.Error(f.Text)
	}
}

// The data plane says that an SA has reached a limit.
func TestExpireNotices(t *testing.T) {
	n, a, b := up(t)
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: a.children[0].InboundID()}})
	n.a.step(a, ike.Notice{Notice: esp.Expire{ID: esp.SAID{Dst: addrA, SPI: 1, Proto: esp.ProtoESP}, Hard: true}})
	n.run()
	n.established(1)
	for range 2 {
		n.b.step(b, ike.Notice{Notice: esp.Expire{ID: b.children[0].OutboundID(), Hard: true}})
	}
	n.run()
	n.established(0)
	if len(n.b.of(ike.ChildDown)) != 1 || len(b.queue) != 0 {
		t.Error(n.story())
	}
}
