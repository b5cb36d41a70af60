package v2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/ts"
	"github.com/goike/goike/ike/wire"
)

// second adds a child "second" to both sides, each with its proposals.
func second(t testing.TB, espA, espB string) func(a, b *conf.Connection) {
	return func(a, b *conf.Connection) {
		addChild(t, a, "second", "172.16.0.0/24", "172.17.0.0/24", espA)
		addChild(t, b, "second", "172.17.0.0/24", "172.16.0.0/24", espB)
	}
}

// A second child by CREATE_CHILD_SA, from either side, with and without perfect
// forward secrecy, and with INVALID_KE_PAYLOAD on the way.
func TestCreateChild(t *testing.T) {
	for _, c := range []struct {
		a, b     string
		group    uint16
		messages int
	}{
		{"aes256gcm16", "aes256gcm16", 0, 2},
		{"aes256gcm16-curve25519", "aes256gcm16-curve25519", crypto.KECurve25519, 2},
		{"aes128-sha256-modp2048", "aes128-sha256-modp2048", crypto.KEMODP2048, 2},
		{"aes256gcm16-modp1024-ecp256", "aes256gcm16-ecp256", crypto.KEECP256, 4},
		{"aes256gcm16-curve25519-none", "aes256gcm16", 0, 2},
		{"aes256gcm16", "aes256gcm16-none-curve25519", 0, 2},
	} {
		for _, left := range []bool{true, false} {
			n := newNetwork(t, func(a, b *conf.Connection) {
				if left {
					second(t, c.a, c.b)(a, b)
				} else {
					second(t, c.b, c.a)(a, b)
				}
			})
			n.a.dial()
			n.run()
			a, b := n.established(1)
			from, sa := n.a, a
			if !left {
				from, sa = n.b, b
			}
			before := len(n.sent)
			from.step(sa, ike.Initiate{Child: "second"})
			if got := sa.Status().Active; len(got) > 0 && got[0] != "CHILD_CREATE" {
				t.Error(got)
			}
			n.run()
			n.established(2)
			if got := a.children[1].Suite.KE.ID; got != c.group || len(n.sent)-before != c.messages {
				t.Errorf("%s %s: group %d, %d messages", c.a, c.b, got, len(n.sent)-before)
			}
			if n.a.kinds() != "IKEUp ChildUp ChildUp" || n.b.kinds() != n.a.kinds() {
				t.Error(n.story())
			}
		}
	}
}

// Both sides ask for a child at the same time: both get it.
func TestCrossingCreateChild(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16-curve25519", "aes256gcm16-curve25519"), func(a, b *conf.Connection) {
		addChild(t, a, "third", "172.18.0.0/24", "172.19.0.0/24", "aes256gcm16")
		addChild(t, b, "third", "172.19.0.0/24", "172.18.0.0/24", "aes256gcm16")
	})
	n.a.step(a, ike.Initiate{Child: "second"})
	n.b.step(b, ike.Initiate{Child: "third"})
	n.run()
	n.established(3)
	// The same one: one of the two stays.
	n.a.step(a, ike.Terminate{Child: "third"})
	n.run()
	n.a.step(a, ike.Initiate{Child: "third"})
	n.b.step(b, ike.Initiate{Child: "third"})
	n.run()
	n.established(3)
	// What is there, or under way, is not asked for again.
	before := len(n.sent)
	n.a.step(a, ike.Initiate{Child: "third"})
	n.a.step(a, ike.Initiate{Child: ""})
	n.run()
	if len(n.sent) != before {
		t.Error("asked for again")
	}
}

// createAnswers lets a ask for "second" and answers in the place of b.
func createAnswers(t *testing.T, espA string, answer func(request []wire.Payload) []wire.Payload) (*network, *SA, *SA) {
	n, a, b := up(t, second(t, espA, espA))
	n.intercept = func(p packet) []packet {
		h := header(t, p.data)
		if p.from != n.a || h.Exchange != wire.CreateChildSA {
			return []packet{p}
		}
		data := craftMessage(t, b, b.header(wire.CreateChildSA, h.MessageID, true), answer(n.open(b, p.data))...)
		b.win.nextRecv++
		return []packet{{n.b, p.dst, p.src, data}}
	}
	n.a.step(a, ike.Initiate{Child: "second"})
	n.run()
	return n, a, b
}

// Each error notify of the peer ends the attempt, and only that.
func TestCreateRefused(t *testing.T) {
	for kind, cause := range map[wire.NotifyType]ike.Cause{
		wire.NotifyNoProposalChosen: ike.NoProposal, wire.NotifyTSUnacceptable: ike.NoSelectors,
		wire.NotifyNoAdditionalSAs:  ike.PeerRefused,
		wire.NotifyInvalidKEPayload: ike.PeerRefused, wire.NotifySinglePairRequired: ike.PeerRefused,
		wire.NotifyInternalAddressFailure: ike.PeerRefused, wire.NotifyFailedCPRequired: ike.PeerRefused,
		wire.NotifyInvalidSyntax: ike.PeerRefused, 16000: ike.PeerRefused,
	} {
		n, a, _ := createAnswers(t, "aes256gcm16", func([]wire.Payload) []wire.Payload {
			return []wire.Payload{&wire.Notify{Kind: kind}}
		})
		f := n.a.failure()
		if f.Child != "second" || f.Why.Cause != cause || !f.Why.ByPeer || !strings.Contains(f.Text, kind.String()) {
			t.Errorf("%s: %s", kind, f.Text)
		}
		if a.state != ike.Up || len(a.children) != 1 || a.active != nil || a.win.out != nil {
			t.Errorf("%s: state %d, %d children", kind, a.state, len(a.children))
		}
		if len(n.a.plane.reserved) != 1 {
			t.Errorf("%s: SPIs %v", kind, n.a.plane.reserved)
		}
	}
}

// A peer that is busy is asked again, some times.
func TestCreateBusy(t *testing.T) {
	n, a, _ := createAnswers(t, "aes256gcm16", func([]wire.Payload) []wire.Payload {
		return []wire.Payload{&wire.Notify{Kind: wire.NotifyTemporaryFailure}}
	})
	if s := a.Status(); len(s.Queued) != 1 || a.Deadline() < n.now.Add(retryLeast) || len(n.a.plane.reserved) != 1 || len(n.a.of(ike.Failed)) != 0 {
		t.Errorf("%+v, deadline in %v", s, a.Deadline().Sub(n.now))
	}
	// A command ends the wait.
	n.a.step(a, ike.Terminate{Child: "second", Why: "test"})
	if f := n.a.failure(); f.Child != "second" || f.Why.Cause != ike.Terminated || len(a.queue) != 0 {
		t.Error(f.Text)
	}
	n.a.reports = nil
	n.a.step(a, ike.Initiate{Child: "second"})
	n.pass(busyTries * 2 * busyTime)
	if f := n.a.failure(); f.Why.Notify != "TEMPORARY_FAILURE" || len(a.queue) != 0 || a.state != ike.Up {
		t.Error(f.Text)
	}
}

// A child that the peer believes in and that we cannot use is deleted there.
func TestCreateUnusable(t *testing.T) {
	peer := func(spi uint32, words string) *wire.SA {
		return &wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, words), be32(spi))}
	}
	nonce := &wire.Nonce{Data: make([]byte, 32)}
	tsOf := func(responder bool, s string) *wire.TS {
		return &wire.TS{Responder: responder, Selectors: ts.FromConf([]conf.Selector{subnet(s)}, addrA)}
	}
	i, r := tsOf(false, "172.16.0.0/24"), tsOf(true, "172.17.0.0/24")
	key := &wire.KE{Method: crypto.KECurve25519, Data: bytes.Repeat([]byte{9}, 32)}
	for name, c := range map[string]struct {
		esp   string
		ps    []wire.Payload
		cause ike.Cause
	}{
		"another suite":  {"aes256gcm16", []wire.Payload{peer(5, "aes128gcm16"), nonce, i, r}, ike.BadMessage},
		"SPI 0":          {"aes256gcm16", []wire.Payload{peer(0, "aes256gcm16"), nonce, i, r}, ike.BadMessage},
		"SPI in use":     {"aes256gcm16", []wire.Payload{peer(0x1001, "aes256gcm16"), nonce, i, r}, ike.BadMessage},
		"wider TSi":      {"aes256gcm16", []wire.Payload{peer(5, "aes256gcm16"), nonce, tsOf(false, "172.16.0.0/16"), r}, ike.NoSelectors},
		"other TSr":      {"aes256gcm16", []wire.Payload{peer(5, "aes256gcm16"), nonce, i, tsOf(true, "10.0.0.0/24")}, ike.NoSelectors},
		"transport mode": {"aes256gcm16", []wire.Payload{peer(5, "aes256gcm16"), nonce, i, r, &wire.Notify{Kind: wire.NotifyUseTransportMode}}, ike.BadMessage},
		"no PFS":         {"aes256gcm16-curve25519", []wire.Payload{peer(5, "aes256gcm16"), nonce, i, r}, ike.BadMessage},
		"no KE":          {"aes256gcm16-curve25519", []wire.Payload{peer(5, "aes256gcm16-curve25519"), nonce, i, r}, ike.BadMessage},
		"other KE":       {"aes256gcm16-curve25519", []wire.Payload{peer(5, "aes256gcm16-curve25519"), nonce, &wire.KE{Method: 19, Data: make([]byte, 64)}, i, r}, ike.BadMessage},
		"bad KE":         {"aes256gcm16-curve25519", []wire.Payload{peer(5, "aes256gcm16-curve25519"), nonce, &wire.KE{Method: 31, Data: make([]byte, 32)}, i, r}, ike.BadMessage},
		"good":           {"aes256gcm16-curve25519", []wire.Payload{peer(5, "aes256gcm16-curve25519"), nonce, key, i, tsOf(true, "172.17.0.128/25")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := createAnswers(t, c.esp, func([]wire.Payload) []wire.Payload { return c.ps })
			if c.cause == 0 {
				if len(a.children) != 2 || ts.String(a.children[1].Remote) != "172.17.0.128/25" || a.children[1].SPIOut != 5 {
					t.Error(n.story())
				}
				return
			}
			if f := n.a.failure(); f.Child != "second" || f.Why.Cause != c.cause {
				t.Error(f.Text)
			}
			request := n.sent[len(n.sent)-2]
			d, _ := wire.Find[*wire.Delete](n.open(b, request.data))
			if request.from != n.a || d == nil || d.Protocol != wire.ProtocolESP || len(d.SPIs) != 1 {
				t.Fatalf("the child is not deleted: %+v", d)
			}
			if spi := binary.BigEndian.Uint32(d.SPIs[0]); n.a.plane.reserved[spi] || len(n.a.plane.reserved) != 1 {
				t.Errorf("SPI %08x, reserved %v", spi, n.a.plane.reserved)
			}
			if a.state != ike.Up || len(a.children) != 1 || a.win.out != nil {
				t.Error("the IKE SA is not at rest")
			}
		})
	}
}

// The data plane, or a job, fails on either side.
func TestCreateFailsHere(t *testing.T) {
	broken := errors.New("the plane is broken")
	for _, c := range []struct {
		name   string
		breaks func(n *network, on bool)
		atB    bool
	}{
		{"no SPI at a", func(n *network, on bool) { n.a.plane.askErr = when(on, broken) }, false},
		{"no job at a", func(n *network, on bool) { n.a.jobErr = when(on, broken) }, false},
		{"no SAs at a", func(n *network, on bool) { n.a.plane.err = when(on, broken) }, false},
		{"no SPI at b", func(n *network, on bool) { n.b.plane.askErr = when(on, broken) }, true},
		{"no job at b", func(n *network, on bool) { n.b.jobErr = when(on, broken) }, true},
		{"no SAs at b", func(n *network, on bool) { n.b.plane.err = when(on, broken) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, a, _ := up(t, second(t, "aes256gcm16-curve25519", "aes256gcm16-curve25519"))
			c.breaks(n, true)
			n.a.step(a, ike.Initiate{Child: "second"})
			n.run()
			c.breaks(n, false)
			n.established(1)
			for _, h := range []*host{n.a, n.b} {
				if len(h.plane.sas) != 2 || len(h.plane.reserved) != 1 || len(h.plane.policies) != 3 {
					t.Errorf("%s: left in the data plane: %v", h.name, h.plane.log)
				}
			}
			if f := n.a.failure(); f.Child != "second" || (f.Why.Cause == ike.Internal) == c.atB {
				t.Error(f.Text)
			}
			if c.atB {
				if f := n.b.failure(); f.Child != "second" || f.Why.Cause != ike.Internal || !strings.Contains(f.Text, "broken") {
					t.Error(f.Text)
				}
			}
			n.a.step(a, ike.Initiate{Child: "second"})
			n.run()
			n.established(2)
		})
	}
}

func when(on bool, err error) error {
	if on {
		return err
	}
	return nil
}

// What a peer asks for by CREATE_CHILD_SA and does not get.
func TestCreateDenied(t *testing.T) {
	offer := func(words string, spi []byte) *wire.SA {
		return &wire.SA{Proposals: wireProposals(proposals(t, crypto.ESP, words), spi)}
	}
	nonce := &wire.Nonce{Data: make([]byte, 32)}
	tsOf := func(responder bool, s string) *wire.TS {
		return &wire.TS{Responder: responder, Selectors: ts.FromConf([]conf.Selector{subnet(s)}, addrA)}
	}
	i, r := tsOf(false, "172.16.0.0/24"), tsOf(true, "172.17.0.0/24")
	spi := be32(0x4711)
	for name, c := range map[string]struct {
		ps   []wire.Payload
		want string
		ends bool
	}{
		"no proposal":   {[]wire.Payload{offer("aes128-sha1", spi), nonce, i, r}, "NO_PROPOSAL_CHOSEN", false},
		"SPI 0":         {[]wire.Payload{offer("aes256gcm16-curve25519", be32(0)), nonce, i, r}, "NO_PROPOSAL_CHOSEN", false},
		"SPI in use":    {[]wire.Payload{offer("aes256gcm16-curve25519", be32(0x1001)), nonce, i, r}, "NO_PROPOSAL_CHOSEN", false},
		"no selectors":  {[]wire.Payload{offer("aes256gcm16-curve25519", spi), nonce, tsOf(false, "192.168.0.0/24"), r}, "TS_UNACCEPTABLE", false},
		"no KE":         {[]wire.Payload{offer("aes256gcm16-curve25519", spi), nonce, i, r}, "INVALID_KE_PAYLOAD", false},
		"other KE":      {[]wire.Payload{offer("aes256gcm16-curve25519", spi), nonce, &wire.KE{Method: 14, Data: make([]byte, 256)}, i, r}, "INVALID_KE_PAYLOAD", false},
		"bad KE":        {[]wire.Payload{offer("aes256gcm16-curve25519", spi), nonce, &wire.KE{Method: 31, Data: make([]byte, 32)}, i, r}, "INVALID_SYNTAX", true},
		"no PFS":        {[]wire.Payload{offer("aes256gcm16", spi), nonce, i, r}, "NO_PROPOSAL_CHOSEN", false},
		"unknown child": {[]wire.Payload{&wire.Notify{Kind: wire.NotifyRekeySA, Protocol: wire.ProtocolESP, SPI: be32(99)}, offer("aes256gcm16", spi), nonce, i, r}, "CHILD_SA_NOT_FOUND", false},
		"critical":      {[]wire.Payload{offer("aes256gcm16", spi), nonce, i, r, &wire.Raw{Kind: 222, CriticalFlag: true}}, "UNSUPPORTED_CRITICAL_PAYLOAD", false},
		"no nonce":      {[]wire.Payload{offer("aes256gcm16", spi), i, r}, "INVALID_SYNTAX", true},
		"no TSr":        {[]wire.Payload{offer("aes256gcm16", spi), nonce, i}, "INVALID_SYNTAX", true},
		"empty":         {nil, "INVALID_SYNTAX", true},
	} {
		t.Run(name, func(t *testing.T) {
			n, a, b := up(t, second(t, "aes256gcm16-curve25519", "aes256gcm16-curve25519"))
			ps := n.exchange(a, b, wire.CreateChildSA, c.ps...)
			if got := notifies(ps); got != c.want || len(ps) != 1 {
				t.Errorf("answered %s %v", got, ps)
			}
			if gone := len(n.b.sas) == 0; gone != c.ends {
				t.Errorf("the IKE SA is gone: %v", gone)
			}
			if c.ends {
				n.b.empty()
				return
			}
			if len(b.children) != 1 || b.serving != nil || len(n.b.plane.reserved) != 1 {
				t.Errorf("%d children, reserved %v", len(b.children), n.b.plane.reserved)
			}
			if ps := n.exchange(a, b, wire.Informational); ps == nil && b.win.nextRecv != 4 {
				t.Error("the IKE SA does not answer any more")
			}
		})
	}
}

// The number of children is bounded.
func TestTooManyChildren(t *testing.T) {
	n, a, b := up(t, second(t, "aes256gcm16", "aes256gcm16"))
	for len(b.children) < maxChildren {
		b.children = append(b.children, &childSA{SPIOut: 1, ExpireAt: ike.Never})
	}
	n.a.step(a, ike.Initiate{Child: "second"})
	n.run()
	if f := n.a.failure(); f.Why.Notify != "NO_ADDITIONAL_SAS" {
		t.Error(f.Text)
	}
}

// A child of the peer's that needs too many policies is refused, not half
// installed.
func TestTooManyPolicies(t *testing.T) {
	odd := func(c *conf.Child) {
		c.Local, c.Remote = nil, nil
		for i := range 4 {
			s := subnet("10.0.0.0/8")
			s.First, s.Last = s.First.Next(), s.Last.Prev()
			s.PortFirst = uint16(i)
			c.Local = append(c.Local, s)
			c.Remote = append(c.Remote, s)
		}
	}
	n := newNetwork(t, func(a, b *conf.Connection) { odd(a.Children[0]); odd(b.Children[0]) })
	n.a.dial()
	n.run()
	n.established(0)
	for _, h := range []*host{n.a, n.b} {
		if h.failure(); len(h.plane.sas)+len(h.plane.reserved) > 0 {
			t.Error("left in the data plane", h.plane.log)
		}
	}
}
