package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goike/goike/ike/control"
)

func TestStatus(t *testing.T) {
	path, _ := serve(t, newFake())
	for _, test := range []struct {
		file string
		args []string
	}{
		{"status.txt", []string{"status"}},
		{"status-site.txt", []string{"status", "site"}},
		{"status-hq.txt", []string{"status", "hq"}},
		{"status-road.txt", []string{"status", "road"}},
		{"status-connecting.txt", []string{"status", "büro 東京"}},
		{"status.json", []string{"--json", "status"}},
		{"status-hq.json", []string{"status", "hq", "--json"}},
	} {
		r := run(t, path, test.args...)
		if r.code != exitOK || r.errs != "" {
			t.Errorf("%v: exit code %d: %s", test.args, r.code, r.errs)
		}
		golden(t, test.file, r.out)
		if strings.ContainsAny(r.out, "\x1b\x07") {
			t.Errorf("%v: control characters reach the terminal: %q", test.args, r.out)
		}
		if strings.Contains(r.out, "very secret") {
			t.Errorf("%v: a secret is shown", test.args)
		}
	}
}

func TestStatusSaysWhy(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	r := run(t, path, "status")
	for _, want := range []string{f.conns[1].LastError.String(), f.sas[0].LastError.String(), "retrying in 12 s, try 3 of 3, last error 4 s ago: ", "try 7 is under way"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("status does not say %q: %s", want, r.out)
		}
	}
}

func TestStatusOfNothing(t *testing.T) {
	f := newFake()
	path, _ := serve(t, f)
	r := run(t, path, "status", "nosuch")
	want := `goikectl: no connection "nosuch" is configured; there are site, hq, büro 東京, road, lab` + "\n"
	if r.code != exitFailed || r.errs != want || r.out != "" {
		t.Errorf("%+v", r)
	}
	f.set(func() { f.config.Connections, f.conns, f.sas = nil, nil, nil })
	if r := run(t, path, "status"); r.code != exitOK || !strings.HasSuffix(r.out, "no connections\n") {
		t.Errorf("%+v", r)
	}
	if r := run(t, path, "status", "x"); r.code != exitFailed || !strings.Contains(r.errs, "nor any other") {
		t.Errorf("%+v", r)
	}
	golden(t, "status-empty.json", run(t, path, "status", "--json").out)
}

func TestColor(t *testing.T) {
	path, _ := serve(t, newFake())
	var out bytes.Buffer
	a := newApp(&out, io.Discard)
	a.color = true
	if code := a.run(context.Background(), []string{"--socket", path, "status"}); code != exitOK {
		t.Fatal(code)
	}
	golden(t, "status-color.txt", out.String())
	env := func(vars ...string) func(string) string {
		return func(name string) string {
			for _, v := range vars {
				if n, value, _ := strings.Cut(v, "="); n == name {
					return value
				}
			}
			return ""
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as terminals are
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()
	for _, test := range []struct {
		f    *os.File
		env  func(string) string
		want bool
	}{
		{file, env(), false}, {device, env(), true}, {device, env("NO_COLOR=1"), false}, {device, env("TERM=dumb"), false},
	} {
		if got := wantsColor(test.f, test.env); got != test.want {
			t.Errorf("%s: %v", test.f.Name(), got)
		}
	}
}

// What is not up has a next step and a time for it, or was given up.
func TestPlan(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	e := &control.RefusalStatus{Text: "the peer does not answer", At: seconds(65)}
	for _, test := range []struct {
		conn control.ConnStatus
		want string
	}{
		{control.ConnStatus{State: "waiting", Try: 3, NextTry: seconds(12), LastError: e}, "retrying in 12 s, try 4, last error 1 min 5 s ago: the peer does not answer"},
		{control.ConnStatus{State: "waiting", Try: 1, KeyingTries: 3, NextTry: seconds(0)}, "retrying in 0 s, try 2 of 3"},
		{control.ConnStatus{State: "waiting", KeyingTries: 3, NextTry: seconds(2)}, "trying in 2 s"},
		{control.ConnStatus{State: "connecting", Try: 2, KeyingTries: 3}, "try 2 of 3 is under way"},
		{control.ConnStatus{State: "stopped", Try: 1, KeyingTries: 1, GivenUp: true, LastError: e},
			"given up after 1 try, traffic or `goikectl up` tries again, last error 1 min 5 s ago: the peer does not answer"},
		{control.ConnStatus{State: "on-demand", Try: 3, KeyingTries: 3, GivenUp: true}, "given up after 3 tries, traffic or `goikectl up` tries again"},
		{control.ConnStatus{State: "listening", LastError: e}, "failed 1 min 5 s ago: the peer does not answer"},
		{control.ConnStatus{State: "up"}, ""},
	} {
		got := ""
		for _, n := range notes(&test.conn) {
			got += n.text
		}
		if got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
