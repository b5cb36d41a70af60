package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// How often live views are drawn, and how often at most.
const (
	usualInterval    = 2 * time.Second
	shortestInterval = 100 * time.Millisecond
)

// topList is what top prints in JSON, one a line.
type topList struct {
	versioned
	Time    time.Time `json:"time"`
	Tunnels []tunnel  `json:"tunnels"`
}

func (a *app) topCommand() *cobra.Command {
	every := usualInterval
	c := &cobra.Command{
		Use:   "top [--interval DURATION]",
		Short: "Watch what the tunnels carry, the busiest first, until q or Ctrl-C",
		Args:  exactly(0, "flags only"),
		RunE: func(c *cobra.Command, _ []string) error {
			if every < shortestInterval {
				return usageError{fmt.Errorf("--interval %s: %s is the shortest", every, shortestInterval)}
			}
			return a.top(c.Context(), every)
		},
	}
	c.Flags().DurationVar(&every, "interval", every, "how often it is drawn")
	return c
}

func (a *app) top(ctx context.Context, every time.Duration) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var m meter
	return a.live(ctx, every, func(ctx context.Context, p printer) error { return a.drawTop(ctx, p, c, &m) })
}

func (a *app) drawTop(ctx context.Context, p printer, c *control.Client, m *meter) error {
	counted, err := a.getCounters(ctx, c)
	if err != nil {
		return err
	}
	o, err := a.overview(ctx, c, "")
	if err != nil {
		return err
	}
	now := a.now()
	list := m.measure(now, o, counted)
	if a.json {
		return printJSON(p.w, topList{current, now, list}, false)
	}
	p.line(joined(", ", o.Daemon+" "+o.Version, now.Format(time.TimeOnly), throughput(list)), plain)
	p.line("", plain)
	p.tunnels(list)
	return nil
}

// getCounters are the counters of every connection.
func (a *app) getCounters(ctx context.Context, c *control.Client) ([]counters, error) {
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	args := &control.Message{}
	args.Set("all", "yes")
	m, err := c.Call(ctx, "get-counters", args)
	if err != nil {
		return nil, because(ctx, err)
	}
	return readCounters(m).Counters, nil
}

// throughput sums tunnels up.
func throughput(list []tunnel) string {
	up, in, out := 0, 0.0, 0.0
	for _, t := range list {
		if t.State == "installed" || t.State == "rekeying" {
			up++
		}
		if t.Rates != nil {
			in, out = in+t.Rates.BytesIn, out+t.Rates.BytesOut
		}
	}
	text := fmt.Sprintf("%d of %s up", up, plural(uint64(len(list)), "tunnel"))
	if len(list) == 0 || list[0].Rates == nil {
		return text
	}
	return joined(", ", text, "in "+octets(whole(in))+"/s", "out "+octets(whole(out))+"/s")
}

func whole(f float64) uint64 { return uint64(math.Round(f)) }

func (p printer) tunnels(list []tunnel) {
	if len(list) == 0 {
		p.line("no tunnels", plain)
		return
	}
	rows := [][]cell{header("TUNNEL", "STATE", "IN/S", "OUT/S", "PACKETS IN/S", "PACKETS OUT/S", "IN", "OUT", "REKEYS", "ERRORS", "PEER", "LAST ERROR")}
	for _, t := range list {
		row := cells(t.Conn+"/"+t.Child, t.State)
		row[1].style = stateStyle(t.State)
		row = append(row, t.rateCells()...)
		row = append(row, cells(octets(t.BytesIn), octets(t.BytesOut), strconv.FormatUint(t.Rekeys, 10), strconv.FormatUint(t.Errors, 10), t.RemoteHost)...)
		rows = append(rows, append(row, cell{text: t.LastError, style: red}))
	}
	p.table("", rows)
}

func (t tunnel) rateCells() []cell {
	r := t.Rates
	if r == nil {
		return cells("-", "-", "-", "-")
	}
	return cells(octets(whole(r.BytesIn)), octets(whole(r.BytesOut)), strconv.FormatUint(whole(r.PacketsIn), 10), strconv.FormatUint(whole(r.PacketsOut), 10))
}
