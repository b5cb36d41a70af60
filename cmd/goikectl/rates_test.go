package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goike/goike/ike/control"
)

func childOf(id uint64, name string, in, out uint64) control.ChildSA {
	return control.ChildSA{ID: id, Name: name, State: "installed", BytesIn: in, PacketsIn: in / 100, BytesOut: out, PacketsOut: out / 100}
}

// siteOf is an overview of site, with IKE SAs of two peers, and an IKE SA of no connection.
func siteOf(first, second []control.ChildSA, other ...control.ChildSA) *control.Overview {
	return &control.Overview{
		Connections: []control.ConnStatus{{
			Name: "site", State: "up", Children: []control.ChildConf{{Name: "lan"}, {Name: "voice"}, {Name: "idle"}, {Name: "printer", Mode: "pass"}},
			SAs:       []control.SAStatus{{Conn: "site", RemoteHost: "192.0.2.1", Children: first}, {Conn: "site", RemoteHost: "192.0.2.2", Children: second}},
			LastError: &control.RefusalStatus{Cause: "no-answer"},
		}},
		OtherSAs: []control.SAStatus{{Conn: "gone", Children: other}},
	}
}

// Rates are differences between two snapshots: of SAs that replace others, too, and of one
// whose counters began anew; peers are told apart.
func TestRates(t *testing.T) {
	counts := []counters{{Connection: "site", Counts: map[string]uint64{
		"ike_rekey_init": 1, "ike_rekey_resp": 2, "child_rekey": 4, "invalid": 8, "invalid_spi": 16, "ike_init_in_req": 32,
	}}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	text := func(rows []tunnel) string {
		var lines []string
		for _, r := range rows {
			per := "-"
			if r.Rates != nil {
				per = fmt.Sprintf("in %v %v out %v %v", r.Rates.BytesIn, r.Rates.PacketsIn, r.Rates.BytesOut, r.Rates.PacketsOut)
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s/%s %s %s: %s, %d %d, %d rekeys, %d errors %s", r.Conn, r.Child, r.RemoteHost, r.State, per, r.BytesIn, r.BytesOut, r.Rekeys, r.Errors, r.LastError)))
		}
		return strings.Join(lines, "\n")
	}
	var m meter
	before := siteOf([]control.ChildSA{childOf(1, "lan", 1000, 5000), childOf(2, "voice", 70000, 0)}, []control.ChildSA{childOf(4, "lan", 100, 0)})
	const first = `site/voice 192.0.2.1 installed: -, 70000 0, 7 rekeys, 24 errors no-answer
site/lan 192.0.2.1 installed: -, 1000 5000, 7 rekeys, 24 errors no-answer
site/lan 192.0.2.2 installed: -, 100 0, 7 rekeys, 24 errors no-answer
site/idle  down: -, 0 0, 7 rekeys, 24 errors no-answer`
	if got := text(m.measure(now, before, counts)); got != first {
		t.Errorf("%s", got)
	}
	after := siteOf([]control.ChildSA{childOf(1, "lan", 3000, 5000), childOf(3, "lan", 400, 600), childOf(2, "voice", 200, 100000)},
		[]control.ChildSA{childOf(4, "lan", 100, 0)}, childOf(9, "old", 400, 0))
	const second = `site/voice 192.0.2.1 installed: in 100 1 out 50000 500, 200 100000, 7 rekeys, 24 errors no-answer
site/lan 192.0.2.1 installed: in 1200 12 out 300 3, 3400 5600, 7 rekeys, 24 errors no-answer
gone/old  installed: in 200 2 out 0 0, 400 0, 0 rekeys, 0 errors
site/lan 192.0.2.2 installed: in 0 0 out 0 0, 100 0, 7 rekeys, 24 errors no-answer
site/idle  down: in 0 0 out 0 0, 0 0, 7 rekeys, 24 errors no-answer`
	if got := text(m.measure(now.Add(2*time.Second), after, counts)); got != second {
		t.Errorf("%s", got)
	}
	if rows := m.measure(now.Add(2*time.Second), after, counts); rows[0].Rates != nil {
		t.Errorf("rates of no time: %+v", rows[0])
	}
}
