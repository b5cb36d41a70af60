package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// follow runs log until all of the events were shown, and returns what it printed.
func follow(t *testing.T, events []control.Event, args ...string) string {
	t.Helper()
	f := newFake()
	path, _ := serve(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out watcher
	done := make(chan int, 1)
	go func() { done <- newApp(&out, io.Discard).run(ctx, append([]string{"--socket", path, "log"}, args...)) }()
	// Only when the last of the events is registered does this one get through.
	probe := report(ike.ChildRekeyed, f.sas[0].Status)
	probe.Report.Child, probe.Report.ChildID = "lan", 2
	for !strings.Contains(out.text(), "child-rekey") {
		f.publish(probe)
		pause(ctx, t, &out)
	}
	f.publish(control.Event{Log: &control.LogLine{Conn: "site", Text: "BEGIN"}})
	for _, ev := range events {
		f.publish(ev)
	}
	f.publish(control.Event{Log: &control.LogLine{Conn: "site", Text: "END"}})
	for !strings.Contains(out.text(), "END") {
		pause(ctx, t, &out)
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	_, shown, _ := strings.Cut(out.text(), "BEGIN")
	_, shown, _ = strings.Cut(shown, "\n")
	shown, _, _ = strings.Cut(shown, "END")
	return shown[:strings.LastIndex(shown, "\n")+1]
}

// pause waits a little for what is to be printed, until ctx is over.
func pause(ctx context.Context, t *testing.T, out *watcher) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Fatalf("not printed in time; so far: %s", out.text())
	case <-time.After(time.Millisecond):
	}
}

func report(kind ike.ReportKind, st ike.Status) control.Event {
	return control.Event{Report: &ike.Report{Kind: kind, Conn: st.Conn, IKE: st.ID, SA: &st}}
}

func logEventsOf(f *fake) []control.Event {
	st := f.sas[0].Status
	rekeyed := report(ike.IKERekeyed, st)
	rekeyed.Report.NewID = 9
	child := report(ike.ChildRekeyed, st)
	newer := st.Children[0]
	newer.ID, newer.SPIIn, newer.SPIOut = 5, 0x11, 0x12
	with := st
	with.Children = append([]ike.ChildStatus{st.Children[0]}, newer)
	child.Report.SA, child.Report.Child, child.Report.ChildID, child.Report.NewID = &with, "lan", 2, 5
	return []control.Event{
		{Log: &control.LogLine{Level: 1, Subsystem: "ike", Conn: "site", IKE: 1, Text: "phase 1 \x1b[31mestablished"}},
		{Log: &control.LogLine{Level: 2, Subsystem: "child", Text: "detail"}},
		{Log: &control.LogLine{Level: 0, Subsystem: "child", Text: "site/lan: failed"}},
		report(ike.IKEUp, st), report(ike.ChildUp, st), rekeyed, child, report(ike.ChildDown, st), report(ike.IKEDown, st),
		{Lost: 3},
	}
}

func TestLog(t *testing.T) {
	events := logEventsOf(newFake())
	golden(t, "log.txt", follow(t, events))
	golden(t, "log-0.txt", follow(t, events, "--level", "0"))
	golden(t, "log-2.txt", follow(t, events, "--level", "2"))
	golden(t, "log.json", follow(t, events, "--json"))
	other := []control.Event{{Log: &control.LogLine{Conn: "hq", Text: "hq: something"}}, report(ike.IKEUp, newFake().sas[2].Status)}
	if got := follow(t, append(other, events[0], events[2], events[8], events[9]), "site"); strings.Count(got, "\n") != 4 || !strings.Contains(got, "3 events were lost") || strings.Contains(got, "hq") || strings.Contains(got, "road") {
		t.Error(got)
	}
}

// events shows what happens to SAs, each kind in its own words.
func TestEvents(t *testing.T) {
	f := newFake()
	st := f.sas[0].Status
	moved := report(ike.IKEMoved, st)
	moved.Report.Was = st.Path
	failed := report(ike.Failed, st)
	failed.Report.Child, failed.Report.Why = "lan", &ike.Refusal{Cause: ike.NoSelectors}
	installed := report(ike.ChildUp, st)
	list := []control.Event{report(ike.IKEUp, st), moved, failed, report(ike.IKEDown, f.sas[2].Status)}
	golden(t, "events.txt", events(t, f, list))
	golden(t, "events.json", events(t, f, list, "--json"))
	golden(t, "events-site.txt", events(t, f, list, "site"))
	list = append(list, logEventsOf(f)[4:]...)
	golden(t, "events-all.txt", events(t, f, list))
	golden(t, "events-states.txt", events(t, f, list, "site", "--type", "child-state-*,alert"))
	golden(t, "events-state.txt", events(t, f, []control.Event{installed, report(ike.ChildDown, st)}, "--type", "child-state-installed,child-state-destroying,alert"))
}

// events runs events until all of a list were shown, and returns what it printed.
func events(t *testing.T, f *fake, list []control.Event, args ...string) string {
	t.Helper()
	path, _ := serve(t, f)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out watcher
	done := make(chan int, 1)
	go func() {
		done <- newApp(&out, io.Discard).run(ctx, append([]string{"--socket", path, "events"}, args...))
	}()
	mark := func(cause ike.Cause, word string) {
		ev := report(ike.Failed, f.sas[0].Status)
		ev.Report.Why = &ike.Refusal{Cause: cause}
		f.publish(ev)
		for !strings.Contains(out.text(), word) {
			pause(ctx, t, &out)
			if cause == ike.BadMessage { // until the last of the events is registered
				f.publish(ev)
			}
		}
	}
	mark(ike.BadMessage, "parse-error-body")
	for _, ev := range list {
		f.publish(ev)
	}
	mark(ike.WrongKey, "peer-auth-failed")
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	var shown strings.Builder
	for line := range strings.Lines(out.text()) {
		if !strings.Contains(line, "parse-error-body") && !strings.Contains(line, "peer-auth-failed") {
			shown.WriteString(line)
		}
	}
	return shown.String()
}
