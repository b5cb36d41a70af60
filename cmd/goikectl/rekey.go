package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// rekeyTime is how long rekey waits without --timeout: a peer that does not answer is
// given up later than that, and the old SA stays.
const rekeyTime = 30 * time.Second

func (a *app) rekeyCommand() *cobra.Command {
	reauth := false
	c := &cobra.Command{
		Use:   "rekey NAME[/CHILD] [--reauth]",
		Short: "Replace the IKE SA of a connection, or one of its children, and wait for that",
		Args:  exactly(1, "one connection, or one child of it"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.rekey(c.Context(), args[0], reauth)
		},
		ValidArgsFunction: a.completeTargets,
	}
	c.Flags().BoolVar(&reauth, "reauth", false, "set the IKE SA up anew, so that both sides authenticate again")
	return c
}

// rekeyWatched are the events by which rekey learns the outcome.
var rekeyWatched = []string{"log", "ike-rekey", "child-rekey", "ike-updown", "child-updown"}

// rekeying is a rekey under way: what was asked for, and what has come of it.
type rekeying struct {
	target
	reauth bool
	wanted int             // how many SAs the daemon replaces
	done   map[uint64]bool // unique IDs of those that were; with reauth, of their successors
	failed error
}

func (a *app) rekey(ctx context.Context, arg string, reauth bool) error {
	t, err := parseTarget(arg)
	if err == nil && reauth && t.child != "" {
		err = usageError{fmt.Errorf("--reauth is for a whole connection, not for %s", t)}
	}
	if err != nil {
		return err
	}
	watch, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = watch.Close() }()
	limit := a.timeout
	if limit <= 0 {
		limit = rekeyTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s; the daemon goes on by itself", limit))
	defer cancel()
	r := &rekeying{target: t, reauth: reauth, done: make(map[uint64]bool)}
	err = watch.SubscribeThen(ctx, rekeyWatched, func() error { return a.askRekey(ctx, r) }, func(event string, m *control.Message) {
		if r.ended() {
			return
		}
		if event == "log" {
			a.stepOf(r, m)
		} else {
			r.seen(event, m)
		}
		if r.ended() {
			cancel()
		}
	})
	switch {
	case err != nil:
	case r.failed != nil:
		err = r.failed
	case !r.ended(): // the time is over, or somebody has interrupted it
		err = because(ctx, ctx.Err())
	}
	return a.tell(outcome{Name: t.String(), State: "replaced", Reached: err == nil}, err)
}

// askRekey sends the command. It waits for none of its effects.
func (a *app) askRekey(ctx context.Context, r *rekeying) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	args := &control.Message{}
	args.Set("ike", r.conn)
	if r.child != "" {
		args.Set("child", r.child)
	}
	if r.reauth {
		args.Set("reauth", "yes")
	}
	m, err := c.Call(ctx, "rekey", args)
	if err != nil {
		return because(ctx, err)
	}
	if r.wanted, err = strconv.Atoi(m.Get("matches")); err != nil || r.wanted == 0 {
		return errors.New("there is no SA of that name, or it is being replaced already")
	}
	return nil
}

// ended tells whether there is nothing more to wait for.
func (r *rekeying) ended() bool { return r.failed != nil || len(r.done) >= r.wanted }

// seen takes an event into account.
func (r *rekeying) seen(event string, m *control.Message) {
	for _, e := range readEvents(event, m) {
		switch {
		case e.conn != r.conn:
		case r.reauth:
			if event == "ike-updown" && e.isUp() {
				r.done[e.SA.ID] = true
			}
		case r.child != "":
			r.seenChild(e)
		case event == "ike-rekey":
			r.done[e.OldSA.ID] = true
		case event == "ike-updown" && !e.isUp() && !r.done[e.SA.ID]:
			r.failed = fmt.Errorf("IKE SA #%d has ended", e.SA.ID)
		}
	}
}

func (r *rekeying) seenChild(e saEvent) {
	switch {
	case e.OldChild != nil:
		if e.NewChild.Name == r.child {
			r.done[e.OldChild.ID] = true
		}
	case e.Event == "child-updown" && !e.isUp():
		for _, c := range e.SA.Children {
			if c.Name == r.child && !r.done[c.ID] {
				r.failed = fmt.Errorf("child SA #%d has ended", c.ID)
			}
		}
	}
}

// stepOf prints a line of the log that is about the connection. A complaint about what
// is being replaced is all that tells of an attempt that has failed.
func (a *app) stepOf(r *rekeying, m *control.Message) {
	l := readLogLine(m)
	if l.Level > 1 || l.Conn != r.conn {
		return
	}
	a.step(m)
	text, mine := l.Text, !strings.HasPrefix(l.Text, r.conn+"/")
	if r.child != "" {
		text, mine = strings.CutPrefix(l.Text, r.String()+": ")
	}
	if l.Level == 0 && mine {
		r.failed = errors.New(text)
	}
}
