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
	line := func(text string) control.Event {
		return control.Event{Log: &control.LogLine{Level: 0, Subsystem: "ike", Conn: "site", IKE: 1, Text: text}}
	}
	ofLan, ofVoice, ofIKE := line("site/lan: not replaced yet: no proposal"), line("site/voice: not replaced yet"), line("phase 1 is not replaced yet: no answer")
	down, childDown := report(ike.IKEDown, f.sas[0].Status), report(ike.ChildDown, f.sas[0].Status)
	replaced, _ := rekeyEvents(f)
	for _, c := range []struct {
		matches int
		err     error
		name    string
		events  []control.Event
		want    string
	}{
		{0, nil, "site", nil, "there is no SA of that name"},
		{0, errors.New("no such connection"), "site", nil, "no such connection"},
		{1, nil, "site/lan", []control.Event{ofVoice, ofIKE, ofLan}, "site/lan is not replaced: not replaced yet: no proposal\n"},
		{1, nil, "site/lan", []control.Event{childDown}, "child SA #2 has ended"},
		{1, nil, "site", []control.Event{ofLan, ofIKE}, "site is not replaced: phase 1 is not replaced yet: no answer\n"},
		{1, nil, "site", []control.Event{childDown, down}, "IKE SA #1 has ended"},
		{2, nil, "site", []control.Event{replaced, down, replaced}, "not within 300ms"}, // the other IKE SA is not replaced
		{1, nil, "site", nil, "not within 300ms"},
	} {
		f.set(func() {
			f.matches, f.err = c.matches, c.err
			f.after = func() {
				for _, ev := range c.events {
					f.publish(ev)
				}
			}
		})
		r := run(t, path, "--timeout", "300ms", "rekey", c.name)
		if r.code != exitFailed || !strings.Contains(r.errs, c.name+" is not replaced: ") || !strings.Contains(r.errs, c.want) {
			t.Errorf("want %q: %+v", c.want, r)
		}
	}
}
