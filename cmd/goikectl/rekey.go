package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
		Use:   "rekey NAME[/CHILD]",
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

// rekeying is a rekey under way: what was asked for, and what is still to come.
type rekeying struct {
	target
	reauth bool
	left   int
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
	r := &rekeying{target: t, reauth: reauth}
	events := []string{"log", "ike-rekey", "child-rekey", "ike-updown", "alert"}
	err = watch.SubscribeThen(ctx, events, func() error { return a.askRekey(ctx, r) }, func(event string, m *control.Message) {
		if event == "log" {
			a.stepOf(t.conn, m)
		} else if r.seen(event, m); r.failed != nil || r.left <= 0 {
			cancel()
		}
	})
	switch {
	case err != nil:
	case r.failed != nil:
		err = r.failed
	case r.left > 0: // the time is over, or somebody has interrupted it
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
	if r.left, err = strconv.Atoi(m.Get("matches")); err != nil || r.left == 0 {
		return errors.New("there is no SA of that name, or it is being replaced already")
	}
	return nil
}

// seen takes an event into account.
func (r *rekeying) seen(event string, m *control.Message) {
	if event == "alert" {
		if sa := m.Section("ike-sa"); sa != nil && sa.Section(r.conn) != nil && m.Get("type") != "retransmit-send" {
			r.failed = errors.New(m.Get("type") + "; the log says more")
		}
		return
	}
	s := m.Section(r.conn)
	switch {
	case s == nil:
	case event == "ike-updown" && m.Get("up") != "yes" && !r.reauth:
		r.failed = errors.New("the IKE SA has ended")
	case r.reauth:
		if event == "ike-updown" && m.Get("up") == "yes" {
			r.left--
		}
	case r.child != "":
		if event == "child-rekey" && hasChild(s, r.child) {
			r.left--
		}
	case event == "ike-rekey":
		r.left--
	}
}

// hasChild tells whether the event about an IKE SA is about a child of that name.
func hasChild(sa *control.Message, name string) bool {
	children := sa.Section("child-sas")
	if children == nil {
		return false
	}
	for _, both := range children.Sections() {
		if control.ReadChild(both.Section("new")).Name == name {
			return true
		}
	}
	return false
}

// stepOf prints a line of the log that is about a connection.
func (a *app) stepOf(conn string, m *control.Message) {
	if l := readLogLine(m); l.Level <= 1 && l.Conn == conn {
		a.step(m)
	}
}
