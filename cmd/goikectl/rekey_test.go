package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// rekeyEvents are what the daemon publishes about the replacement of site, and of its
// child.
func rekeyEvents(f *fake) (ofIKE, ofChild control.Event) {
	events := logEventsOf(f)
	return events[5], events[6]
}

// rekey waits until what was asked for has been replaced.
func TestRekey(t *testing.T) {
	f := newFake()
	f.matches = 1
	path, _ := serve(t, f)
	ofIKE, ofChild := rekeyEvents(f)
	other := report(ike.IKEDown, f.sas[2].Status)
	step := control.Event{Log: &control.LogLine{Level: 1, Subsystem: "ike", Conn: "site", IKE: 1, Text: "site: replacing phase 1"}}
	alien := control.Event{Log: &control.LogLine{Level: 1, Subsystem: "ike", Conn: "road", Text: "road: something else"}}
	up := report(ike.IKEUp, f.sas[0].Status)
	for _, c := range []struct {
		args   []string
		want   string // of the request
		events []control.Event
	}{
		{[]string{"site"}, "{site  0 0 false}", []control.Event{ofChild, other, ofIKE}},
		{[]string{"site/lan"}, "{site lan 0 0 false}", []control.Event{ofIKE, other, ofChild}},
		{[]string{"site", "--reauth"}, "{site  0 0 true}", []control.Event{report(ike.IKEDown, f.sas[0].Status), up}},
	} {
		f.set(func() {
			f.rekeyed = nil
			f.after = func() {
				for _, ev := range append([]control.Event{step, alien}, c.events...) {
					f.publish(ev)
				}
			}
		})
		r := run(t, path, append([]string{"rekey"}, c.args...)...)
		if want := "[IKE] site: replacing phase 1\n" + c.args[0] + " is replaced\n"; r != (result{want, "", exitOK}) {
			t.Errorf("%v: %+v", c.args, r)
		}
		f.set(func() {
			if len(f.rekeyed) != 1 || fmt.Sprint(f.rekeyed[0]) != c.want {
				t.Errorf("%v: asked for %v", c.args, f.rekeyed)
			}
		})
	}
}

// It says why, when that does not happen.
func TestRekeyFails(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	failed := report(ike.Failed, f.sas[0].Status)
	failed.Report.Child, failed.Report.Why = "lan", &ike.Refusal{Cause: ike.NoProposal}
	repeated := control.Event{Report: &ike.Report{Kind: ike.Step, Conn: "site", IKE: 1, Mark: ike.RequestRepeated}}
	for _, c := range []struct {
		matches int
		err     error
		events  []control.Event
		want    string
	}{
		{0, nil, nil, "there is no SA of that name"},
		{0, errors.New("no such connection"), nil, "no such connection"},
		{1, nil, []control.Event{repeated, failed}, "proposal-mismatch-child"},
		{1, nil, []control.Event{report(ike.IKEDown, f.sas[0].Status)}, "the IKE SA has ended"},
		{1, nil, nil, "not within 300ms"},
	} {
		f.set(func() {
			f.matches, f.err = c.matches, c.err
			f.after = func() {
				for _, ev := range c.events {
					f.publish(ev)
				}
			}
		})
		r := run(t, path, "--timeout", "300ms", "rekey", "site")
		if r.code != exitFailed || !strings.Contains(r.errs, "site is not replaced: ") || !strings.Contains(r.errs, c.want) {
			t.Errorf("want %q: %+v", c.want, r)
		}
	}
}
