package v2

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// packet is a datagram on its way.
type packet struct {
	from     *host
	src, dst netip.AddrPort
	data     []byte
}

// network connects two hosts.
type network struct {
	t     testing.TB
	now   ike.Instant
	rand  *rand.ChaCha8
	a, b  *host
	queue []packet
	sent  []packet
	// intercept may change, drop or multiply what is sent.
	intercept func(p packet) []packet
	late      []packet // that arrive behind the next one
	last      []packet // that arrive when nothing else is on its way
	// nat changes addresses on the way.
	nat func(p *packet)
}

// newNetwork returns two hosts with the configurations that change may have
// altered.
func newNetwork(t testing.TB, change ...func(a, b *conf.Connection)) *network {
	n := &network{t: t, now: ike.Instant(time.Hour), rand: rand.NewChaCha8([32]byte{1})}
	ca, cb := testConn(t, true), testConn(t, false)
	for _, f := range change {
		f(ca, cb)
	}
	n.a = newHost(t, n, "a", addrA, ca)
	n.b = newHost(t, n, "b", addrB, cb)
	return n
}

func (n *network) send(p packet) {
	p.data = slices.Clone(p.data)
	n.sent = append(n.sent, p)
	out := []packet{p}
	if n.intercept != nil {
		out = n.intercept(p)
	}
	n.queue = append(n.queue, out...)
}

// run delivers messages until none is on its way.
func (n *network) run() {
	for i := 0; len(n.queue) > 0; i++ {
		if i > 100000 {
			n.t.Fatal("the hosts do not come to rest")
		}
		p := n.queue[0]
		n.queue = n.queue[1:]
		n.deliver(p)
	}
}

func (n *network) deliver(p packet) {
	to := n.a
	if p.from == n.a {
		to = n.b
	}
	if n.nat != nil {
		n.nat(&p)
	}
	to.receive(ike.Datagram{Path: ike.Path{Local: p.dst, Remote: p.src}, Data: slices.Clone(p.data)})
}

// passHeld is pass with messages that come late, and hosts whose answers to themselves
// come between messages.
func (n *network) passHeld(d time.Duration) {
	for end := n.now.Add(d); n.now < end; {
		for n.turn() {
		}
		n.leap(end)
	}
}

// turn does one thing that is to be done; it tells whether there was any.
func (n *network) turn() bool {
	for _, h := range []*host{n.a, n.b} {
		if len(h.held) > 0 && len(n.queue)%2 == 0 {
			f := h.held[0]
			h.held = h.held[1:]
			f()
			return true
		}
	}
	switch {
	case len(n.queue) > 0:
		p := n.queue[0]
		n.queue = append(n.queue[1:], n.late...)
		n.late = nil
		n.deliver(p)
	case len(n.a.held)+len(n.b.held) > 0:
		return n.turnHeld()
	case len(n.late) > 0:
		n.queue, n.late = n.late, nil
	case len(n.last) > 0:
		n.queue, n.last = n.last, nil
	default:
		return false
	}
	return true
}

func (n *network) turnHeld() bool {
	h := n.a
	if len(h.held) == 0 {
		h = n.b
	}
	f := h.held[0]
	h.held = h.held[1:]
	f()
	return true
}

// leap goes on to the next deadline, or to the end.
func (n *network) leap(end ike.Instant) {
	at := end
	for _, h := range []*host{n.a, n.b} {
		for _, sa := range h.sas {
			at = min(at, sa.Deadline())
		}
	}
	if n.now = max(n.now, at); n.now >= end {
		return
	}
	for _, h := range []*host{n.a, n.b} {
		for _, sa := range h.list() {
			if sa.Deadline() <= n.now {
				h.step(sa, ike.Timeout{})
			}
		}
	}
}

// pass lets time go by, deadline by deadline, with all that comes of it.
func (n *network) pass(d time.Duration) {
	end := n.now.Add(d)
	for range 10000 {
		n.run()
		at := ike.Never
		for _, h := range []*host{n.a, n.b} {
			for _, sa := range h.sas {
				at = min(at, sa.Deadline())
			}
		}
		if at > end {
			n.now = end
			return
		}
		n.now = max(n.now, at)
		for _, h := range []*host{n.a, n.b} {
			for _, sa := range h.list() {
				if sa.Deadline() <= n.now {
					h.step(sa, ike.Timeout{})
				}
			}
		}
	}
	n.t.Fatal("deadlines without end")
}

// up brings the tunnel up and returns both machines.
func up(t testing.TB, change ...func(a, b *conf.Connection)) (*network, *SA, *SA) {
	t.Helper()
	n := newNetwork(t, change...)
	a := n.a.dial()
	n.run()
	n.established(1)
	return n, a, n.b.list()[0]
}

// established fails the test unless both hosts have one IKE SA that is up with as
// many children, and agree about them.
func (n *network) established(children int) (a, b *SA) {
	n.t.Helper()
	if len(n.a.sas) != 1 || len(n.b.sas) != 1 {
		n.t.Fatalf("%d IKE SAs at a, %d at b\n%s", len(n.a.sas), len(n.b.sas), n.story())
	}
	a, b = n.a.list()[0], n.b.list()[0]
	sa, sb := a.Status(), b.Status()
	if sa.State != ike.Up || sb.State != ike.Up || len(sa.Children) != children || len(sb.Children) != children {
		n.t.Fatalf("a: state %d, %d children, b: state %d, %d children\n%s",
			sa.State, len(sa.Children), sb.State, len(sb.Children), n.story())
	}
	if sa.SPIi != sb.SPIi || sa.SPIr != sb.SPIr || sa.Suite != sb.Suite || sa.Initiator == sb.Initiator {
		n.t.Errorf("the IKE SAs differ: %+v\n%+v", sa, sb)
	}
	if sa.LocalID != sb.RemoteID || sa.RemoteID != sb.LocalID {
		n.t.Errorf("identities: %v %v, %v %v", sa.LocalID, sa.RemoteID, sb.LocalID, sb.RemoteID)
	}
	for _, c := range a.children {
		d := b.children[slices.IndexFunc(b.children, func(d *childSA) bool { return d.SPIIn == c.SPIOut })]
		n.sameChild(c, d)
	}
	return a, b
}

// sameChild compares the two ends of a child, in the data planes too.
func (n *network) sameChild(c, d *childSA) {
	n.t.Helper()
	if c.SPIIn != d.SPIOut || c.Suite != d.Suite || c.Mode != d.Mode || c.Encap != d.Encap ||
		fmt.Sprint(c.Local, c.Remote) != fmt.Sprint(d.Remote, d.Local) {
		n.t.Errorf("the children differ: %+v\n%+v", c, d)
	}
	in, out := n.a.plane.sas[c.InboundID()], n.b.plane.sas[d.OutboundID()]
	if string(in.EncrKey) != string(out.EncrKey) || string(in.IntegKey) != string(out.IntegKey) || len(in.EncrKey)+len(in.IntegKey) == 0 {
		n.t.Error("the keys of b's outbound SA differ")
	}
	in, out = n.b.plane.sas[d.InboundID()], n.a.plane.sas[c.OutboundID()]
	if string(in.EncrKey) != string(out.EncrKey) || string(in.IntegKey) != string(out.IntegKey) {
		n.t.Error("the keys of a's outbound SA differ")
	}
}

// story is what the hosts reported, for a test that fails.
func (n *network) story() string {
	var b strings.Builder
	for _, h := range []*host{n.a, n.b} {
		for _, r := range h.reports {
			fmt.Fprintf(&b, "%s: %s %q %s\n", h.name, kindWord(r.Kind), r.Child, r.Text)
		}
	}
	return b.String()
}

func kindWord(k ike.ReportKind) string {
	return []string{"Step", "Warning", "IKEUp", "IKEDown", "IKERekeyed", "ChildUp", "ChildDown", "ChildRekeyed", "Failed", "ReauthDue", "PeerLives", "IKEMoved"}[k]
}

// header returns the header of a message.
func header(t testing.TB, data []byte) wire.Header {
	t.Helper()
	h, err := wire.ParseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// craft seals payloads as the next request of a machine and returns the message.
func craft(t testing.TB, sa *SA, x wire.ExchangeType, ps ...wire.Payload) []byte {
	t.Helper()
	return craftMessage(t, sa, sa.header(x, sa.win.nextSend, false), ps...)
}

func craftMessage(t testing.TB, sa *SA, h wire.Header, ps ...wire.Payload) []byte {
	t.Helper()
	packets, err := sa.protect(h, ps...)
	if err != nil || len(packets) != 1 {
		t.Fatal(len(packets), err)
	}
	return packets[0]
}

// plainPayloads opens a message that from has sent, with the keys of the receiver.
func (n *network) open(to *SA, data []byte) []wire.Payload {
	n.t.Helper()
	data = slices.Clone(data)
	h := header(n.t, data)
	outer, err := wire.Parse(h.NextPayload, data[wire.HeaderLen:], wire.Limits{})
	if err != nil {
		n.t.Fatal(err)
	}
	sk, ok := outer[len(outer)-1].(*wire.SK)
	if !ok {
		return outer
	}
	plain, err := to.decrypt(data, sk.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	ps, err := wire.Parse(sk.First, plain, wire.Limits{})
	if err != nil {
		n.t.Fatal(err)
	}
	return ps
}

// exchange gives b a request in the name of a, and returns the payloads of the
// answer. The message IDs of a go on.
func (n *network) exchange(a, b *SA, x wire.ExchangeType, ps ...wire.Payload) []wire.Payload {
	n.t.Helper()
	data := craft(n.t, a, x, ps...)
	a.win.nextSend++
	return n.ask(a, b, data)
}

// ask delivers a request to b and returns the payloads of its answer, which a does
// not see; nil if there is none.
func (n *network) ask(a, b *SA, data []byte) []wire.Payload {
	n.t.Helper()
	before := len(n.sent)
	keep := n.intercept
	n.intercept = func(packet) []packet { return nil }
	n.b.step(b, ike.Datagram{Path: b.path, Data: slices.Clone(data)})
	n.intercept = keep
	for _, p := range n.sent[before:] {
		if p.from == n.b && header(n.t, p.data).Flags&wire.FlagResponse != 0 {
			return n.open(a, p.data)
		}
	}
	return nil
}

func notifies(ps []wire.Payload) string {
	var words []string
	for _, p := range ps {
		if n, ok := p.(*wire.Notify); ok {
			words = append(words, n.Kind.String())
		}
	}
	return strings.Join(words, " ")
}
