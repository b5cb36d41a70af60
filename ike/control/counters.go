package control

import (
	"context"
	"errors"
	"slices"

	"github.com/goike/goike/ike"
)

var errNoCounters = errors.New("no counters found for this connection")

// getCounters shows the counters of all connections (`all`), of one (`name`), or, without
// either, those of the whole daemon, under an empty name.
func getCounters(ctx context.Context, s *session, args *Message) *Message {
	c, err := s.server.backend.Counters(ctx)
	if err != nil {
		return failure(err)
	}
	m := &Message{}
	list := m.AddSection("counters")
	switch name := args.Get("name"); {
	case isYes(args, "all"):
		for _, of := range c.Conns {
			setCounts(list.AddSection(of.Conn), of.Counts)
		}
	case name != "":
		i := slices.IndexFunc(c.Conns, func(of ConnCounters) bool { return of.Conn == name })
		if i < 0 {
			return failure(errNoCounters)
		}
		setCounts(list.AddSection(name), c.Conns[i].Counts)
	default:
		setCounts(list.AddSection(""), c.All)
	}
	m.Set("success", "yes")
	return m
}

func setCounts(m *Message, c ike.Counts) {
	for i, n := range c {
		setInt(m, ike.Counter(i).String(), n)
	}
}

// resetCounters begins to count anew what getCounters with the same arguments shows.
func resetCounters(ctx context.Context, s *session, args *Message) *Message {
	return outcome(s.server.backend.ResetCounters(ctx, isYes(args, "all"), args.Get("name")))
}
