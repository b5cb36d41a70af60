//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/internal/metrics"
)

// exporter serves metrics where the configuration says so.
type exporter struct {
	backend control.Backend
	warn    func(string)
	at      conf.Metrics
	server  *metrics.Server // nil: nothing is served

	// Of the scrapes, of which there is one at a time.
	seen   map[uint64]*[2]esp.Usage // child SAs, by unique ID: inbound, outbound
	volume map[childName]*volume
}

// childName names the children of a connection that have the same name.
type childName struct{ conn, child string }

// amount is what was carried one way.
type amount struct{ bytes, packets uint64 }

// volume is what all SAs of a child have carried so far, in and out.
type volume [2]amount

func newExporter(b control.Backend, warn func(string)) *exporter {
	return &exporter{backend: b, warn: warn, seen: make(map[uint64]*[2]esp.Usage), volume: make(map[childName]*volume)}
}

// apply serves metrics at the place that the configuration names. When that cannot be
// had, tunnels do not suffer: it is said, and they stay where they were.
func (x *exporter) apply(ctx context.Context, m conf.Metrics) {
	if m == x.at && (x.server != nil || m.Listen == "") {
		return
	}
	var l net.Listener
	if m.Listen != "" {
		var err error
		if l, err = listenMetrics(ctx, m); err != nil {
			x.warn(fmt.Sprintf("metrics.listen = %q: metrics are not served there: %v", m.Listen, err))
			return
		}
	}
	x.close()
	x.at = m
	if l != nil {
		x.server = metrics.Serve(l, x.gather, x.warn)
	}
}

func (x *exporter) close() {
	if x.server != nil {
		x.server.Close()
	}
	x.server = nil
}

func listenMetrics(ctx context.Context, m conf.Metrics) (net.Listener, error) {
	network, address, err := m.Address()
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return control.ListenAs("socket", address)
	}
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

// gather makes a page.
func (x *exporter) gather(ctx context.Context) *metrics.Page {
	s := &snapshot{
		info: x.backend.Info(), stats: x.backend.Stats(), conf: x.backend.Config(), conns: x.backend.Conns(), sas: x.backend.SAs(ctx),
	}
	x.measure(s)
	p := &metrics.Page{}
	for _, f := range families {
		p.Family(f.name, f.kind, f.help)
		f.add(p, s)
	}
	return p
}

// measure adds to the volumes what SAs have carried since the last scrape, so that they
// do not fall when an SA goes. Children that are not configured are forgotten.
func (x *exporter) measure(s *snapshot) {
	known := make(map[childName]bool)
	for _, conn := range s.conf.Connections {
		for _, c := range conn.Children {
			if name := (childName{conn.Name, c.Name}); !c.Mode.Shunt() {
				known[name] = true
				if x.volume[name] == nil {
					x.volume[name] = &volume{}
				}
			}
		}
	}
	maps.DeleteFunc(x.volume, func(name childName, _ *volume) bool { return !known[name] })
	live := make(map[uint64]bool)
	for _, sa := range s.sas {
		for i, c := range sa.Children {
			if v := x.volume[childName{sa.Conn, c.Name}]; v != nil && i < len(sa.Usage) {
				live[c.ID] = true
				x.advance(v, c.ID, sa.Usage[i])
			}
		}
	}
	maps.DeleteFunc(x.seen, func(id uint64, _ *[2]esp.Usage) bool { return !live[id] })
	s.volume = x.volume
}

// advance adds what a child SA has carried since it was last looked at. A data plane that
// does not know says 0.
func (x *exporter) advance(v *volume, id uint64, u control.ChildUsage) {
	last := x.seen[id]
	if last == nil {
		last = &[2]esp.Usage{}
		x.seen[id] = last
	}
	for i, now := range [2]esp.Usage{u.In, u.Out} {
		if now.Bytes >= last[i].Bytes && now.Packets >= last[i].Packets {
			v[i].bytes += now.Bytes - last[i].Bytes
			v[i].packets += now.Packets - last[i].Packets
			last[i] = now
		}
	}
}

// addStates adds a sample for every state, of which there are n.
func addStates(p *metrics.Page, words []string, n map[int]int) {
	for i, word := range words {
		p.Sample(float64(n[i]), "state", strings.ToLower(word))
	}
}

// addNamed adds counts by name, all but one.
func addNamed[N int | uint64](p *metrics.Page, counts map[string]N, label, but string) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if name != but {
			p.Sample(float64(counts[name]), label, name)
		}
	}
}

func addVolume(p *metrics.Page, s *snapshot, of func(amount) uint64) {
	names := slices.SortedFunc(maps.Keys(s.volume), func(a, b childName) int {
		return cmp.Or(strings.Compare(a.conn, b.conn), strings.Compare(a.child, b.child))
	})
	for _, n := range names {
		for i, direction := range [2]string{"in", "out"} {
			p.Sample(float64(of(s.volume[n][i])), "connection", n.conn, "child", n.child, "direction", direction)
		}
	}
}

func addHistogram(p *metrics.Page, h control.Histogram) {
	bounds := make([]float64, len(h.Bounds))
	for i, b := range h.Bounds {
		bounds[i] = b.Seconds()
	}
	p.Buckets(bounds, h.Counts, h.Sum.Seconds())
}

// kinds and marked pick what is counted.
func kinds(list ...ike.ReportKind) func(control.CountKey) bool {
	return func(k control.CountKey) bool { return slices.Contains(list, k.Kind) }
}

func marked(m ike.Mark) func(control.CountKey) bool {
	return func(k control.CountKey) bool { return k.Mark == m }
}

// addSA tells what a count is about.
func addSA(k control.CountKey) []string {
	if k.Child {
		return []string{"connection", k.Conn, "sa", "child"}
	}
	return []string{"connection", k.Conn, "sa", "ike"}
}

func connCounts(want func(control.CountKey) bool) func(*metrics.Page, *snapshot) {
	return func(p *metrics.Page, s *snapshot) {
		addCounts(p, s, want, func(k control.CountKey) []string { return []string{"connection", k.Conn} })
	}
}

func addNegotiations(p *metrics.Page, s *snapshot) {
	addCounts(p, s, kinds(ike.IKEUp, ike.ChildUp, ike.Failed), func(k control.CountKey) []string {
		result := "established"
		if k.Kind == ike.Failed {
			result = "failed"
		}
		return append(addSA(k), "result", result, "cause", control.CauseWord(k.Cause))
	})
}

// addCounts adds the counts that are wanted, those with the same labels together. Names
// of connections are those of the configuration.
func addCounts(p *metrics.Page, s *snapshot, want func(control.CountKey) bool, labels func(control.CountKey) []string) {
	known := map[string]bool{"": true}
	for _, c := range s.conf.Connections {
		known[c.Name] = true
	}
	sums := make(map[string]uint64)
	all := make(map[string][]string)
	for k, n := range s.stats.Counts {
		if want(k) && known[k.Conn] {
			l := labels(k)
			id := strings.Join(l, "\x00")
			sums[id] += n
			all[id] = l
		}
	}
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		p.Sample(float64(sums[id]), all[id]...)
	}
}
