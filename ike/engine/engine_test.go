package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a Transport of channels.
type pipe struct {
	in   chan []ike.Datagram
	sent chan ike.Send
	fail chan error
}

func newPipe() *pipe {
	return &pipe{in: make(chan []ike.Datagram), sent: make(chan ike.Send, 1024), fail: make(chan error, 1)}
}

func (p *pipe) Serve(ctx context.Context, receive func([]ike.Datagram)) error {
	for {
		select {
		case dgs := <-p.in:
			receive(dgs)
		case err := <-p.fail:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *pipe) Send(ms []ike.Send) {
	for _, m := range ms {
		p.sent <- m
	}
}

// upAtOnce is a script: what is asked for is up at once, what is taken down is
// gone; what is sent to it comes back.
func upAtOnce(f *fake, ev ike.Event, fx *ike.Effects) {
	st := ike.Status{ID: f.birth.ID, Conn: "site", State: ike.Up}
	child := ike.ChildStatus{ID: 7, Name: "lan", ReqID: 1}
	switch ev := ev.(type) {
	case ike.Datagram:
		fx.Do(ike.Send{Path: ev.Path, Data: append([]byte("re "), ev.Data...)})
	case ike.Initiate:
		f.status = st
		fx.Do(ike.Report{Kind: ike.Step, Conn: "site", IKE: f.birth.ID, Text: "connecting"})
		fx.Do(ike.Report{Kind: ike.IKEUp, Conn: "site", IKE: f.birth.ID, SA: &st})
		if ev.Child != "" {
			st.Children = []ike.ChildStatus{child}
			f.status.Children = st.Children
			fx.Do(ike.Report{Kind: ike.ChildUp, Conn: "site", Child: ev.Child, ChildID: 7, IKE: f.birth.ID, SA: &st})
		}
	case ike.Terminate:
		if len(f.status.Children) > 0 {
			st.Children = f.status.Children
			fx.Do(ike.Report{Kind: ike.ChildDown, Conn: "site", Child: "lan", ChildID: 7, IKE: f.birth.ID, SA: &st})
		}
		fx.Do(ike.Report{Kind: ike.IKEDown, Conn: "site", IKE: f.birth.ID, SA: &st})
		fx.Do(ike.Closed{})
	}
}

// deaf is a script: it takes itself down only by force.
func deaf(f *fake, ev ike.Event, fx *ike.Effects) {
	if t, ok := ev.(ike.Terminate); ok && !t.Force {
		return
	}
	upAtOnce(f, ev, fx)
}

// lockedFakes may be used by several shards.
type lockedFakes struct {
	mu sync.Mutex
	fakes
}

func (m *lockedFakes) Dial(b ike.Birth, c *conf.Connection, p ike.Path) ike.Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fakes.Dial(b, c, p)
}

func (m *lockedFakes) Respond(b ike.Birth, p ike.Path) ike.Machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fakes.Respond(b, p)
}

func siteConfig(b conf.Behavior) *conf.Config {
	limits := conf.HalfOpenLimits{Cookie: 1000, PerAddress: 1000, Total: 1000}
	return &conf.Config{Limits: limits, Connections: []*conf.Connection{{
		Name: "site", Behavior: b, Gateways: conf.Gateways{{Host: "peer"}}, KeyingTries: 3,
		Children: []*conf.Child{{Name: "lan"}},
	}}}
}

func start(t *testing.T, c *conf.Config, script func(*fake, ike.Event, *ike.Effects)) (*Engine, *pipe) {
	t.Helper()
	p := newPipe()
	e := New(Config{
		Machines: &lockedFakes{fakes: fakes{script: script}}, Cookies: demands{}, Plane: &None{}, Transport: p, Conf: c, Shards: 3,
		Locate: func(context.Context, *conf.Connection) ([]ike.Path, error) { return []ike.Path{testPath}, nil },
	})
	return e, p
}

func closeNow(e *Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	e.Close(ctx)
}

func TestUpAndDown(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), upAtOnce)
	defer closeNow(e)
	ctx := t.Context()
	var steps []string
	log := func(l control.LogLine) { steps = append(steps, l.Text) }
	if err := e.Initiate(ctx, control.InitiateRequest{Conn: "site", Child: "lan"}, log); err != nil {
		t.Fatal(err)
	}
	if len(steps) == 0 || steps[0] != "connecting" {
		t.Errorf("steps: %q", steps)
	}
	sas := e.SAs(ctx)
	if len(sas) != 1 || len(sas[0].Children) != 1 || len(sas[0].Usage) != 1 {
		t.Fatalf("SAs: %+v", sas)
	}
	if conns := e.Conns(); len(conns) != 1 || conns[0].State != "up" {
		t.Errorf("connections: %+v", conns)
	}
	if err := e.Healthy(ctx); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.IKESAs != 1 || s.HalfOpen != 0 {
		t.Errorf("stats: %+v", s)
	}
	n, err := e.Terminate(ctx, control.TerminateRequest{Conn: "site"}, nil)
	if err != nil || n != 1 {
		t.Errorf("terminated %d: %v", n, err)
	}
	if sas := e.SAs(ctx); len(sas) != 0 {
		t.Errorf("still there: %+v", sas)
	}
}

func TestUnknownNames(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), upAtOnce)
	defer closeNow(e)
	for r, want := range map[control.InitiateRequest]string{
		{Conn: "nobody"}: "IKE_SA config 'nobody' not found", {Child: "none"}: "CHILD_SA config 'none' not found",
		{Conn: "site", Child: "none"}: "CHILD_SA config 'none' not found",
	} {
		if err := e.Initiate(t.Context(), r, nil); err == nil || err.Error() != want {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := e.Terminate(t.Context(), control.TerminateRequest{Conn: "site"}, nil); err == nil {
		t.Error("nothing was there to take down, and it was")
	}
}

// A connection that has to be up is set up without being asked for.
func TestStartBehavior(t *testing.T) {
	e, _ := start(t, siteConfig(conf.Start), upAtOnce)
	defer closeNow(e)
	up := make(chan struct{})
	var once sync.Once
	cancel := e.Subscribe(func(ev control.Event) {
		if ev.Report != nil && ev.Report.Kind == ike.ChildUp {
			once.Do(func() { close(up) })
		}
	})
	defer cancel()
	if len(e.SAs(t.Context())) == 1 {
		return // it was faster than the subscription
	}
	select {
	case <-up:
	case <-time.After(10 * time.Second):
		t.Fatal("not set up")
	}
}

func TestMessagesFindTheirShard(t *testing.T) {
	e, p := start(t, siteConfig(conf.OnDemand), upAtOnce)
	defer closeNow(e)
	const n = 200
	go func() {
		for i := range uint64(n) {
			p.in <- []ike.Datagram{from(500, first(i+1, "")).Datagram}
		}
	}()
	for range n {
		select {
		case <-p.sent:
		case <-time.After(10 * time.Second):
			t.Fatal("not every message was answered")
		}
	}
	if s := e.Stats(); s.IKESAs != n || s.HalfOpen != n {
		t.Errorf("%d IKE SAs, %d half-open; want %d", s.IKESAs, s.HalfOpen, n)
	}
	for _, r := range e.runners {
		if got, _ := atShard(t.Context(), r, (*Shard).Len); got < n/10 {
			t.Errorf("a shard has only %d of %d", got, n)
		}
	}
}

// A peer that does not answer does not hold the end up.
func TestCloseIsBounded(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), deaf)
	if err := e.Initiate(t.Context(), control.InitiateRequest{Conn: "site"}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan struct{})
	go func() { e.Close(ctx); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("Close hangs")
	}
	if err := e.Initiate(context.Background(), control.InitiateRequest{Conn: "site"}, nil); err == nil {
		t.Error("a closed engine set something up")
	}
}

// A command that takes too long is given up; what it began goes on.
func TestCommandTimeout(t *testing.T) {
	e, _ := start(t, siteConfig(conf.OnDemand), func(*fake, ike.Event, *ike.Effects) {})
	ctx, cancel := context.WithCancel(context.Background())
	err := e.Initiate(ctx, control.InitiateRequest{Conn: "site", Timeout: time.Millisecond}, nil)
	if err == nil || !strings.Contains(err.Error(), "background") {
		t.Errorf("timeout: %v", err)
	}
	if !strings.Contains(err.Error(), "IKE_SA 'site' not established after 1ms") {
		t.Errorf("timeout: %v", err)
	}
	if err := e.Initiate(ctx, control.InitiateRequest{Conn: "site", Timeout: -1}, nil); err != nil {
		t.Errorf("without waiting: %v", err)
	}
	if err := e.Initiate(ctx, control.InitiateRequest{Child: "none", Timeout: -1}, nil); err == nil || err.Error() != "CHILD_SA config 'none' not found" {
		t.Errorf("without waiting, not configured: %v", err)
	}
	if n, err := e.Terminate(ctx, control.TerminateRequest{Conn: "site", Timeout: -1}, nil); n != 1 || err != nil {
		t.Errorf("taken down without waiting: %d %v", n, err)
	}
	cancel()
	if err := e.Initiate(ctx, control.InitiateRequest{Conn: "site"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	e.Close(ctx)
}

func TestFailedTransport(t *testing.T) {
	e, p := start(t, siteConfig(conf.OnDemand), upAtOnce)
	defer closeNow(e)
	p.fail <- errors.New("socket broken")
	select {
	case err := <-e.Failed():
		if !strings.Contains(err.Error(), "socket broken") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
}

// Who does not keep up loses events, is told how many, and holds nobody up.
func TestSlowSubscriber(t *testing.T) {
	var f feed
	release, lost := make(chan struct{}), atomic.Int64{}
	var got atomic.Int64
	cancel := f.subscribe(nil, func(ev control.Event) {
		<-release
		if ev.Lost > 0 {
			lost.Add(int64(ev.Lost))
			return
		}
		got.Add(1)
	})
	const n = 3 * subscriberRoom
	for range n {
		f.publish(ike.Report{Kind: ike.Step})
	}
	close(release)
	cancel()
	if lost.Load() == 0 || got.Load()+lost.Load() != n {
		t.Errorf("%d events got, %d lost; %d were sent", got.Load(), lost.Load(), n)
	}
	f.close()
}

type job func() (any, error)

func (j job) Run(io.Reader) (any, error) { return j() }

// take waits for items of an inbox.
func take(t *testing.T, in *inbox[shardItem], n int) []Finished {
	t.Helper()
	var out []Finished
	for len(out) < n {
		select {
		case <-in.wake:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d results of %d", len(out), n)
		}
		for _, it := range in.take(nil) {
			out = append(out, it.in.(Finished))
		}
	}
	return out
}

// A job that panics fails alone. Established IKE SAs come first, and there is only
// so much room for the others.
func TestWorkers(t *testing.T) {
	w := newWorkers(1, 4, nil)
	back := newInbox[shardItem](0)
	mk := func(ticket ike.Ticket, j job) task { return task{ref: 1, ticket: ticket, job: j, back: back} }
	w.add(ike.Established, []task{mk(1, func() (any, error) { panic("boom") })})
	if r := take(t, back, 1)[0]; r.Done.Err == nil || !strings.Contains(r.Done.Err.Error(), "boom") {
		t.Errorf("a job that panics: %+v", r.Done)
	}
	block, begun := make(chan struct{}), make(chan struct{})
	w.add(ike.Established, []task{mk(2, func() (any, error) { close(begun); <-block; return nil, nil })})
	<-begun
	ok := func() (any, error) { return "fine", nil }
	refused := w.add(ike.HalfOpen, []task{mk(10, ok), mk(11, ok), mk(12, ok), mk(13, ok), mk(14, ok), mk(15, ok)})
	if len(refused) != 2 || refused[0].ticket != 14 {
		t.Errorf("refused: %v", refused)
	}
	w.add(ike.Established, []task{mk(3, ok)})
	close(block)
	got := take(t, back, 6)
	if got[1].Done.Ticket != 3 || got[2].Done.Ticket != 10 {
		t.Errorf("order: %v", got)
	}
	w.close()
}

// What comes from the network is bounded and counted; what was asked for is not.
func TestInbox(t *testing.T) {
	in := newInbox[int](2)
	in.offer([]int{1, 2, 3})
	in.put(4, 5)
	if got := in.take(nil); len(got) != 4 {
		t.Errorf("%v", got)
	}
	in.offer([]int{6})
	if n, dropped := in.load(); n != 1 || dropped != 1 {
		t.Errorf("%d wait, %d dropped", n, dropped)
	}
	in.close()
	if in.put(7) || !in.isClosed() {
		t.Error("a closed inbox took something")
	}
}

// slowPlane lets no operation pass before it is told to.
type slowPlane struct {
	recorder
	pass chan struct{}
}

func (p *slowPlane) Apply(ctx context.Context, ops []esp.Op) error {
	<-p.pass
	return p.recorder.Apply(ctx, ops)
}

// An engine is waited for until its policies stand in the data plane.
func TestStanding(t *testing.T) {
	c := siteConfig(conf.OnDemand)
	net4, err := conf.ParseSelector("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	c.Connections[0].Children[0].Local, c.Connections[0].Children[0].Remote = []conf.Selector{net4}, []conf.Selector{net4}
	p := &slowPlane{pass: make(chan struct{})}
	e := New(Config{
		Machines: &lockedFakes{fakes: fakes{script: upAtOnce}}, Cookies: demands{}, Plane: p, Transport: newPipe(), Conf: c, Shards: 1,
		Locate: func(context.Context, *conf.Connection) ([]ike.Path, error) { return []ike.Path{testPath}, nil },
	})
	defer closeNow(e)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := e.Standing(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, with a data plane that does nothing", err)
	}
	close(p.pass)
	if err := e.Standing(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.ContainsFunc(p.ops, func(op esp.Op) bool { _, ok := op.(esp.AddPolicy); return ok }) {
		t.Errorf("no policy was waited for: %v", p.ops)
	}
}
