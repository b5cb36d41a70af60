package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// world is a Steward with machines that do anything a machine may do. Reports and
// orders are under way for a while.
type world struct {
	t        *testing.T
	s        *Steward
	rng      *rand.Rand
	now      ike.Instant
	machines map[uint64]*puppet
	order    []uint64 // of the machines
	mail     []ike.Report
	orders   []Order
	tickets  []uint64
	commands uint64
	open     map[uint64]bool // commands without an outcome
	nextID   uint64
	childID  uint64
	kind     bool // everything succeeds
	trace    []string
	seed     uint64
}

// puppet is a machine of a world.
type puppet struct {
	id       uint64
	conn     string
	mine     bool // we began it
	begun    ike.Instant
	up       bool
	ending   bool
	rekeyed  bool
	pending  []string
	children []phase2
}

func (w *world) Dial(d Dial) {
	p := &puppet{id: d.ID, conn: d.Conn.Name, mine: true}
	for _, x := range d.First {
		w.initiated(p, x.Child)
	}
	w.add(p)
}

func (w *world) add(p *puppet) {
	w.machines[p.id], p.begun = p, w.now
	w.order = append(w.order, p.id)
}

func (w *world) Order(o Order) {
	w.orders = append(w.orders, o)
	w.trace = append(w.trace, fmt.Sprintf("    order #%d %T%+v", o.IKE, o.Event, o.Event))
}
func (w *world) Trap([]esp.Op)                            {}
func (w *world) Locate(ticket uint64, _ *conf.Connection) { w.tickets = append(w.tickets, ticket) }
func (w *world) Report(ike.Report)                        {}
func (w *world) Outcome(waiter uint64, _ Outcome) {
	if !w.open[waiter] {
		w.fatal("command %d has a second outcome", waiter)
	}
	delete(w.open, waiter)
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.trace[max(0, len(w.trace)-80):] {
		w.t.Log(line)
	}
	w.t.Fatalf("seed %d: "+format, append([]any{w.seed}, args...)...)
}

func (w *world) handle(in StewardInput) {
	w.trace = append(w.trace, fmt.Sprintf("%s %T%+v", time.Duration(w.now), in, brief(in)))
	w.s.Handle(w.now, in)
	w.check()
}

func brief(in StewardInput) any {
	switch in := in.(type) {
	case Heard:
		r := in.Report
		return fmt.Sprint(r.Kind, " ", r.Conn, "/", r.Child, " #", r.IKE, " child ", r.ChildID, " new ", r.NewID, " ", r.Why)
	case Acquired:
		return in.Acquire.Policy
	case Load:
		return ""
	}
	return in
}

func (w *world) say(p *puppet, r ike.Report) {
	r.IKE, r.Conn = p.id, p.conn
	r.SA = &ike.Status{ID: p.id, Conn: p.conn, Initiator: p.mine, SPIi: p.id, LocalID: highID, RemoteID: lowID, Path: testPath}
	w.mail = append(w.mail, r)
}

func (w *world) initiated(p *puppet, child string) {
	has := func(c phase2) bool { return c.name == child && !c.ending }
	switch {
	case child == "" || slices.Contains(p.pending, child) || slices.ContainsFunc(p.children, has):
	case p.ending || p.rekeyed:
		w.say(p, ike.Report{Kind: ike.Failed, Child: child, Why: &ike.Refusal{Cause: ike.Terminated}})
	default:
		p.pending = append(p.pending, child)
	}
}

// obey gives the first order that is under way to its machine.
func (w *world) obey() {
	o := w.orders[0]
	w.orders = w.orders[1:]
	p := w.machines[o.IKE]
	if p == nil {
		return
	}
	switch ev := o.Event.(type) {
	case ike.Initiate:
		w.initiated(p, ev.Child)
	case ike.Terminate:
		w.terminated(p, ev)
	}
}

func (w *world) terminated(p *puppet, ev ike.Terminate) {
	switch {
	case ev.ChildID != 0:
		for i, c := range p.children {
			if c.id == ev.ChildID {
				p.children[i].ending = true
			}
		}
	case ev.Child != "":
		p.pending = slices.DeleteFunc(p.pending, func(name string) bool {
			if name == ev.Child {
				w.say(p, ike.Report{Kind: ike.Failed, Child: name, Why: &ike.Refusal{Cause: ike.Terminated}})
			}
			return name == ev.Child
		})
	case !p.up || ev.Force || ev.Silent:
		w.close(p, ike.Terminated)
	default:
		p.ending = true
		for _, name := range p.pending {
			w.say(p, ike.Report{Kind: ike.Failed, Child: name, Why: &ike.Refusal{Cause: ike.Terminated}})
		}
		p.pending = nil
	}
}

// close ends a machine.
func (w *world) close(p *puppet, cause ike.Cause) {
	why := &ike.Refusal{Cause: cause}
	for _, name := range p.pending {
		w.say(p, ike.Report{Kind: ike.Failed, Child: name, Why: why})
	}
	for _, c := range p.children {
		w.say(p, ike.Report{Kind: ike.ChildDown, Child: c.name, ChildID: c.id, Why: why})
	}
	kind := ike.IKEDown
	if !p.up {
		kind = ike.Failed
	}
	w.say(p, ike.Report{Kind: kind, Why: why})
	delete(w.machines, p.id)
	w.order = slices.DeleteFunc(w.order, func(id uint64) bool { return id == p.id })
}

// settle lets a machine do what it has to do.
func (w *world) settle(p *puppet) {
	switch {
	case !p.up:
		p.up = true
		w.say(p, ike.Report{Kind: ike.IKEUp, Begun: p.begun, InitialContact: w.rng.IntN(4) == 0})
	case p.ending || p.rekeyed:
		w.close(p, ike.Terminated)
	default:
		for _, name := range p.pending {
			w.grow(p, name)
		}
		p.pending = nil
		p.children = slices.DeleteFunc(p.children, func(c phase2) bool {
			if c.ending {
				w.say(p, ike.Report{Kind: ike.ChildDown, Child: c.name, ChildID: c.id})
			}
			return c.ending
		})
	}
}

func (w *world) grow(p *puppet, name string) {
	w.childID++
	p.children = append(p.children, phase2{id: w.childID, name: name})
	w.say(p, ike.Report{Kind: ike.ChildUp, Child: name, ChildID: w.childID})
}

// disturb does to a machine what a network and a peer can do to it.
func (w *world) disturb(p *puppet) {
	switch x := w.rng.IntN(8); {
	case x == 0 || !p.up:
		w.close(p, []ike.Cause{ike.NoAnswer, ike.PeerRefused, ike.Expired, ike.Terminated}[w.rng.IntN(4)])
	case p.ending || p.rekeyed:
	case x == 1 && len(p.pending) > 0:
		w.say(p, ike.Report{Kind: ike.Failed, Child: p.pending[0], Why: &ike.Refusal{Cause: ike.PeerRefused}})
		p.pending = p.pending[1:]
	case x == 2 && len(p.children) > 0:
		w.say(p, ike.Report{Kind: ike.ChildDown, Child: p.children[0].name, ChildID: p.children[0].id})
		p.children = p.children[1:]
	case x == 3:
		w.nextID += 2
		heir := &puppet{id: w.nextID, conn: p.conn, mine: p.mine, up: true, children: p.children, pending: p.pending}
		p.rekeyed, p.children, p.pending = true, nil, nil
		w.add(heir)
		w.say(p, ike.Report{Kind: ike.IKERekeyed, NewID: heir.id})
	case x == 4 && len(p.children) > 0 && !p.children[0].ending:
		w.childID++
		old := p.children[0]
		p.children[0].id = w.childID
		w.say(p, ike.Report{Kind: ike.ChildRekeyed, Child: old.name, ChildID: old.id, NewID: w.childID})
		w.say(p, ike.Report{Kind: ike.ChildDown, Child: old.name, ChildID: old.id})
	case x == 5:
		w.say(p, ike.Report{Kind: ike.ReauthDue})
	}
}

// sleep lets time pass.
func (w *world) sleep(d time.Duration) {
	for end := w.now.Add(d); ; {
		next := w.s.Next()
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		w.s.Expire(w.now)
		w.check()
		if again := w.s.Next(); again <= w.now {
			w.fatal("what was due is still due")
		}
	}
}

func (w *world) pick() *puppet { return w.machines[w.order[w.rng.IntN(len(w.order))]] }

func (w *world) located() {
	ticket := w.tickets[0]
	w.tickets = w.tickets[1:]
	in := Located{Ticket: ticket, Paths: []ike.Path{testPath, testPath}[:1+w.rng.IntN(2)]}
	if !w.kind && w.rng.IntN(4) == 0 {
		in = Located{Ticket: ticket, Err: errNoPath}
	}
	w.handle(in)
}

func (w *world) command() {
	w.commands++
	w.open[w.commands] = true
	conn := w.s.conf.Connections[w.rng.IntN(len(w.s.conf.Connections))]
	child := ""
	if len(conn.Children) > 0 && w.rng.IntN(2) == 0 {
		child = conn.Children[0].Name
	}
	switch w.rng.IntN(4) {
	case 0:
		w.handle(Down{Waiter: w.commands, Match: control.TerminateRequest{Conn: conn.Name, Child: child}})
	case 1:
		w.handle(Down{Waiter: w.commands, Match: control.TerminateRequest{Conn: conn.Name, Child: child, Force: true}})
	default:
		up := Up{Waiter: w.commands, Conn: conn.Name, Child: child}
		if conn.Gateways.Any() || w.rng.IntN(4) == 0 {
			up.Local, up.Remote = ownAddr.Addr(), peerAddr.Addr()
		}
		w.handle(up)
	}
}

// move does one thing that may happen.
func (w *world) move() {
	switch x := w.rng.IntN(20); {
	case x < 5 && len(w.mail) > 0:
		r := w.mail[0]
		w.mail = w.mail[1:]
		w.handle(Heard{r})
	case x < 8 && len(w.orders) > 0:
		w.obey()
	case x < 10 && len(w.tickets) > 0:
		w.located()
	case x < 13 && len(w.order) > 0:
		w.settle(w.pick())
	case x < 15 && len(w.order) > 0 && !w.kind:
		w.disturb(w.pick())
	case x == 15 && !w.kind && w.rng.IntN(2) == 0:
		w.nextID += 2
		conn := w.s.conf.Connections[w.rng.IntN(len(w.s.conf.Connections))]
		p := &puppet{id: w.nextID, conn: conn.Name}
		for _, c := range conn.Children {
			p.pending = append(p.pending, c.Name)
		}
		w.add(p)
	case x == 16 && !w.kind:
		w.command()
	case x == 17:
		if names := slices.Sorted(maps.Keys(w.s.policies)); len(names) > 0 {
			w.handle(Acquired{Acquire: esp.Acquire{Policy: names[w.rng.IntN(len(names))]}})
		}
	case x == 18 && !w.kind && w.rng.IntN(10) == 0:
		w.handle(Load{Config: randomConfig(w.rng)})
	default:
		w.sleep(time.Duration(w.rng.Int64N(int64(20 * time.Second))))
	}
}

func randomConfig(rng *rand.Rand) *conf.Config {
	single := netip.PrefixFrom(peerAddr.Addr(), 32)
	all := conf.Selector{First: peerAddr.Addr(), Last: peerAddr.Addr(), PortLast: 65535}
	c := &conf.Config{UniqueIDs: conf.UniqueIDs(rng.IntN(4))}
	for i, g := range []conf.Gateway{{Host: "peer"}, {Prefix: single}, {Host: "peer"}, {Any: true}} {
		conn := &conf.Connection{
			Name: fmt.Sprint("conn", i), Gateways: conf.Gateways{g}, Behavior: conf.Behavior(rng.IntN(3)), DPDAction: conf.DPDAction(rng.IntN(4)),
			KeyingTries: rng.IntN(3),
		}
		if g.Any {
			conn.Behavior = conf.ResponderOnly
		}
		if i != 1 {
			conn.Children = []*conf.Child{{Name: "lan"}, {Name: "voice", Local: []conf.Selector{all}, Remote: []conf.Selector{all}}}
		}
		c.Connections = append(c.Connections, conn)
	}
	return c
}
