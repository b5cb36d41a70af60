package v2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/wire"
)

// host runs machines the way an engine does, without one: jobs and queries are
// answered on the spot, under virtual time.
type host struct {
	t       testing.TB
	name    string
	net     *network
	addr    netip.Addr
	conf    *conf.Config
	sas     map[uint64]*SA // by our SPI
	reports []ike.Report
	plane   plane
	hold    bool     // do not answer jobs and queries
	held    []func() // the answers
	jobErr  error    // what jobs fail with
	nextID  uint64
	last    *SA // spawned or made last
}

// plane is a data plane that only takes notes.
type plane struct {
	sas      map[esp.SAID]esp.SA
	policies map[string]esp.Policy
	reserved map[uint32]bool
	spi      uint32
	reqID    uint32
	child    uint64
	err      error // what the next Apply with a ticket fails with
	askErr   error
	log      []string
}

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
	// nat changes addresses on the way.
	nat func(p *packet)
}

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("198.51.100.2")
)

const testPSK = "a secret that both sides know"

// testRetransmit is the default of the configuration.
var testRetransmit = conf.Retransmit{Timeout: 4 * time.Second, Base: 1.8, Tries: 5}

func proposals(t testing.TB, p crypto.Proto, words ...string) []crypto.Proposal {
	t.Helper()
	var out []crypto.Proposal
	for _, w := range words {
		x, err := crypto.ParseProposal(p, w)
		if err != nil {
			t.Fatal(w, err)
		}
		out = append(out, x)
	}
	return out
}

func mustID(t testing.TB, s string) id.ID {
	t.Helper()
	i, err := id.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func subnet(s string) conf.Selector {
	p := netip.MustParsePrefix(s)
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return conf.Selector{First: p.Addr(), Last: end, PortLast: 65535}
}

// testConn is one side's configuration of the tunnel between a and b.
func testConn(t testing.TB, left bool) *conf.Connection {
	c := &conf.Connection{
		Name: "site", Version: conf.IKEv2, RemotePort: ike.Port,
		Proposals: proposals(t, crypto.IKE, "aes256gcm16-prfsha256-curve25519"),
		Lifetime:  3 * time.Hour, PSK: crypto.Secret(testPSK), Fragmentation: true, FragmentSize: 1280,
		Local: conf.Auth{ID: mustID(t, "a.example.org")}, Remote: conf.Auth{ID: mustID(t, "b.example.org")},
		Gateway: conf.Gateway{Prefix: netip.PrefixFrom(addrB, 32)},
		Children: []*conf.Child{{
			Name: "lan", Protocol: crypto.ESP, Proposals: proposals(t, crypto.ESP, "aes256gcm16"), Lifetime: time.Hour,
			Local: []conf.Selector{subnet("10.1.0.0/16")}, Remote: []conf.Selector{subnet("10.2.0.0/16")}, Window: 128,
		}},
	}
	if !left {
		c.Local.ID, c.Remote.ID = c.Remote.ID, c.Local.ID
		c.Gateway.Prefix = netip.PrefixFrom(addrA, 32)
		child := c.Children[0]
		child.Local, child.Remote = child.Remote, child.Local
	}
	return c
}

// child adds a child to a side's connection.
func addChild(t testing.TB, c *conf.Connection, name, local, remote, esp string) *conf.Child {
	n := &conf.Child{
		Name: name, Protocol: crypto.ESP, Proposals: proposals(t, crypto.ESP, esp), Lifetime: time.Hour,
		Local: []conf.Selector{subnet(local)}, Remote: []conf.Selector{subnet(remote)}, Window: 128,
	}
	c.Children = append(c.Children, n)
	return n
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

func newHost(t testing.TB, n *network, name string, addr netip.Addr, conns ...*conf.Connection) *host {
	return &host{
		t: t, name: name, net: n, addr: addr, sas: make(map[uint64]*SA),
		conf: &conf.Config{Retransmit: testRetransmit, Connections: conns},
		plane: plane{
			sas: make(map[esp.SAID]esp.SA), policies: make(map[string]esp.Policy), reserved: make(map[uint32]bool), spi: 0x1000, reqID: 100,
		},
	}
}

func (h *host) conn() *conf.Connection { return h.conf.Connections[0] }

func (h *host) params() ike.Birth {
	h.nextID++
	return ike.Birth{SPI: h.random(), ID: h.nextID, Config: h.conf, Seed: 1}
}

func (h *host) random() uint64 { return h.net.rand.Uint64() | 1 }

// dial begins the first connection with its first child.
func (h *host) dial(children ...string) *SA {
	peer := h.net.b
	if h == h.net.b {
		peer = h.net.a
	}
	p := h.params()
	p.InitialContact = true
	sa := dial(p, h.conn(), ike.Path{Local: netip.AddrPortFrom(h.addr, ike.Port), Remote: netip.AddrPortFrom(peer.addr, ike.Port)})
	h.add(p.SPI, sa)
	if len(children) == 0 {
		children = []string{"lan"}
	}
	for _, c := range children {
		h.step(sa, ike.Initiate{Child: c})
	}
	return sa
}

func (h *host) add(spi uint64, sa *SA) {
	h.sas[spi] = sa
	h.last = sa
}

// step gives an event to a machine and carries out what it wants.
func (h *host) step(sa *SA, ev ike.Event) {
	var fx ike.Effects
	sa.Step(h.net.now, ev, &fx)
	for i, a := range fx.Actions {
		if _, last := a.(ike.Closed); last && i != len(fx.Actions)-1 {
			h.t.Errorf("%s: actions behind Closed: %v", h.name, fx.Actions[i+1:])
		}
		h.do(sa, a)
	}
}

func (h *host) do(sa *SA, a ike.Action) {
	switch a := a.(type) {
	case ike.Send:
		h.net.send(packet{h, a.Path.Local, a.Path.Remote, a.Data})
	case ike.Compute:
		h.later(sa, a.Ticket, func() (any, error) {
			if h.jobErr != nil {
				return nil, h.jobErr
			}
			return a.Job.Run(h.net.rand)
		})
	case ike.Ask:
		h.later(sa, a.Ticket, func() (any, error) { return h.answer(a.Query) })
	case ike.Install:
		if a.Ticket == 0 {
			h.plane.apply(a.Ops)
			return
		}
		err := h.plane.err
		if err == nil {
			h.plane.apply(a.Ops)
		}
		h.later(sa, a.Ticket, func() (any, error) { return nil, err })
	case ike.Spawn:
		h.add(a.SPI, a.Machine.(*SA))
	case ike.Report:
		h.reports = append(h.reports, a)
	case ike.Closed:
		h.forget(sa)
	}
}

// later answers a ticket, at once unless the host holds answers back.
func (h *host) later(sa *SA, ticket ike.Ticket, f func() (any, error)) {
	answer := func() {
		result, err := f()
		h.step(sa, ike.Done{Ticket: ticket, Result: result, Err: err})
	}
	h.held = append(h.held, answer)
	if !h.hold {
		h.release()
	}
}

// release gives the answers that were held back.
func (h *host) release() {
	for len(h.held) > 0 {
		f := h.held[0]
		h.held = h.held[1:]
		f()
	}
}

func (h *host) answer(q ike.Query) (any, error) {
	switch q := q.(type) {
	case ike.Reserve:
		return h.plane.reserve(q)
	case ike.NewIKESPI:
		h.nextID++
		return ike.NewSPI{SPI: h.random(), ID: h.nextID}, nil
	}
	return nil, errors.New("unknown query")
}

func (h *host) forget(sa *SA) {
	for spi, x := range h.sas {
		if x == sa {
			delete(h.sas, spi)
		}
	}
}

func (p *plane) reserve(r ike.Reserve) (any, error) {
	if p.askErr != nil {
		return nil, p.askErr
	}
	p.spi++
	p.child++
	p.reserved[p.spi] = true
	if r.ReqID == 0 {
		p.reqID++
		r.ReqID = p.reqID
	}
	return ike.Reserved{SPI: p.spi, ReqID: r.ReqID, ID: p.child}, nil
}

func (p *plane) apply(ops []esp.Op) {
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			p.sas[op.SA.ID] = op.SA
			p.reserved[op.SA.ID.SPI] = false
			p.note("add %s %08x", dirWord(op.SA.Dir), op.SA.ID.SPI)
		case esp.DelSA:
			delete(p.sas, op.ID)
			delete(p.reserved, op.ID.SPI)
			p.note("del %08x", op.ID.SPI)
		case esp.MoveSA:
			sa := p.sas[op.ID]
			delete(p.sas, op.ID)
			sa.ID.Dst, sa.Src, sa.Encap = op.Dst, op.Src, op.Encap
			p.sas[sa.ID] = sa
			p.note("move %08x", op.ID.SPI)
		case esp.AddPolicy:
			p.policies[policyKey(op.Policy)] = op.Policy
		case esp.DelPolicy:
			delete(p.policies, policyKey(op.Policy))
		}
	}
}

func dirWord(d esp.Direction) string {
	if d == esp.Out {
		return "out"
	}
	return "in"
}

func policyKey(p esp.Policy) string { return fmt.Sprint(p.Sel, p.Dir, p.Owner) }

func (p *plane) note(format string, args ...any) { p.log = append(p.log, fmt.Sprintf(format, args...)) }

// empty fails the test when anything is left in the data plane.
func (h *host) empty() {
	h.t.Helper()
	if len(h.plane.sas)+len(h.plane.policies)+len(h.plane.reserved) > 0 {
		h.t.Errorf("%s: left in the data plane: %d SAs, %d policies, reserved %v",
			h.name, len(h.plane.sas), len(h.plane.policies), h.plane.reserved)
	}
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

// receive finds the machine of a message, or makes one for a first message.
func (h *host) receive(dg ike.Datagram) {
	hd, err := wire.ParseHeader(dg.Data)
	if err != nil {
		return
	}
	spi := hd.SPIi
	if hd.Flags&wire.FlagInitiator != 0 {
		spi = hd.SPIr
	}
	if spi == 0 {
		for _, sa := range h.sas {
			if !sa.initiator && sa.spiI == hd.SPIi {
				h.step(sa, dg)
				return
			}
		}
		if checkFirst(hd, dg.Data) != nil {
			return
		}
		p := h.params()
		sa := respond(p, dg.Path)
		h.add(p.SPI, sa)
		h.step(sa, dg)
		return
	}
	if sa := h.sas[spi]; sa != nil {
		h.step(sa, dg)
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

// list returns the machines in the order of their IDs.
func (h *host) list() []*SA {
	var out []*SA
	for _, sa := range h.sas {
		out = append(out, sa)
	}
	slices.SortFunc(out, func(x, y *SA) int { return int(x.ID) - int(y.ID) })
	return out
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
	return []string{"Step", "Warning", "IKEUp", "IKEDown", "IKERekeyed", "ChildUp", "ChildDown", "ChildRekeyed", "Failed"}[k]
}

// of returns the reports of a kind.
func (h *host) of(k ike.ReportKind) []ike.Report {
	var out []ike.Report
	for _, r := range h.reports {
		if r.Kind == k {
			out = append(out, r)
		}
	}
	return out
}

// failure returns the only report of a failure.
func (h *host) failure() ike.Report {
	h.t.Helper()
	f := h.of(ike.Failed)
	if len(f) != 1 {
		h.t.Fatalf("%s: %d failures\n%s", h.name, len(f), h.net.story())
	}
	if f[0].Why == nil || f[0].Text != f[0].Why.String() {
		h.t.Errorf("text %q, reason %+v", f[0].Text, f[0].Why)
	}
	return f[0]
}

// kinds are the kinds of all reports but steps, in order.
func (h *host) kinds() string {
	var words []string
	for _, r := range h.reports {
		if r.Kind != ike.Step {
			words = append(words, kindWord(r.Kind))
		}
	}
	return strings.Join(words, " ")
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

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func pathOf(local, remote string) ike.Path {
	return ike.Path{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)}
}
