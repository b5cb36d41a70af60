package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

const shortestInterval = 100 * time.Millisecond

func (a *app) topCommand() *cobra.Command {
	every := 2 * time.Second
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch what the tunnels carry, those that carry most first; q ends it",
		Args:  exactly(0, "flags only"),
		RunE: func(c *cobra.Command, _ []string) error {
			if every < shortestInterval {
				return usageError{fmt.Errorf("--interval %s: %s is the shortest", every, shortestInterval)}
			}
			return a.top(c.Context(), every)
		},
	}
	c.Flags().DurationVar(&every, "interval", every, "how often to look")
	return c
}

func (a *app) top(ctx context.Context, every time.Duration) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var before *glance
	return a.live(ctx, every, func(ctx context.Context, p printer) error {
		now, err := a.glance(ctx, c)
		if err != nil {
			return err
		}
		rows := now.since(before)
		before = now
		if a.json {
			return printJSON(p.w, topList{Schema: 1, Time: now.at, Tunnels: rows}, false)
		}
		now.show(p, rows)
		return nil
	})
}

// topList is what top prints in JSON, one object each time.
type topList struct {
	Schema  int       `json:"schema"`
	Time    time.Time `json:"time"`
	Tunnels []rate    `json:"tunnels"`
}

// rate is what a tunnel carries, per second.
type rate struct {
	Connection string  `json:"connection"`
	Child      string  `json:"child"`
	State      string  `json:"state"`
	BytesIn    float64 `json:"bytes_in"`
	PacketsIn  float64 `json:"packets_in"`
	BytesOut   float64 `json:"bytes_out"`
	PacketsOut float64 `json:"packets_out"`
	Rekeys     uint64  `json:"rekeys"` // of the connection, since the daemon counts
	Errors     uint64  `json:"errors"`
}

// glance is the state of all tunnels at a moment.
type glance struct {
	at     time.Time
	all    *control.Overview
	counts map[string]map[string]uint64 // by connection
}

func (a *app) glance(ctx context.Context, c *control.Client) (*glance, error) {
	o, err := a.overview(ctx, c, "")
	if err != nil {
		return nil, err
	}
	g := &glance{at: a.now(), all: o, counts: make(map[string]map[string]uint64)}
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	args := &control.Message{}
	args.Set("all", "yes")
	m, err := c.Call(ctx, "get-counters", args)
	if err != nil {
		return nil, because(ctx, err)
	}
	for _, of := range readCounters(m).Counters {
		g.counts[of.Connection] = of.Counts
	}
	return g, nil
}

// The counters that top adds up.
var (
	rekeyCounters = []string{"ike-rekey-init", "ike-rekey-resp", "child-rekey"}
	errorCounters = []string{"invalid", "invalid-spi"}
)

func sum(counts map[string]uint64, names []string) (n uint64) {
	for _, name := range names {
		n += counts[name]
	}
	return n
}

// carriedBy is what the child SAs have carried, by their unique IDs.
func (g *glance) carriedBy() map[uint64]control.ChildSA {
	m := make(map[uint64]control.ChildSA)
	if g == nil {
		return m
	}
	for i := range g.all.Connections {
		for _, sa := range g.all.Connections[i].SAs {
			for _, c := range sa.Children {
				m[c.ID] = c
			}
		}
	}
	return m
}

// since is what each tunnel has carried since an earlier glance, per second, those first
// that carry most. Without one all rates are zero. What an SA has carried before it was
// seen first counts, since it was set up in between.
func (g *glance) since(before *glance) []rate {
	seconds := 0.0
	if before != nil {
		seconds = g.at.Sub(before.at).Seconds()
	}
	was := before.carriedBy()
	rows := []rate{}
	for i := range g.all.Connections {
		conn := &g.all.Connections[i]
		counts := g.counts[conn.Name]
		for _, child := range conn.Children {
			r := rate{Connection: conn.Name, Child: child.Name, State: "down", Rekeys: sum(counts, rekeyCounters), Errors: sum(counts, errorCounters)}
			for _, sa := range conn.SAs {
				for _, c := range sa.Children {
					if c.Name == child.Name {
						r.add(c, was[c.ID], seconds)
					}
				}
			}
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b rate) int { return cmp.Compare(b.BytesIn+b.BytesOut, a.BytesIn+a.BytesOut) })
	return rows
}

func (r *rate) add(is, was control.ChildSA, seconds float64) {
	if r.State == "down" || is.State == "installed" {
		r.State = is.State
	}
	if seconds <= 0 {
		return
	}
	per := func(is, was uint64) float64 {
		if is < was { // its counters were lost
			was = 0
		}
		return float64(is-was) / seconds
	}
	r.BytesIn += per(is.BytesIn, was.BytesIn)
	r.PacketsIn += per(is.PacketsIn, was.PacketsIn)
	r.BytesOut += per(is.BytesOut, was.BytesOut)
	r.PacketsOut += per(is.PacketsOut, was.PacketsOut)
}

func (g *glance) show(p printer, rows []rate) {
	up, in, out := 0, 0.0, 0.0
	for _, r := range rows {
		if r.State != "down" {
			up++
		}
		in, out = in+r.BytesIn, out+r.BytesOut
	}
	p.line(joined(", ", g.all.Daemon+" "+g.all.Version, g.at.Format(time.TimeOnly), fmt.Sprintf("%d of %d tunnels up", up, len(rows)), "in "+bits(in), "out "+bits(out)), plain)
	p.line("", plain)
	table := [][]cell{header("TUNNEL", "STATE", "IN", "PACKETS/S", "OUT", "PACKETS/S", "REKEYS", "ERRORS")}
	for _, r := range rows {
		row := cells(r.Connection+"/"+r.Child, r.State, bits(r.BytesIn), whole(r.PacketsIn), bits(r.BytesOut), whole(r.PacketsOut),
			strconv.FormatUint(r.Rekeys, 10), strconv.FormatUint(r.Errors, 10))
		row[1].style = stateStyle(r.State)
		if r.Errors > 0 {
			row[7].style = red
		}
		table = append(table, row)
	}
	p.table("", table)
}

// bits writes octets a second as bits a second.
func bits(octetsPerSecond float64) string {
	n := 8 * octetsPerSecond
	for _, unit := range []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"} {
		if n < 999.95 || unit == "Gbit/s" {
			return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + " " + unit
		}
		n /= 1000
	}
	return ""
}

func whole(n float64) string { return strconv.FormatFloat(n, 'f', 0, 64) }
