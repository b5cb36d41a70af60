package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
)

// twoChildren is a site with the children lan and voice, at one address.
func twoChildren(b conf.Behavior) *conf.Config {
	c := siteConfig(b)
	net := []conf.Selector{{First: peerAddr.Addr(), Last: peerAddr.Addr(), PortLast: 65535}}
	conn := c.Connections[0]
	conn.Gateways = conf.Gateways{{Prefix: netip.PrefixFrom(peerAddr.Addr(), 32)}}
	conn.Children = []*conf.Child{{Name: "lan", Local: net, Remote: net}, {Name: "voice", Local: net, Remote: net}}
	return c
}

func (o *office) childDown(ikeID, childID uint64, name string) {
	o.handle(Heard{ike.Report{Kind: ike.ChildDown, Conn: "site", Child: name, IKE: ikeID, ChildID: childID}})
}

func (o *office) childUp(ikeID uint64, name string) uint64 {
	o.childID++
	o.handle(Heard{ike.Report{Kind: ike.ChildUp, Conn: "site", Child: name, IKE: ikeID, ChildID: o.childID}})
	return o.childID
}

func (o *office) childFailed(ikeID uint64, name string) {
	why := &ike.Refusal{Cause: ike.NoSelectors}
	o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", Child: name, IKE: ikeID, Why: why, Text: "no selectors"}})
}

// both brings an IKE SA up with both children.
func (o *office) both(ikeID uint64, initiator bool) {
	o.up(ikeID, initiator, "lan")
	o.childUp(ikeID, "voice")
}

// lose takes an IKE SA down as a machine does: its children go first.
func (o *office) lose(ikeID uint64, cause ike.Cause) {
	for _, c := range slices.Clone(o.s.sas[ikeID].children) {
		o.childDown(ikeID, c.id, c.name)
	}
	o.down(ikeID, &ike.Refusal{Cause: cause})
}

// firsts are the children that a Dial asks for.
func firsts(d *Dial) string {
	if d == nil {
		return "not dialled"
	}
	var names []string
	for _, f := range d.First {
		names = append(names, f.Child)
	}
	return strings.Join(names, " ")
}

func (o *office) said(text string) int {
	n := 0
	for _, r := range o.reports {
		if strings.Contains(r.Text, text) {
			n++
		}
	}
	return n
}

// What comes of a tunnel with both of its children up when its IKE SA ends: at once,
// after a moment, when traffic asks for a child, or not until the peer comes.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		behavior conf.Behavior
		action   conf.DPDAction
		cause    ike.Cause
		atOnce   bool
		later    bool
		traffic  bool
	}{
		{conf.Start, conf.DPDRestart, ike.NoAnswer, true, true, true},
		{conf.Start, conf.DPDNone, ike.NoAnswer, true, true, true},
		{conf.Start, conf.DPDClear, ike.NoAnswer, false, false, true},
		{conf.Start, conf.DPDHold, ike.NoAnswer, false, false, true},
		{conf.Start, conf.DPDClear, ike.Terminated, false, true, true},
		{conf.Start, conf.DPDClear, ike.Expired, true, true, true},
		{conf.OnDemand, conf.DPDRestart, ike.NoAnswer, true, true, true},
		{conf.OnDemand, conf.DPDClear, ike.NoAnswer, false, false, true},
		{conf.OnDemand, conf.DPDHold, ike.NoAnswer, false, false, true},
		{conf.OnDemand, conf.DPDRestart, ike.Terminated, false, false, true},
		{conf.OnDemand, conf.DPDRestart, ike.Expired, true, true, true},
		{conf.ResponderOnly, conf.DPDRestart, ike.NoAnswer, false, false, false},
		{conf.ResponderOnly, conf.DPDClear, ike.NoAnswer, false, false, false},
		{conf.ResponderOnly, conf.DPDHold, ike.NoAnswer, false, false, true},
		{conf.ResponderOnly, conf.DPDHold, ike.Terminated, false, false, false},
		{conf.ResponderOnly, conf.DPDRestart, ike.Expired, false, false, false},
	} {
		t.Run(fmt.Sprint(c.behavior, c.action, c.cause), func(t *testing.T) {
			cfg := twoChildren(c.behavior)
			cfg.Connections[0].DPDAction = c.action
			o := newOffice(t, cfg)
			sa := uint64(10)
			if c.behavior == conf.Start {
				sa = o.locate(nil).ID
			}
			o.both(sa, c.behavior == conf.Start)
			o.wait(time.Hour)
			o.tickets = nil
			o.lose(sa, c.cause)
			o.wait(0)
			if got := len(o.tickets) > 0; got != c.atOnce {
				t.Fatalf("set up at once: %v", got)
			}
			o.wait(2 * time.Second)
			if got := len(o.tickets) > 0; got != c.later {
				t.Fatalf("set up later: %v", got)
			}
			want := "lan voice"
			if !c.later {
				o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/voice"}})
				want = "voice"
			}
			if got := len(o.tickets) > 0; got != c.traffic {
				t.Fatalf("traffic sets it up: %v", got)
			}
			if !c.traffic {
				return
			}
			if d := o.locate(nil); firsts(d) != want || !d.InitialContact {
				t.Errorf("%+v", d)
			}
		})
	}
}

// dpd_action = "hold" protects also a connection that was not protected before.
func TestHoldTraps(t *testing.T) {
	cfg := twoChildren(conf.ResponderOnly)
	cfg.Connections[0].Gateways = conf.Gateways{{Host: "peer"}}
	cfg.Connections[0].DPDAction = conf.DPDHold
	cfg.Connections[0].Children[1] = &conf.Child{Name: "voice"} // whose networks depend on the addresses
	o := newOffice(t, cfg)
	o.both(10, false)
	if len(o.traps) > 0 {
		t.Fatalf("%v", o.traps)
	}
	o.wait(time.Hour)
	o.lose(10, ike.NoAnswer)
	o.locate(errors.New("no such host"))
	o.wait(trapRetry)
	o.locate(nil) // for the policies alone
	if len(o.s.policies) != 2 || len(o.dials) > 0 || o.state() != "on-demand" {
		t.Fatalf("%v, %v, %s", o.s.policies, o.dials, o.state())
	}
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
	d := o.locate(nil)
	if firsts(d) != "lan" {
		t.Fatalf("%+v", d)
	}
	o.fail(d.ID)
	o.wait(time.Hour)
	if len(o.tickets) > 0 || o.s.Conns()[0].NextTry != ike.Never {
		t.Error("it goes on without traffic")
	}
	o.up(12, false, "lan") // the peer is back
	if o.state() != "up" || len(o.s.byName["site"].trapped) > 0 {
		t.Error(o.state())
	}
}

// Each child comes up, and ends with a silent peer, as it says itself.
func TestActionsOfChildren(t *testing.T) {
	cfg := twoChildren(conf.Start)
	onDemand, hold := conf.OnDemand, conf.DPDHold
	voice := cfg.Connections[0].Children[1]
	voice.Behavior, voice.DPDAction = &onDemand, &hold
	o := newOffice(t, cfg)
	d := o.locate(nil)
	if firsts(d) != "lan" {
		t.Fatalf("begun with %s", firsts(d))
	}
	o.up(d.ID, true, "lan")
	o.wait(time.Hour)
	if o.s.byName["site"].want["voice"] {
		t.Fatal("voice is set up without traffic")
	}
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/voice"}})
	o.childUp(d.ID, "voice")
	o.wait(time.Hour)
	o.lose(d.ID, ike.NoAnswer)
	d = o.locate(nil)
	if firsts(d) != "lan" {
		t.Fatalf("set up again: %s", firsts(d))
	}
	o.up(d.ID, true, "lan")
	o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/voice"}})
	if l := o.s.byName["site"]; l.asked["voice"] != d.ID {
		t.Errorf("traffic does not bring voice up: %+v", l)
	}
}

// A child that goes down alone is asked for again, one that never lasts later and later.
func TestChildGoes(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	sa := o.locate(nil).ID
	o.both(sa, true)
	lan := o.s.sas[sa].children[0].id
	asked := func() bool {
		n := len(o.orders)
		o.orders = nil
		return n > 0
	}
	o.wait(time.Hour)
	o.childDown(sa, lan, "lan")
	o.wait(2 * time.Second)
	if !asked() {
		t.Fatal("not asked for again")
	}
	var pauses []time.Duration
	for range 4 {
		o.childDown(sa, o.childUp(sa, "lan"), "lan")
		went := o.now
		for !asked() {
			o.wait(time.Second)
		}
		pauses = append(pauses, o.now.Sub(went))
	}
	if pauses[0] < firstRetry || pauses[3] < 4*firstRetry || pauses[3] > 3*lastRetry {
		t.Errorf("pauses %v", pauses)
	}
	o.childUp(sa, "lan")
	o.wait(time.Hour)
	o.childDown(sa, o.childID, "lan")
	o.wait(2 * time.Second)
	if !asked() || o.state() != "connecting" {
		t.Error("a child that has lasted is not asked for again at once")
	}
}

// A try counts once, whatever of it fails, and there is one report of its end.
func TestTriesOfChildren(t *testing.T) {
	for _, tries := range []int{1, 2} {
		cfg := twoChildren(conf.Start)
		cfg.Connections[0].KeyingTries = tries
		o := newOffice(t, cfg)
		sa := o.locate(nil).ID
		o.up(sa, true, "")
		for range tries {
			o.childFailed(sa, "lan")
			if got := o.s.Conns()[0]; got.State != "connecting" || o.said("trying again")+o.said("given up") > 2*(tries-1) {
				t.Errorf("%d tries: the rest is not waited for: %+v", tries, got)
			}
			o.childFailed(sa, "voice")
			o.wait(time.Minute)
		}
		o.wait(time.Hour)
		want := fmt.Sprintf("given up after %d ", tries)
		if o.said(want) != 1 || o.said("given up") != 1 || o.said("trying again") != tries-1 {
			t.Errorf("%d tries: %+v", tries, o.reports)
		}
		if c := o.s.Conns()[0]; !c.GivenUp || c.Try != tries || c.LastError == nil || c.NextTry != ike.Never {
			t.Errorf("%d tries: %+v", tries, c)
		}
		// Traffic begins another series, for what it asks for.
		o.orders = nil
		o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/voice"}})
		if c := o.s.Conns()[0]; len(o.orders) != 1 || o.orders[0].Event.(ike.Initiate).Child != "voice" || c.Try != 1 || c.GivenUp {
			t.Errorf("%d tries: %+v, %+v", tries, o.orders, c)
		}
		o.childUp(sa, "voice")
		if got := o.s.byName["site"]; !got.want["voice"] || got.want["lan"] {
			t.Errorf("wanted: %v", got.want)
		}
	}
}

// What is up stays wanted when something else is given up.
func TestGivenUpAlone(t *testing.T) {
	cfg := twoChildren(conf.Start)
	cfg.Connections[0].KeyingTries = 1
	o := newOffice(t, cfg)
	sa := o.locate(nil).ID
	o.up(sa, true, "")
	o.childFailed(sa, "lan")
	voice := o.childUp(sa, "voice")
	if o.said("given up") != 1 {
		t.Errorf("%+v", o.reports)
	}
	o.wait(time.Hour)
	o.orders = nil
	o.childDown(sa, voice, "voice")
	o.wait(2 * time.Second)
	if len(o.orders) != 1 || o.orders[0].Event.(ike.Initiate).Child != "voice" {
		t.Errorf("%+v", o.orders)
	}
}

// All addresses of a peer are tried in a try as long as none answers, and another one
// comes first in the next; each try looks for the addresses anew.
func TestAddresses(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	var paths []ike.Path
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
		paths = append(paths, ike.Path{Local: ownAddr, Remote: netip.AddrPortFrom(netip.MustParseAddr(a), 500)})
	}
	var dialled []string
	for try := range 3 {
		for len(o.tickets) == 0 {
			o.wait(time.Second)
		}
		ticket := o.tickets[len(o.tickets)-1]
		o.tickets = nil
		o.handle(Located{Ticket: ticket, Paths: paths[:3-try]}) // the name has fewer addresses each time
		for n := len(dialled); n < len(o.dials); n = len(dialled) {
			d := o.dials[n]
			dialled = append(dialled, d.Path.Remote.Addr().String())
			o.wait(165 * time.Second)
			o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", IKE: d.ID, Why: &ike.Refusal{Cause: ike.NoAnswer}}})
		}
	}
	want := "192.0.2.1 192.0.2.2 2001:db8::1 192.0.2.2 192.0.2.1 192.0.2.1"
	if got := strings.Join(dialled, " "); got != want {
		t.Errorf("dialled %s, want %s", got, want)
	}
	if c := o.s.Conns()[0]; !c.GivenUp || c.Try != 3 {
		t.Errorf("%+v", c)
	}
	// An answer ends the try, even if it is a refusal.
	o.handle(Up{Waiter: 1, Conn: "site"})
	o.handle(Located{Ticket: o.tickets[0], Paths: paths})
	n := len(o.dials)
	o.fail(o.dials[n-1].ID)
	if len(o.dials) != n || o.outcomes[1].Err == nil {
		t.Errorf("%+v", o.dials[n:])
	}
}

// `up` while the peer is being looked for counts that as its first try.
func TestUpWhileLocating(t *testing.T) {
	o := newOffice(t, siteConfig(conf.Start))
	o.handle(Up{Waiter: 1, Conn: "site"})
	if d := o.locate(nil); firsts(d) != "lan" || o.s.Conns()[0].Try != 1 {
		t.Errorf("%+v", d)
	}
}

// A tunnel that was closed for want of traffic is not asked for again until there is
// some, whatever its behavior.
func TestUnusedWaitsForTraffic(t *testing.T) {
	for _, b := range []conf.Behavior{conf.Start, conf.OnDemand} {
		cfg := twoChildren(b)
		o := newOffice(t, cfg)
		if b == conf.OnDemand {
			o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
		}
		sa := o.locate(nil).ID
		o.up(sa, true, "")
		lan := o.childUp(sa, "lan")
		o.childUp(sa, "voice")
		o.wait(time.Hour)
		o.orders = nil
		unused := &ike.Refusal{Cause: ike.Unused}
		o.handle(Heard{ike.Report{Kind: ike.ChildDown, Conn: "site", IKE: sa, Child: "lan", ChildID: lan, Why: unused}})
		o.wait(time.Hour)
		if len(o.orders) != 0 {
			t.Errorf("%v: asked for again: %+v", b, o.orders)
		}
		o.handle(Acquired{Acquire: esp.Acquire{Policy: "site/lan"}})
		if len(o.orders) != 1 || o.orders[0].Event.(ike.Initiate).Child != "lan" {
			t.Errorf("%v: traffic: %+v", b, o.orders)
		}
		o.handle(Heard{ike.Report{Kind: ike.IKEDown, Conn: "site", IKE: sa, Why: unused}})
		o.wait(time.Hour)
		if c := o.s.Conns()[0]; c.State != "on-demand" && c.State != "stopped" || c.NextTry != ike.Never || o.s.byName["site"].stage != idle {
			t.Errorf("%v: set up again without traffic: %+v", b, c)
		}
	}
}
