package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goike/goike/conf"
)

func TestReload(t *testing.T) {
	s := &shelf{reloaded: Reloaded{
		Warnings: []string{"a.toml:3:1: hm"}, Settings: []string{"[log]"},
		Plan: conf.Plan{{Name: "site", Verdict: conf.InPlace, Keys: []string{"dpd_delay", "phase2 lan: description"}}, {Name: "hq"}},
	}}
	c := dial(t, serve(t, newFake(), Options{Loader: s}))
	const plan = "settings=[[log]] plan {site {verdict=in place reasons=[dpd_delay phase2 lan: description]} hq {verdict=unchanged reasons=[]}}}"
	for _, args := range [][]string{nil, {"dry-run", "yes"}, {"dry-run", "no"}} {
		got := ask(t, c, "goike-reload", nil, args...)
		if !strings.HasPrefix(got, "{success=yes ") || strings.Contains(got, "omitted") || !strings.Contains(got, "a.toml:3:1: hm") || !strings.Contains(got, "in place") {
			t.Errorf("%s\nwant %s", got, plan)
		}
	}
	s.reload(Reloaded{Err: errors.New("not changed"), Errors: []string{"a.toml:1:2: bad", "a.toml:2:1: worse"}})
	if got := ask(t, c, "goike-reload", nil); !strings.HasPrefix(got, "{success=no errmsg=not changed errors=[a.toml:1:2: bad") {
		t.Error(got)
	}
	if got := ask(t, c, "reload-settings", nil); got != "{success=no errmsg=a.toml:1:2: bad}" {
		t.Error(got)
	}
	s.reload(Reloaded{Err: ErrNoFile})
	if got := ask(t, c, "reload-settings", nil); got != "{success=yes}" {
		t.Error(got)
	}
	if got := ask(t, c, "goike-reload", nil, "dry-run", "perhaps"); !strings.HasPrefix(got, "{success=no errmsg=dry-run") {
		t.Error(got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.calls, ", "); got != "reload false, reload true, reload false, reload false, reload false, reload false" {
		t.Errorf("asked: %s", got)
	}
}

// However long the plan is, it comes in one packet: what is unchanged is left out first.
func TestReloadOfMany(t *testing.T) {
	s := &shelf{}
	s.reloaded.Errors = []string{strings.Repeat("x", 60000)}
	for i := range 20000 {
		ch := conf.Change{Name: fmt.Sprintf("connection-%d", i)}
		if i == 19999 {
			ch.Verdict, ch.Keys = conf.Reauthenticate, []string{"proposals"}
		}
		s.reloaded.Plan = append(s.reloaded.Plan, ch)
	}
	c := dial(t, serve(t, newFake(), Options{Loader: s}))
	m, err := c.Call(t.Context(), "goike-reload", nil)
	if err != nil || m.Get("omitted") != "19999" || m.Section("plan").Section("connection-19999").Get("verdict") != "reauthenticate" {
		t.Errorf("%v, %.300s", err, m)
	}
}
