package control

import (
	"context"
	"strings"
	"testing"

	"github.com/goike/goike/ike"
)

func TestSubscribe(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	ctx, cancel := context.WithCancel(within(t))
	got := make(chan string, 100)
	ended := make(chan error, 1)
	events := []string{"log", "ike-updown", "child-updown", "ike-rekey", "child-rekey"}
	go func() {
		ended <- c.Subscribe(ctx, events, func(e string, m *Message) {
			name, _, _ := strings.Cut(m.String(), "uniqueid")
			got <- e + " " + name
		})
	}()
	eventually(t, "the subscription", func() bool { return f.publish(Event{}) == 1 })
	// The first event registers the subscription, the others follow one by one.
	eventually(t, "all registrations", func() bool {
		r := sampleReport(ike.ChildRekeyed)
		r.Child, r.ChildID = "lan", r.SA.Children[0].ID
		f.publish(Event{Report: &r})
		return len(got) > 0
	})
	f.publish(Event{Log: &LogLine{Text: "now"}})
	for !strings.Contains(<-got, "msg=now") {
	}
	for _, ev := range []struct {
		event Event
		want  string
	}{
		{Event{Log: &LogLine{Level: 2, Subsystem: "ike", Text: "hello"}}, "log {group=IKE level=2 thread=0 msg=hello}"},
		{Event{Lost: 3}, "log {group=VICI level=0 thread=0 msg=3 events were lost: this client reads too slowly}"},
		{report(ike.IKEUp), "ike-updown {up=yes site {"},
		{report(ike.IKEDown), "ike-updown {site {"},
		{report(ike.ChildUp), "child-updown {up=yes site {"},
		{report(ike.ChildDown), "child-updown {site {"},
		{report(ike.IKERekeyed), "ike-rekey {site {old {"},
		{report(ike.ChildRekeyed), "child-rekey {site {"},
	} {
		failed, none := report(ike.Failed), Event{Report: &ike.Report{Kind: ike.IKEUp}}
		f.publish(failed) // has no event of its own but its line of the log
		f.publish(none)
		f.publish(ev.event)
		if line := <-got; line != ev.want {
			t.Errorf("%q, want %q", line, ev.want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	_ = c.Close()
	eventually(t, "the end of the subscription", func() bool { return f.publish(Event{}) == 0 })
}

func report(kind ike.ReportKind) Event {
	r := sampleReport(kind)
	return Event{Report: &r}
}

// The backend is followed only while somebody wants its events.
func TestUnregister(t *testing.T) {
	f := newFake()
	c := dial(t, serve(t, f, Options{}))
	for _, step := range []struct {
		event string
		kind  packetType
		want  int
	}{
		{"list-sa", eventRegister, 0}, {"log", eventRegister, 1}, {"ike-updown", eventRegister, 1},
		{"log", eventUnregister, 1}, {"ike-updown", eventUnregister, 0}, {"log", eventRegister, 1},
	} {
		if err := c.registerAll(within(t), []string{step.event}, step.kind, nil); err != nil {
			t.Fatal(err)
		}
		if n := f.publish(Event{}); n != step.want {
			t.Errorf("after type %d for %s: %d subscriptions, want %d", step.kind, step.event, n, step.want)
		}
	}
}
