//go:build linux

package main

import "testing"

// Only a job of systemd's that restarts this very unit is one.
func TestRestartJob(t *testing.T) {
	for _, c := range []struct {
		jobs string
		want bool
	}{
		{"1234 goiked.service restart running\n", true},
		{" 12 other.service start waiting\n1234 goiked.service try-restart running\n", true},
		{"1234 goiked.service stop running\n", false},
		{"1234 other.service restart running\n", false},
		{"goiked.service restart\n", false},
		{"", false},
	} {
		if got := restartJob([]byte(c.jobs), "goiked.service"); got != c.want {
			t.Errorf("%q: %v", c.jobs, got)
		}
	}
}

func TestUnitIn(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/goiked.service\n": "goiked.service", "0::/system.slice/system-goiked.slice/goiked@a.service\n": "goiked@a.service",
		"2:cpu:/\n1:name=systemd:/system.slice/goiked.service\n": "goiked.service", "0::/user.slice\n": "", "": "",
	} {
		if got := unitIn([]byte(cgroups)); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}
