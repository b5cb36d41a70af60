package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// `down` ends whatever is under way, and is told of it.
func TestDownWhenever(t *testing.T) {
	down := func(o *office, waiter uint64) {
		o.handle(Down{Waiter: waiter, Match: control.TerminateRequest{Conn: "site"}})
	}
	quiet := func(t *testing.T, o *office, waiter uint64) {
		t.Helper()
		if got, told := o.outcomes[waiter]; !told || got.Err != nil {
			t.Errorf("%+v, told: %v", got, told)
		}
		dials := len(o.dials)
		o.wait(time.Hour)
		if len(o.dials) != dials || o.state() != "stopped" || o.s.Next() != ike.Never {
			t.Errorf("it goes on: %s", o.state())
		}
	}
	t.Run("locating", func(t *testing.T) {
		o := newOffice(t, twoChildren(conf.Start))
		down(o, 1)
		if o.locate(nil) != nil {
			t.Error("dialled")
		}
		quiet(t, o, 1)
	})
	t.Run("connecting", func(t *testing.T) {
		o := newOffice(t, twoChildren(conf.Start))
		d := o.locate(nil)
		down(o, 1)
		if _, told := o.outcomes[1]; told || !o.terminated(d.ID) {
			t.Errorf("%+v", o.orders)
		}
		o.fail(d.ID)
		quiet(t, o, 1)
	})
	t.Run("waiting", func(t *testing.T) {
		o := newOffice(t, twoChildren(conf.Start))
		o.fail(o.locate(nil).ID)
		down(o, 1)
		quiet(t, o, 1)
	})
	t.Run("a child under way", func(t *testing.T) {
		o := newOffice(t, twoChildren(conf.Start))
		sa := o.locate(nil).ID
		o.up(sa, true, "lan")
		o.orders = nil
		o.handle(Down{Waiter: 1, Match: control.TerminateRequest{Conn: "site", Child: "voice"}})
		if len(o.orders) != 1 || o.orders[0].Event != (ike.Terminate{Child: "voice", Why: whyCommand}) || o.outcomes[1].Err != nil {
			t.Errorf("%+v, %+v", o.orders, o.outcomes)
		}
		o.childFailed(sa, "voice")
		o.wait(time.Hour)
		if o.state() != "up" || len(o.orders) != 1 {
			t.Errorf("%s, %+v", o.state(), o.orders)
		}
	})
}

// An order that crosses a rekeying on its way reaches the new SA.
func TestDownWhileRekeying(t *testing.T) {
	t.Run("IKE SA", func(t *testing.T) {
		o := newOffice(t, twoChildren(conf.Start))
		sa := o.locate(nil).ID
		o.both(sa, true)
		o.handle(Down{Waiter: 1, Match: control.TerminateRequest{Conn: "site"}})
		o.handle(Heard{ike.Report{Kind: ike.IKERekeyed, Conn: "site", IKE: sa, NewID: 50}})
		if !o.terminated(50) {
			t.Fatalf("%+v", o.orders)
		}
		o.down(sa, nil)
		if _, told := o.outcomes[1]; told {
			t.Error("told before it is gone")
		}
		o.lose(50, ike.Terminated)
		if got, told := o.outcomes[1]; !told || got.Err != nil || got.Matched != 1 || len(o.s.sas) > 0 {
			t.Errorf("%+v", got)
		}
	})
	for _, what := range []ike.ReportKind{ike.IKERekeyed, ike.ChildRekeyed} {
		t.Run(fmt.Sprint("child ", what), func(t *testing.T) {
			o := newOffice(t, twoChildren(conf.Start))
			sa := o.locate(nil).ID
			o.both(sa, true)
			lan := o.s.sas[sa].children[0].id
			o.handle(Down{Waiter: 1, Match: control.TerminateRequest{Conn: "site", Child: "lan"}})
			o.orders = nil
			if what == ike.IKERekeyed {
				o.handle(Heard{ike.Report{Kind: what, Conn: "site", IKE: sa, NewID: 50}})
				o.down(sa, nil)
				sa = 50
			} else {
				o.handle(Heard{ike.Report{Kind: what, Conn: "site", Child: "lan", IKE: sa, ChildID: lan, NewID: 900}})
				o.childDown(sa, lan, "lan")
				lan = 900
			}
			if len(o.orders) != 1 || o.orders[0].IKE != sa || o.orders[0].Event.(ike.Terminate).ChildID != lan {
				t.Fatalf("%+v", o.orders)
			}
			if _, told := o.outcomes[1]; told {
				t.Error("told before it is gone")
			}
			o.childDown(sa, lan, "lan")
			if got, told := o.outcomes[1]; !told || got.Err != nil || o.s.byName["site"].up["lan"] > 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A child that is asked for while the IKE SA is rekeyed is asked of the new one.
func TestAskedWhileRekeying(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	sa := o.locate(nil).ID
	o.up(sa, true, "lan")
	o.orders = nil
	o.handle(Heard{ike.Report{Kind: ike.IKERekeyed, Conn: "site", IKE: sa, NewID: 50}})
	if len(o.orders) != 1 || o.orders[0].IKE != 50 || o.orders[0].Event.(ike.Initiate).Child != "voice" {
		t.Fatalf("%+v", o.orders)
	}
	o.childFailed(50, "voice")
	if c := o.s.Conns()[0]; c.NextTry == ike.Never || c.Try != 1 {
		t.Errorf("%+v", c)
	}
}

// A child that is refused because the IKE SA is about to end is no failed try.
func TestAskedTooLate(t *testing.T) {
	o := newOffice(t, twoChildren(conf.Start))
	sa := o.locate(nil).ID
	o.up(sa, true, "lan")
	why := &ike.Refusal{Cause: ike.Terminated}
	o.handle(Heard{ike.Report{Kind: ike.Failed, Conn: "site", Child: "voice", IKE: sa, Why: why}})
	if c := o.s.Conns()[0]; c.LastError != nil || o.said("trying again") > 0 || c.NextTry == ike.Never {
		t.Errorf("%+v", c)
	}
}

// A search for the peer that hangs holds up neither `down` nor the end of the daemon.
func TestDownWhileSearchHangs(t *testing.T) {
	searching := make(chan struct{}, 16)
	e := New(Config{
		Machines: &lockedFakes{fakes: fakes{script: upAtOnce}}, Cookies: demands{}, Plane: &None{}, Transport: newPipe(),
		Conf: twoChildren(conf.Start), Shards: 1,
		Locate: func(ctx context.Context, _ *conf.Connection) ([]ike.Path, error) {
			searching <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	})
	<-searching
	up := make(chan error, 1)
	go func() { up <- e.Initiate(t.Context(), control.InitiateRequest{Conn: "site"}, nil) }()
	for len(e.steward.waiting(t)) == 0 {
		runtime.Gosched()
	}
	if _, err := e.Terminate(t.Context(), control.TerminateRequest{Conn: "site"}, nil); err != nil {
		t.Error(err)
	}
	if err := <-up; err == nil || !strings.Contains(err.Error(), "taken down") {
		t.Errorf("up: %v", err)
	}
	closeNow(e)
}

// waiting lists who waits for a connection to come up.
func (r *stewardRunner) waiting(t *testing.T) []upWaiter {
	t.Helper()
	list, ok := atSteward(t.Context(), r.engine, func(s *Steward) []upWaiter { return slices.Clone(s.byName["site"].waiters) })
	if !ok {
		t.Fatal("the steward does not answer")
	}
	return list
}
