package engine

import (
	"context"
	"maps"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
)

// counters are what a shard has counted, in all and by connection. Counters of a
// connection last as long as that is configured.
type counters struct {
	all    ike.Counts
	byConn map[string]*ike.Counts
}

func newCounters() counters { return counters{byConn: make(map[string]*ike.Counts)} }

func (c *counters) count(conn string, what ...ike.Counter) {
	for _, w := range what {
		c.all[w]++
		if conn == "" {
			continue
		}
		of := c.byConn[conn]
		if of == nil {
			of = new(ike.Counts)
			c.byConn[conn] = of
		}
		of[w]++
	}
}

// keep forgets connections that are not configured any more.
func (c *counters) keep(configured *conf.Config) {
	names := make(map[string]bool, len(configured.Connections))
	for _, conn := range configured.Connections {
		names[conn.Name] = true
	}
	maps.DeleteFunc(c.byConn, func(name string, _ *ike.Counts) bool { return !names[name] })
}

// countReplaced counts the replacements that a report tells of.
func (s *Shard) countReplaced(e *entry, r ike.Report) {
	switch {
	case r.Kind == ike.ChildRekeyed:
		s.counters.count(e.conn, ike.ChildRekeys)
	case r.Kind == ike.IKERekeyed && r.SA != nil && r.SA.Initiator:
		s.counters.count(e.conn, ike.RekeysBegun)
	case r.Kind == ike.IKERekeyed:
		s.counters.count(e.conn, ike.RekeysServed)
	}
}

// copy is for another goroutine.
func (c *counters) copy() counters {
	out := counters{all: c.all, byConn: make(map[string]*ike.Counts, len(c.byConn))}
	for name, of := range c.byConn {
		copied := *of
		out.byConn[name] = &copied
	}
	return out
}

// add adds what another shard has counted.
func (c *counters) add(other counters) {
	c.all.Add(&other.all)
	for name, of := range other.byConn {
		if c.byConn[name] == nil {
			c.byConn[name] = new(ike.Counts)
		}
		c.byConn[name].Add(of)
	}
}

// reset begins to count anew: for every connection, for one that is named, or, when the
// name is empty, in all.
func (c *counters) reset(every bool, name string) {
	switch {
	case every:
		clear(c.byConn)
	case name != "":
		delete(c.byConn, name)
	default:
		c.all = ike.Counts{}
	}
}

// Counters implements control.Backend.
func (e *Engine) Counters(ctx context.Context) (control.Counters, error) {
	sum := newCounters()
	for _, r := range e.runners {
		c, ok := atShard(ctx, r, func(s *Shard) counters { return s.counters.copy() })
		if !ok {
			return control.Counters{}, errNoShard
		}
		sum.add(c)
	}
	out := control.Counters{All: sum.all}
	for _, name := range slices.Sorted(maps.Keys(sum.byConn)) {
		out.Conns = append(out.Conns, control.ConnCounters{Conn: name, Counts: *sum.byConn[name]})
	}
	return out, nil
}

// ResetCounters implements control.Backend.
func (e *Engine) ResetCounters(ctx context.Context, every bool, conn string) error {
	for _, r := range e.runners {
		if _, ok := atShard(ctx, r, func(s *Shard) bool { s.counters.reset(every, conn); return true }); !ok {
			return errNoShard
		}
	}
	return nil
}
