package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/control"
)

// shelf is a Loader that answers a reload with what the test has put there, and notes
// what was asked for.
type shelf struct {
	control.Loader
	mu       sync.Mutex
	reloaded control.Reloaded
	reloads  []bool
}

func (f *shelf) Reload(_ context.Context, dryRun bool) control.Reloaded {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloads = append(f.reloads, dryRun)
	return f.reloaded
}

func TestReload(t *testing.T) {
	f := &shelf{}
	f.reloaded = control.Reloaded{
		Warnings: []string{"a.toml:3:1: hm"}, Settings: []string{"[log]"},
		Plan: conf.Plan{{Name: "site", Verdict: conf.InPlace, Keys: []string{"dpd_delay", "margintime"}}, {Name: "headquarters"}, {Name: "old", Verdict: conf.Removed}},
	}
	path, _ := serveLoader(t, newFake(), f)
	const plan = "[log] changed\nsite          in place   dpd_delay, margintime\nheadquarters  unchanged\nold           remove\n"
	if r := run(t, path, "reload"); r != (result{plan, "warning: a.toml:3:1: hm\n", exitOK}) {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "reload", "--dry-run"); r != (result{plan + "nothing was changed: this was a dry run\n", "warning: a.toml:3:1: hm\n", exitOK}) {
		t.Errorf("%+v", r)
	}
	r := run(t, path, "reload", "--dry-run", "--json")
	var o reloading
	if err := json.Unmarshal([]byte(r.out), &o); err != nil || r.code != exitOK || !o.Success || !o.DryRun || o.Schema != 1 || len(o.Plan) != 3 ||
		fmt.Sprint(o.Plan[0]) != "{site in place [dpd_delay margintime]}" || o.Plan[1].Reasons == nil {
		t.Errorf("%v %+v", err, r)
	}
	f.mu.Lock()
	if fmt.Sprint(f.reloads) != "[false true true]" {
		t.Errorf("asked: %v", f.reloads)
	}
	f.mu.Unlock()
}

// Errors come with their places, and the exit code tells of them.
func TestReloadRefused(t *testing.T) {
	f := &shelf{}
	f.reloaded = control.Reloaded{Err: errors.New("the configuration was not changed"), Errors: []string{"a.toml:1:2: bad\x1b[2J", "a.toml:4:1: worse"}}
	path, _ := serveLoader(t, newFake(), f)
	want := "a.toml:1:2: bad\\x1b[2J\na.toml:4:1: worse\ngoikectl: the configuration was not changed\n"
	if r := run(t, path, "reload"); r != (result{"", want, exitFailed}) {
		t.Errorf("%+v", r)
	}
	r := run(t, path, "reload", "--json")
	var o reloading
	if err := json.Unmarshal([]byte(r.out), &o); err != nil || r.code != exitFailed || o.Success || len(o.Errors) != 2 || o.Error == "" || r.errs != "" {
		t.Errorf("%v %+v", err, r)
	}
	if r := run(t, path, "reload", "now"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
