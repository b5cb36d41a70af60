package conf

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"remote_addrs", "remote_port", "mobike", "id"}
	for name, want := range map[string]string{
		"remote_adrs": "remote_addrs", "Remote_Port": "remote_port", "mobik": "mobike", "ids": "id", "frobnicate": "", "": "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
