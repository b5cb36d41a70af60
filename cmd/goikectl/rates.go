package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/goike/goike/ike/control"
)

// load is what child SAs have carried.
type load struct{ bytesIn, packetsIn, bytesOut, packetsOut uint64 }

func carriedBy(c control.ChildSA) load {
	return load{c.BytesIn, c.PacketsIn, c.BytesOut, c.PacketsOut}
}

func (t load) plus(o load) load {
	return load{t.bytesIn + o.bytesIn, t.packetsIn + o.packetsIn, t.bytesOut + o.bytesOut, t.packetsOut + o.packetsOut}
}

// since is what was carried after before. A number that went down began anew.
func (t load) since(before load) load {
	diff := func(now, then uint64) uint64 {
		if now < then {
			return now
		}
		return now - then
	}
	return load{
		diff(t.bytesIn, before.bytesIn), diff(t.packetsIn, before.packetsIn),
		diff(t.bytesOut, before.bytesOut), diff(t.packetsOut, before.packetsOut),
	}
}

// rates are what a tunnel carries a second.
type rates struct {
	BytesIn    float64 `json:"bytes_in"`
	PacketsIn  float64 `json:"packets_in"`
	BytesOut   float64 `json:"bytes_out"`
	PacketsOut float64 `json:"packets_out"`
}

func (t load) per(d time.Duration) *rates {
	s := d.Seconds()
	return &rates{float64(t.bytesIn) / s, float64(t.packetsIn) / s, float64(t.bytesOut) / s, float64(t.packetsOut) / s}
}

// total is what tunnels are ranked by, in octets a second.
func (r *rates) total() float64 {
	if r == nil {
		return -1
	}
	return r.BytesIn + r.BytesOut
}

// tunnel is a row of top: the child SAs of one name with one peer, or a configured child
// without any. Rekeys and Errors are those of its connection since they are counted.
type tunnel struct {
	Conn       string `json:"connection"`
	Child      string `json:"child"`
	State      string `json:"state"`
	RemoteHost string `json:"remote_host"`
	RemoteID   string `json:"remote_id"`
	BytesIn    uint64 `json:"bytes_in"`
	PacketsIn  uint64 `json:"packets_in"`
	BytesOut   uint64 `json:"bytes_out"`
	PacketsOut uint64 `json:"packets_out"`
	Rates      *rates `json:"per_second"` // null until there are two snapshots
	Rekeys     uint64 `json:"rekeys"`     // of the IKE SAs and child SAs of the connection
	Errors     uint64 `json:"errors"`     // messages that broke the protocol, or were for no SA
	LastError  string `json:"last_error"` // cause of the last failure

	recent load // since the snapshot before
}

// meter makes rates of snapshots.
type meter struct {
	at       time.Time       // of the last snapshot, zero: none
	children map[uint64]load // in it, by unique ID
}

// measure takes a snapshot and returns the tunnels in it, the busiest first. Rates are
// means since the last snapshot; a child SA that was not in that is new and has carried
// all of what it has since.
func (m *meter) measure(now time.Time, o *control.Overview, counts []counters) []tunnel {
	t := table{meter: m, rows: []tunnel{}, children: make(map[uint64]load), index: make(map[tunnelKey]int)}
	for i := range o.Connections {
		t.addConn(&o.Connections[i])
	}
	for _, sa := range o.OtherSAs {
		t.addSA(sa, cause(sa.LastError))
	}
	if elapsed := now.Sub(m.at); !m.at.IsZero() && elapsed > 0 {
		for i := range t.rows {
			t.rows[i].Rates = t.rows[i].recent.per(elapsed)
		}
	}
	for i := range t.rows {
		t.rows[i].count(counts)
	}
	m.at, m.children = now, t.children
	slices.SortStableFunc(t.rows, func(a, b tunnel) int {
		return cmp.Or(cmp.Compare(b.Rates.total(), a.Rates.total()), cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut))
	})
	return t.rows
}

// count sets what is counted for the connection of a tunnel.
func (t *tunnel) count(counts []counters) {
	for _, of := range counts {
		if of.Connection == t.Conn {
			t.Rekeys = of.Counts["ike_rekey_init"] + of.Counts["ike_rekey_resp"] + of.Counts["child_rekey"]
			t.Errors = of.Counts["invalid"] + of.Counts["invalid_spi"]
		}
	}
}

func cause(e *control.RefusalStatus) string {
	if e == nil {
		return ""
	}
	return e.Cause
}

// tunnelKey tells tunnels apart.
type tunnelKey struct {
	conn, child, host, id string
	port                  int64
}

// table gathers the tunnels of a snapshot.
type table struct {
	meter    *meter
	children map[uint64]load
	rows     []tunnel
	index    map[tunnelKey]int
}

func (t *table) addConn(c *control.ConnStatus) {
	for _, sa := range c.SAs {
		t.addSA(sa, cmp.Or(cause(sa.LastError), cause(c.LastError)))
	}
	for _, conf := range c.Children {
		has := func(r tunnel) bool { return r.Conn == c.Name && r.Child == conf.Name }
		if conf.Mode == "pass" || conf.Mode == "drop" || slices.ContainsFunc(t.rows, has) {
			continue
		}
		state := c.State
		if state == "up" {
			state = "down" // the IKE SA is up, this child is not
		}
		t.rows = append(t.rows, tunnel{Conn: c.Name, Child: conf.Name, State: state, RemoteHost: c.RemoteGateway, RemoteID: c.PeerIdentifier, LastError: cause(c.LastError)})
	}
}

func (t *table) addSA(sa control.SAStatus, lastError string) {
	for _, c := range sa.Children {
		key := tunnelKey{sa.Conn, c.Name, sa.RemoteHost, sa.RemoteID, sa.RemotePort}
		i, ok := t.index[key]
		if !ok {
			i = len(t.rows)
			t.index[key] = i
			t.rows = append(t.rows, tunnel{Conn: sa.Conn, Child: c.Name, State: c.State, RemoteHost: sa.RemoteHost, RemoteID: sa.RemoteID, LastError: lastError})
		}
		t.rows[i].add(c, carriedBy(c).since(t.meter.children[c.ID]))
		t.children[c.ID] = carriedBy(c)
	}
}

// add adds a child SA to a tunnel.
func (t *tunnel) add(c control.ChildSA, recent load) {
	if c.State == "installed" {
		t.State = c.State
	}
	sum := load{t.BytesIn, t.PacketsIn, t.BytesOut, t.PacketsOut}.plus(carriedBy(c))
	t.BytesIn, t.PacketsIn, t.BytesOut, t.PacketsOut = sum.bytesIn, sum.packetsIn, sum.bytesOut, sum.packetsOut
	t.recent = t.recent.plus(recent)
}
