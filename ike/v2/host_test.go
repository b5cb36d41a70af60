package v2

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
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
	counts  ike.Counts
	reports []ike.Report
	plane   plane
	hold    bool     // do not answer jobs and queries
	held    []func() // the answers
	jobErr  error    // what jobs fail with
	nextID  uint64
	last    *SA // spawned or made last
	asked   []ike.Activity
	tickets *Tickets
	idle    ike.Idle // the answer
	steps   int
	stepped func() // called after each step
	nonces  []byte // the first octets of those to come, after that they are random
	own     []netip.Addr
	routes  map[netip.Addr]netip.Addr // from where the peer's addresses are reached
}

var errNotHeld = errors.New("it is not held")

// plane is a data plane that only takes notes.
type plane struct {
	sas      map[esp.SAID]esp.SA
	policies map[string]esp.Policy
	reserved map[uint32]bool
	place    map[uint32]netip.Addr // for which an SPI was reserved
	astray   []esp.SAID            // inbound SAs that were added or removed elsewhere
	spi      uint32
	reqID    uint32
	child    uint64
	err      error // what the next Apply with a ticket fails with
	askErr   error
	beside   bool  // what Reserve says
	cpiErr   error // what a question for a CPI fails with
	log      []string
	order    []esp.SAID // outbound SAs as they were added
	watch    func()     // called after operations
}

func newHost(t testing.TB, n *network, name string, addr netip.Addr, conns ...*conf.Connection) *host {
	return &host{
		t: t, name: name, net: n, addr: addr, idle: -1, tickets: NewTickets(n.rand), sas: make(map[uint64]*SA),
		conf: &conf.Config{Retransmit: testRetransmit, Connections: conns},
		plane: plane{
			sas: make(map[esp.SAID]esp.SA), policies: make(map[string]esp.Policy), reserved: make(map[uint32]bool), place: make(map[uint32]netip.Addr), spi: 0x1000, reqID: 100,
		},
	}
}

func (h *host) conn() *conf.Connection { return h.conf.Connections[0] }

func (h *host) params() ike.Birth {
	h.nextID++
	return ike.Birth{SPI: h.random(), ID: h.nextID, Config: h.conf, Seed: 1, Own: h.own}
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
	defer func() {
		if h.steps++; h.stepped != nil {
			h.stepped()
		}
	}()
	var fx ike.Effects
	sa.Step(h.net.now, ev, &fx)
	for i, a := range fx.Actions {
		if _, last := a.(ike.Closed); last && i != len(fx.Actions)-1 {
			h.t.Errorf("%s: actions behind Closed: %v", h.name, fx.Actions[i+1:])
		}
		h.do(sa, a)
	}
	for _, c := range fx.Counted {
		h.counts[c]++
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
			result, err := a.Job.Run(h.net.rand)
			return h.marked(result), err
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
			if h.plane.err == errNotHeld { //nolint:errorlint // it is just that
				err, h.plane.err = errNotHeld, nil
			}
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

// marked gives the nonce in a result its first octet.
func (h *host) marked(result any) any {
	if len(h.nonces) == 0 {
		return result
	}
	switch r := result.(type) {
	case offered:
		r.nonce[0] = h.nonces[0]
		h.nonces = h.nonces[1:]
	case answered:
		r.nonce[0] = h.nonces[0]
		h.nonces = h.nonces[1:]
	}
	return result
}

// later answers a ticket, at once unless the host holds answers back.
func (h *host) later(sa *SA, ticket ike.Ticket, f func() (any, error)) {
	answer := func() {
		result, err := f()
		if r, ok := result.(ike.Reserved); ok && sa.closed {
			delete(h.plane.reserved, r.SPI) // as the engine does
		}
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
	case ike.Sources:
		out := make([]netip.Addr, len(q.Remotes))
		for i, r := range q.Remotes {
			out[i] = h.routes[r]
		}
		return out, nil
	case ike.SealTicket:
		return h.tickets.Seal(h.net.now, q)
	case ike.OpenTicket:
		return h.tickets.Open(h.net.now, q.Ticket)
	case ike.UseTicket:
		return nil, h.tickets.Use(h.net.now, q)
	case ike.Activity:
		h.asked = append(h.asked, q)
		return h.idle, nil
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
	if r.Proto == esp.ProtoIPComp && p.cpiErr != nil {
		return nil, p.cpiErr
	}
	p.spi++
	p.child++
	p.reserved[p.spi], p.place[p.spi] = true, r.Dst
	if r.ReqID == 0 {
		p.reqID++
		r.ReqID = p.reqID
	}
	return ike.Reserved{SPI: p.spi, ReqID: r.ReqID, ID: p.child, Beside: p.beside}, nil
}

func (p *plane) apply(ops []esp.Op) {
	if p.watch != nil {
		defer p.watch()
	}
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			p.sas[op.SA.ID] = op.SA
			p.reserved[op.SA.ID.SPI] = false
			p.complete(op.SA.ID, op.SA.Dir == esp.In)
			if op.SA.Dir == esp.Out {
				p.order = append(p.order, op.SA.ID)
			}
			p.note("add %s %08x", dirWord(op.SA.Dir), op.SA.ID.SPI)
		case esp.AdoptSA:
			if _, held := p.sas[op.SA.ID]; !held {
				p.err = errNotHeld
			}
			p.note("adopt %08x", op.SA.ID.SPI)
		case esp.DelSA:
			p.complete(op.ID, p.sas[op.ID].Dir == esp.In && p.reserved[op.ID.SPI])
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

// complete notes an inbound SA that does not take the place of its SPI.
func (p *plane) complete(id esp.SAID, inbound bool) {
	if at, ok := p.place[id.SPI]; inbound && ok && at != id.Dst {
		p.astray = append(p.astray, id)
	}
	delete(p.place, id.SPI)
}

// sending is the outbound SA that serves a request ID: the one added last.
func (p *plane) sending(reqID uint32) (sa esp.SA, ok bool) {
	for _, id := range slices.Backward(p.order) {
		if sa, ok = p.sas[id]; ok && sa.ReqID == reqID {
			return sa, true
		}
	}
	return sa, false
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

// settle lets the time go by after which nothing is left of what was replaced.
func (h *host) settle(sa *SA) {
	h.net.now = h.net.now.Add(lateTime)
	h.step(sa, ike.Timeout{})
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
