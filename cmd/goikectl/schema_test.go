package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// strictly decodes objects, one after the other, in a type that has a place for every name
// in them.
func strictly[T any](t *testing.T, text string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	n := 0
	for ; ; n++ {
		var v T
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%T: %v in %s", v, err, text)
		}
		if got := reflect.ValueOf(v).FieldByName("Schema").Int(); got != schema {
			t.Errorf("%T: schema %d", v, got)
		}
	}
	if n == 0 {
		t.Errorf("%T: nothing is printed", *new(T))
	}
}

// names are the names in an object, each with those that it stands below.
func names(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, below := range v {
			path := strings.TrimPrefix(prefix+"."+name, ".")
			into[path] = true
			names(path, below, into)
		}
	case []any:
		for _, below := range v {
			names(prefix+"[]", below, into)
		}
	}
}

// What --json prints is decoded strictly, and its names are those that testdata/schema.txt
// lists: one that goes or means something else needs another number.
func TestSchema(t *testing.T) {
	f := newFake()
	f.matches, f.recorded = 1, recordedMessages()[:1]
	f.conns[1].Unreachable = &ike.Unreachable{What: "no-port"}
	f.policies = []control.Policy{{Conn: "hq", Child: "local", Mode: conf.Pass, Local: traffic("10.1.0.0/16"), Remote: traffic("10.1.0.0/16")}}
	f.counters.Conns = []control.ConnCounters{{Conn: "site"}}
	f.steps = []control.LogLine{{Level: 1, Subsystem: "ike", Conn: "hq", IKE: 7, Text: "begun"}}
	ofIKE, _ := rekeyEvents(f)
	f.after = func() { f.publish(ofIKE) }
	path, _ := serve(t, f)
	l := startLive(t, path, nil, "top", "--json")
	l.shows(t, "\n", 1)
	l.tick(t)
	l.shows(t, "\n", 2)
	l.end()
	<-l.code
	st := f.sas[0].Status
	moved, alert, child := report(ike.IKEMoved, st), report(ike.Failed, st), logEventsOf(f)[6]
	moved.Report.Was, alert.Report.Why = st.Path, &ike.Refusal{Cause: ike.NoSelectors}
	_, last, _ := strings.Cut(run(t, path, "up", "hq", "--json").out, "\n")
	var shown bytes.Buffer
	for _, of := range []struct {
		command string
		text    string
		check   func(*testing.T, string)
	}{
		{"status", run(t, path, "status", "--json").out, strictly[control.Overview]},
		{"policies", run(t, path, "policies", "--json").out, strictly[policyList]},
		{"counters", run(t, path, "counters", "site", "--json").out, strictly[counterList]},
		{"top", l.out.text(), strictly[topList]},
		{"events", events(t, f, []control.Event{ofIKE, moved, alert, child, report(ike.ChildUp, st)}, "--json"), strictly[saEvent]},
		{"log", strings.SplitAfter(follow(t, logEventsOf(f), "--json"), "\n")[0], strictly[logLine]},
		{"up", last, strictly[outcome]},
		{"rekey", run(t, path, "rekey", "site", "--json").out, strictly[outcome]},
		{"redirect", run(t, path, "redirect", "--gateway", "192.0.2.7", "--name", "hq", "--json").out, strictly[redirection]},
		{"explain", run(t, path, "explain", "--json").out, strictly[explanations]},
		{"pcap", run(t, path, "pcap", filepath.Join(t.TempDir(), "x"), "--count", "1", "--json").out, strictly[captured]},
		{"version", run(t, path, "version", "--json").out, strictly[versions]},
		{"genpsk", run(t, path, "genpsk", "--json").out, strictly[generated]},
	} {
		of.check(t, of.text)
		all := make(map[string]bool)
		d := json.NewDecoder(strings.NewReader(of.text))
		for {
			var v any
			if d.Decode(&v) != nil {
				break
			}
			names("", v, all)
		}
		fmt.Fprintf(&shown, "%s\n  %s\n", of.command, strings.Join(slices.Sorted(maps.Keys(all)), "\n  "))
	}
	golden(t, "schema.txt", shown.String())
}
