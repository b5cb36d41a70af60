package main

import (
	"strings"
	"testing"
)

// status shows a connection, one of its children, or one IKE SA.
func TestStatusOfPart(t *testing.T) {
	path, _ := serve(t, newFake())
	for _, c := range []struct {
		args      []string
		has, lack string
	}{
		{[]string{"site/lan"}, "site/lan #2", "voice"},
		{[]string{"site/voice"}, "site/voice: configured", "IKE SA"},
		{[]string{"road", "--ike-id", "12"}, "IKE SA road #12", "road #11"},
		{[]string{"--ike-id", "12"}, "IKE SA road #12", "site"},
		{[]string{"--ike-id", "13"}, "IKE SA (unnamed) #13", "road"},
		{[]string{"site/lan", "--ike-id", "1", "--json"}, `"name": "lan"`, "voice"},
	} {
		r := run(t, path, append([]string{"status"}, c.args...)...)
		if r.code != exitOK || !strings.Contains(r.out, c.has) || strings.Contains(r.out, c.lack) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"site/nosuch"}, `site has no child "nosuch"; there are lan, voice`},
		{[]string{"site", "--ike-id", "12"}, "site has no IKE SA #12"},
		{[]string{"--ike-id", "99"}, "there is no IKE SA #99"},
		{[]string{"nosuch/lan"}, `no connection "nosuch" is configured; there are site, hq, büro 東京, road, lab`},
	} {
		if r := run(t, path, append([]string{"status"}, c.args...)...); r != (result{"", "goikectl: " + c.want + "\n", exitFailed}) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	if r := run(t, path, "status", "site/"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
