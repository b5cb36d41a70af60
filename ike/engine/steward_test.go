package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// office is a Steward and all that it has asked for.
type office struct {
	t        *testing.T
	s        *Steward
	now      ike.Instant
	tickets  []uint64
	dials    []Dial
	orders   []Order
	traps    [][]esp.Op
	reports  []ike.Report
	outcomes map[uint64]Outcome
	childID  uint64
	id       id.ID // our own
}

func (o *office) Dial(d Dial)                              { o.dials = append(o.dials, d) }
func (o *office) Order(x Order)                            { o.orders = append(o.orders, x) }
func (o *office) Trap(ops []esp.Op)                        { o.traps = append(o.traps, ops) }
func (o *office) Locate(ticket uint64, _ *conf.Connection) { o.tickets = append(o.tickets, ticket) }
func (o *office) Report(r ike.Report)                      { o.reports = append(o.reports, r) }
func (o *office) Outcome(waiter uint64, out Outcome) {
	if _, twice := o.outcomes[waiter]; twice {
		o.t.Errorf("a second outcome for %d: %+v", waiter, out)
	}
	o.outcomes[waiter] = out
}

func newOffice(t *testing.T, c *conf.Config) *office {
	o := &office{t: t, outcomes: make(map[uint64]Outcome), childID: 100, id: highID}
	o.s = NewSteward(StewardConfig{Seed: 1, FirstID: 1, StepID: 2}, o)
	o.handle(Load{Config: c})
	return o
}

func (o *office) handle(in StewardInput) { o.s.Handle(o.now, in) }

// wait lets time pass, with all that is due in it.
func (o *office) wait(d time.Duration) {
	for end := o.now.Add(d); ; {
		next := o.s.Next()
		if next > end {
			o.now = end
			return
		}
		o.now = max(o.now, next)
		o.s.Expire(o.now)
	}
}

// locate answers the last search and returns the Dial that follows.
func (o *office) locate(err error) *Dial {
	o.t.Helper()
	if len(o.tickets) == 0 {
		o.t.Fatal("no search for the peer")
	}
	ticket, before := o.tickets[len(o.tickets)-1], len(o.dials)
	o.tickets = o.tickets[:len(o.tickets)-1]
	paths := []ike.Path{testPath}
	if err != nil {
		paths = nil
	}
	o.handle(Located{Ticket: ticket, Paths: paths, Err: err})
	if len(o.dials) == before {
		return nil
	}
	return &o.dials[before]
}

// up tells that an IKE SA is up with a child, and returns that child's unique ID.
func (o *office) up(ikeID uint64, initiator bool, child string) uint64 {
	return o.upSince(o.now, ikeID, initiator, child)
}

// The identities of the tests.
var lowID, highID = id.FromAddr(peerAddr.Addr()), id.FromAddr(ownAddr.Addr())

func (o *office) upSince(begun ike.Instant, ikeID uint64, initiator bool, child string) uint64 {
	st := &ike.Status{ID: ikeID, Conn: "site", Initiator: initiator, SPIi: ikeID, LocalID: o.id, RemoteID: lowID}
	o.handle(Heard{ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: ikeID, SA: st, Begun: begun}})
	if child == "" {
		return 0
	}
	o.childID++
	o.handle(Heard{ike.Report{Kind: ike.ChildUp, Conn: "site", Child: child, IKE: ikeID, ChildID: o.childID, SA: st}})
	return o.childID
}

func (o *office) down(ikeID uint64, why *ike.Refusal) {
	o.handle(Heard{ike.Report{Kind: ike.IKEDown, Conn: "site", IKE: ikeID, SA: &ike.Status{ID: ikeID}, Why: why}})
}

func (o *office) fail(ikeID uint64) {
	o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", IKE: ikeID, Text: "refused", Why: &ike.Refusal{Cause: ike.PeerRefused}}})
}

func (o *office) state() string { return o.s.Conns()[0].State }

// terminated tells whether an IKE SA was ordered to end.
func (o *office) terminated(ikeID uint64) bool {
	return slices.ContainsFunc(o.orders, func(x Order) bool {
		t, ok := x.Event.(ike.Terminate)
		return ok && x.IKE == ikeID && t.ChildID == 0
	})
}

// A connection that has to be up is tried as often as keying_tries says, with
// growing pauses, and then given up; `up` begins again.
func TestRetries(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	var begun []ike.Instant
	o.tickets = o.tickets[1:] // the first is for the trap of a child without networks
	for try := 1; try <= 3; try++ {
		for range 60 {
			if len(o.tickets) == 0 {
				o.wait(time.Second)
			}
		}
		d := o.locate(nil)
		if d == nil || len(d.First) != 1 || d.First[0].Child != "lan" || !d.InitialContact {
			t.Fatalf("try %d: %+v", try, d)
		}
		begun = append(begun, o.now)
		if got := o.state(); got != "connecting" {
			t.Errorf("state %s", got)
		}
		o.fail(d.ID)
		if try < 3 && o.state() != "waiting" {
			t.Errorf("state %s", o.state())
		}
	}
	o.wait(time.Hour)
	if a, b := begun[1].Sub(begun[0]), begun[2].Sub(begun[1]); a < firstRetry || b < 2*firstRetry || b > 3*firstRetry {
		t.Errorf("pauses of %s and %s", a, b)
	}
	if len(o.tickets) > 0 || o.state() != "stopped" || !strings.Contains(o.reports[len(o.reports)-1].Text, "keying_tries") {
		t.Errorf("not given up: %s, %+v", o.state(), o.reports)
	}
	o.handle(Up{Waiter: 9, Conn: "site"})
	o.up(o.locate(nil).ID, true, "lan")
	if got := o.outcomes[9]; got.Err != nil || o.state() != "up" {
		t.Errorf("%+v, state %s", got, o.state())
	}
}

// A search that fails counts as a try, and tells who waits why.
func TestUnlocated(t *testing.T) {
	o := newOffice(t, siteConfig(conf.OnDemand))
	o.locate(nil) // for the trap of a child without networks
	o.handle(Up{Waiter: 1, Conn: "site"})
	if d := o.locate(errors.New("no such host")); d != nil {
		t.Fatalf("dialled: %+v", d)
	}
	if got := o.outcomes[1]; got.Err == nil || !strings.Contains(got.Err.Error(), "no such host") {
		t.Errorf("%+v", got)
	}
	if c := o.s.Conns()[0]; c.LastError == nil || c.State != "waiting" || c.Try != 1 {
		t.Errorf("%+v", c)
	}
}

// What is being taken down is not up: `up` sets up another, without waiting for a
// peer that may be dead.
func TestUpWhileGoing(t *testing.T) {
	o := newOffice(t, siteConfig(conf.OnDemand))
	o.locate(nil)
	o.handle(Up{Waiter: 1, Conn: "site"})
	first := o.locate(nil).ID
	o.up(first, true, "lan")
	o.handle(Down{Waiter: 2, Match: control.TerminateRequest{Conn: "site"}})
	if !o.terminated(first) || o.state() == "up" {
		t.Fatalf("not taken down: %+v, %s", o.orders, o.state())
	}
	o.handle(Up{Waiter: 3, Conn: "site"})
	if _, done := o.outcomes[3]; done {
		t.Fatal("up already")
	}
	second := o.locate(nil)
	if second == nil {
		t.Fatal("not dialled")
	}
	o.up(second.ID, true, "lan")
	o.down(first, nil)
	if got := o.outcomes[2]; got.Err != nil || got.Matched != 1 {
		t.Errorf("down: %+v", got)
	}
	if got := o.outcomes[3]; got.Err != nil || o.state() != "up" {
		t.Errorf("up: %+v, %s", got, o.state())
	}
	// The same for a child alone.
	o.handle(Down{Waiter: 4, Match: control.TerminateRequest{Conn: "site", Child: "lan"}})
	o.handle(Up{Waiter: 5, Conn: "site", Child: "lan"})
	if x := o.orders[len(o.orders)-1]; x.IKE != second.ID || x.Event.(ike.Initiate).Child != "lan" {
		t.Errorf("asked for: %+v", x)
	}
	o.handle(Heard{ike.Report{Kind: ike.ChildDown, Conn: "site", Child: "lan", IKE: second.ID, ChildID: o.childID}})
	o.handle(Heard{ike.Report{Kind: ike.ChildUp, Conn: "site", Child: "lan", IKE: second.ID, ChildID: 1000}})
	if o.outcomes[4].Err != nil || o.outcomes[5].Err != nil || len(o.outcomes) != 5 || o.state() != "up" {
		t.Errorf("%+v, %s", o.outcomes, o.state())
	}
}

// Whoever waits for something that is taken down meanwhile is told.
func TestWaitersAreTold(t *testing.T) {
	for name, down := range map[string]control.TerminateRequest{"connection": {Conn: "site"}, "child": {Conn: "site", Child: "lan"}} {
		for _, b := range []conf.Behavior{conf.OnDemand, conf.Start} {
			o := newOffice(t, siteConfig(b))
			o.handle(Up{Waiter: 1, Conn: "site", Child: "lan"})
			d := o.locate(nil)
			if d == nil {
				d = o.locate(nil)
			}
			o.fail(d.ID)
			o.handle(Up{Waiter: 2, Conn: "site", Child: "lan"})
			o.handle(Down{Waiter: 3, Match: down})
			o.locate(nil)
			for waiter := uint64(1); waiter <= 2; waiter++ {
				if got, told := o.outcomes[waiter]; !told || got.Err == nil {
					t.Errorf("%s: %d: %+v, told: %v", name, waiter, got, told)
				}
			}
			if len(o.dials) != 1 || o.s.Next() != ike.Never {
				t.Errorf("%s: it goes on: %+v", name, o.dials)
			}
		}
	}
}

// Who gives up waiting learns how much there was to wait for.
func TestLeave(t *testing.T) {
	o := newOffice(t, siteConfig(conf.OnDemand))
	o.locate(nil)
	o.handle(Up{Waiter: 1, Conn: "site"})
	o.handle(Leave{Waiter: 1})
	if got := o.outcomes[1]; !errors.Is(got.Err, errLeft) {
		t.Errorf("%+v", got)
	}
	o.up(o.locate(nil).ID, true, "lan")
	o.handle(Down{Waiter: 2, Match: control.TerminateRequest{Conn: "site"}})
	o.handle(Leave{Waiter: 2})
	o.handle(Leave{Waiter: 2})
	if got := o.outcomes[2]; !errors.Is(got.Err, errLeft) || got.Matched != 1 {
		t.Errorf("%+v", got)
	}
}

// An IKE SA that does not last is set up again later and later.
func TestFlaps(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	var pauses []time.Duration
	for range 6 {
		sa := o.locate(nil).ID
		o.up(sa, true, "lan")
		o.tickets = nil
		o.wait(time.Second)
		o.down(sa, nil)
		went := o.now
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
		pauses = append(pauses, o.now.Sub(went))
	}
	if !slices.IsSorted(pauses[:5]) || pauses[0] < firstRetry || pauses[5] < 8*firstRetry {
		t.Errorf("pauses %v", pauses)
	}
}

// A new configuration takes down what has changed and leaves the rest alone; what is
// no longer configured leaves nothing behind.
func TestLoad(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	sa := o.locate(nil).ID
	o.up(sa, true, "lan")
	o.handle(Load{Config: siteConfig(conf.Start)})
	if len(o.orders) > 0 || len(o.dials) != 1 {
		t.Fatalf("an unchanged connection was touched: %+v", o.orders)
	}
	other := siteConfig(conf.Start)
	other.Connections[0].ForceEncap = true
	o.handle(Up{Waiter: 1, Conn: "site"})
	o.handle(Load{Config: other})
	if !o.terminated(sa) {
		t.Errorf("ordered: %+v", o.orders)
	}
	o.down(sa, nil)
	second := o.locate(nil)
	if second == nil || o.s.Config() != other {
		t.Fatal("the changed connection is not set up")
	}
	o.handle(Up{Waiter: 2, Conn: "site"})
	o.handle(Load{Config: &conf.Config{}})
	if got := o.outcomes[2]; got.Err == nil {
		t.Errorf("who waited: %+v", got)
	}
	o.fail(second.ID)
	o.wait(time.Hour)
	if len(o.s.sas)+len(o.s.links)+len(o.s.unique)+len(o.s.policies)+len(o.s.downs)+len(o.s.schedule) > 0 {
		t.Errorf("left: %+v", o.s)
	}
}

// After Stop nothing is begun any more, and it ends when the last IKE SA is gone.
func TestStop(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	sa := o.locate(nil).ID
	o.up(sa, true, "lan")
	o.handle(Stop{Waiter: 1})
	o.handle(Up{Waiter: 2, Conn: "site"})
	if _, done := o.outcomes[1]; done || o.outcomes[2].Err == nil {
		t.Errorf("%+v", o.outcomes)
	}
	o.handle(Stop{Waiter: 3, Force: true})
	if x := o.orders[len(o.orders)-1].Event.(ike.Terminate); !x.Force {
		t.Errorf("ordered: %+v", x)
	}
	o.down(sa, nil)
	o.wait(time.Hour)
	if o.outcomes[1].Err != nil || o.outcomes[3].Err != nil || len(o.outcomes) != 3 || len(o.dials) != 1 {
		t.Errorf("%+v, %+v", o.outcomes, o.dials)
	}
	o.s.Release()
}

// A child that failed before its IKE SA was up is asked for again when that is up.
func TestChildFailedEarly(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	d := o.locate(nil)
	if d == nil {
		t.Fatal("not begun")
	}
	o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", Child: "lan", IKE: d.ID, Why: &ike.Refusal{Cause: ike.Internal}}})
	before := len(o.orders)
	o.up(d.ID, true, "")
	asked := slices.ContainsFunc(o.orders[before:], func(x Order) bool {
		ev, ok := x.Event.(ike.Initiate)
		return ok && x.IKE == d.ID && ev.Child == "lan"
	})
	if !asked {
		t.Errorf("not asked for again: %v", o.orders[before:])
	}
}

// The policies of a load change at once: what the old and the new configuration both
// protect is protected in between.
func TestTrapsOfALoadChangeTogether(t *testing.T) {
	prefix := conf.Selector{First: peerAddr.Addr(), Last: peerAddr.Addr(), PortLast: 65535}
	config := func(port uint16) *conf.Config {
		c := &conf.Config{}
		for _, name := range []string{"a", "b"} {
			c.Connections = append(c.Connections, &conf.Connection{
				Name: name, Behavior: conf.OnDemand, Gateways: conf.Gateways{{Host: "peer"}}, RemotePort: port,
				Children: []*conf.Child{{Name: "lan", Local: []conf.Selector{prefix}, Remote: []conf.Selector{prefix}}},
			})
		}
		return c
	}
	o := newOffice(t, config(500))
	if len(o.traps) != 1 || len(o.traps[0]) != 6 {
		t.Fatalf("two connections came by %d changes: %v", len(o.traps), o.traps)
	}
	o.handle(Load{Config: config(501)})
	if len(o.traps) != 2 || len(o.traps[1]) != 12 {
		t.Fatalf("two changed connections took %d changes", len(o.traps)-1)
	}
	if _, ok := o.traps[1][11].(esp.AddPolicy); !ok {
		t.Errorf("what is new does not come last: %v", o.traps[1])
	}
}
