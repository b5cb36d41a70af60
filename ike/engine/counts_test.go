package engine

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/wire"
	"github.com/goike/goike/test/lab"
)

// What machines report is counted, by connection and cause, also where it is not passed
// on; what is no longer configured is forgotten.
func TestReportsAreCounted(t *testing.T) {
	why := &ike.Refusal{Cause: ike.NoProposal}
	m := &fakes{script: func(_ *fake, ev ike.Event, fx *ike.Effects) {
		if _, ok := ev.(ike.Datagram); ok {
			fx.Do(ike.Report{Kind: ike.Step, Text: "a step"})
			fx.Do(ike.Report{Kind: ike.Step, Mark: ike.RequestRepeated})
			fx.Do(ike.Report{Kind: ike.Failed, Conn: "site", Child: "lan", Why: why})
			fx.Do(ike.Report{Kind: ike.Failed, Why: why})
			fx.Do(ike.Closed{})
		}
	}}
	s, out := newShard(conf.HalfOpenLimits{}, m, 0, 1)
	const n = 100 // more than are passed on
	for i := range uint64(n) {
		s.Handle(0, from(500, first(i+1, "x")))
	}
	failed := control.CountKey{Kind: ike.Failed, Cause: ike.NoProposal}
	site := control.CountKey{Conn: "site", Child: true, Kind: ike.Failed, Cause: ike.NoProposal}
	repeated := control.CountKey{Kind: ike.Step, Mark: ike.RequestRepeated}
	if c := s.counts; len(c) != 3 || c[failed] != n || c[site] != n || c[repeated] != n {
		t.Errorf("%v", c)
	}
	if len(out.reports) >= 2*n {
		t.Error("all reports of strangers are passed on")
	}
	for _, r := range out.reports {
		if r.Text == "" && r.Kind == ike.Step {
			t.Error("a report without text is passed on")
		}
	}
	s.Handle(0, Reconfigured{Config: &conf.Config{}})
	if c := s.counts; len(c) != 2 || c[failed] != n {
		t.Errorf("after a reload: %v", c)
	}
}

// Stats gather the counts of shards and steward.
func TestStatsCount(t *testing.T) {
	e, p := start(t, siteConfig(conf.OnDemand), upAtOnce)
	defer closeNow(e)
	if err := e.Initiate(t.Context(), control.InitiateRequest{Conn: "site", Child: "lan"}, nil); err != nil {
		t.Fatal(err)
	}
	up := control.CountKey{Conn: "site", Kind: ike.IKEUp}
	child := control.CountKey{Conn: "site", Child: true, Kind: ike.ChildUp}
	p.in <- []ike.Datagram{{Path: testPath, Data: message(wire.IKEAuth, 1, 2, wire.FlagInitiator, 2, "")}}
	within(t, 5*time.Second, func() bool { return e.Stats().Dropped["unknown-spi"] == 1 })
	s := e.Stats()
	if len(s.Counts) != 2 || s.Counts[up] != 1 || s.Counts[child] != 1 {
		t.Errorf("%v", s.Counts)
	}
	for _, queue := range []string{"shards", "steward", "dataplane", "jobs"} {
		if n, ok := s.Waiting[queue]; !ok || n < 0 {
			t.Errorf("queue %s: %d, %v", queue, n, ok)
		}
	}
}

// sleepy is a job that ends when it is told.
type sleepy chan struct{}

func (j sleepy) Run(io.Reader) (any, error) {
	<-j
	return nil, errors.New("done")
}

// Jobs are timed, the waiting ones apart from the running ones.
func TestJobsAreTimed(t *testing.T) {
	w := newWorkers(1, 8, nil)
	defer w.close()
	back := newInbox[shardItem](0)
	first, second := make(sleepy), make(sleepy)
	begun := time.Now()
	w.add(ike.Established, []task{{job: first, back: back}, {job: second, back: back}})
	within(t, 5*time.Second, func() bool { _, idle, _ := w.load(); return idle == 0 })
	close(first)
	close(second)
	within(t, 5*time.Second, func() bool { n, _ := back.load(); return n == 2 })
	total := func(h control.Histogram) (n uint64) {
		for _, c := range h.Counts {
			n += c
		}
		return n
	}
	waits, runs := w.waits.read(), w.runs.read()
	if total(waits) != 2 || total(runs) != 2 || runs.Sum <= 0 || runs.Sum > time.Since(begun) || waits.Sum <= 0 {
		t.Errorf("waited %+v, ran %+v", waits, runs)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, bounds[0], bounds[0] + 1, time.Second, time.Hour} {
		h.add(d)
	}
	r := h.read()
	last := len(r.Bounds)
	if len(r.Counts) != last+1 || r.Counts[0] != 2 || r.Counts[1] != 1 || r.Counts[last-2] != 1 || r.Counts[last] != 1 {
		t.Errorf("%+v", r)
	}
	if want := 2*bounds[0] + 1 + time.Second + time.Hour; r.Sum != want {
		t.Errorf("sum %s, want %s", r.Sum, want)
	}
}

// within waits until something holds.
func within(t *testing.T, limit time.Duration, f func() bool) {
	t.Helper()
	err := lab.Eventually(limit, func() error {
		if !f() {
			return errors.New("it has not come")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
