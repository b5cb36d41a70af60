package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

func (a *app) statusCommand() *cobra.Command {
	var s selection
	every := time.Duration(0)
	c := &cobra.Command{
		Use:   "status [NAME[/CHILD]] [--ike-id N] [--watch[=INTERVAL]]",
		Short: "Show all connections, or everything about one, one of its children or one IKE SA",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("watch") && every < shortestInterval {
				return usageError{fmt.Errorf("--watch=%s: %s is the shortest", every, shortestInterval)}
			}
			if len(args) > 0 {
				var err error
				if s.target, err = parseTarget(args[0]); err != nil {
					return err
				}
			}
			return a.status(c.Context(), s, every)
		},
		ValidArgsFunction: a.completeTargets,
	}
	c.Flags().Uint64Var(&s.ikeID, "ike-id", 0, "only the IKE SA of this unique ID")
	c.Flags().DurationVar(&every, "watch", 0, "show it again every so often, such as --watch=5s, until q or Ctrl-C")
	c.Flags().Lookup("watch").NoOptDefVal = usualInterval.String()
	return c
}

// overview asks the daemon for its state.
func (a *app) overview(ctx context.Context, c *control.Client, conn string) (*control.Overview, error) {
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	o, err := c.Status(ctx, conn)
	return o, because(ctx, err)
}

// status shows the state once, or every so often.
func (a *app) status(ctx context.Context, s selection, every time.Duration) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	draw := func(ctx context.Context, p printer) error { return a.drawStatus(ctx, c, s, p, every == 0) }
	if every > 0 {
		return a.live(ctx, every, draw)
	}
	return draw(ctx, printer{a.out, a.color})
}

func (a *app) drawStatus(ctx context.Context, c *control.Client, s selection, p printer, indent bool) error {
	o, err := a.overview(ctx, c, s.conn)
	if err != nil {
		return err
	}
	if s.conn != "" && len(o.Connections)+len(o.OtherSAs) == 0 {
		return a.noSuch(ctx, c, s.conn)
	}
	if err := s.of(o); err != nil {
		return err
	}
	switch {
	case a.json:
		return printJSON(p.w, o, indent)
	case s.everything():
		p.summary(o)
	default:
		p.details(o)
	}
	return nil
}

// hasConn is an error when there is no connection of a name; no name is none.
func (a *app) hasConn(ctx context.Context, c *control.Client, name string) error {
	if name == "" {
		return nil
	}
	o, err := a.overview(ctx, c, name)
	if err == nil && len(o.Connections)+len(o.OtherSAs) == 0 {
		err = a.noSuch(ctx, c, name)
	}
	return err
}

// noSuch is the error for a name that there is not.
func (a *app) noSuch(ctx context.Context, c *control.Client, name string) error {
	o, err := a.overview(ctx, c, "")
	if err != nil {
		return err
	}
	var names []string
	for _, conn := range o.Connections {
		names = append(names, conn.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("no connection %q is configured, nor any other", name)
	}
	return fmt.Errorf("no connection %q is configured; there are %s", name, strings.Join(names, ", "))
}

// summary prints a table of connections, one of their children, and why what is
// not up is not.
func (p printer) summary(o *control.Overview) {
	p.line(joined(", ", o.Daemon+" "+o.Version, "data plane "+o.Dataplane), plain)
	if len(o.Connections)+len(o.OtherSAs) == 0 {
		p.line("no connections", plain)
		return
	}
	p.line("", plain)
	p.table("", connRows(o))
	if rows := childRows(o); len(rows) > 1 {
		p.line("", plain)
		p.table("", rows)
	}
	first := true
	for i := range o.Connections {
		for _, n := range notes(&o.Connections[i]) {
			if first {
				p.line("", plain)
				first = false
			}
			p.line(o.Connections[i].Name+": "+n.text, n.style)
		}
	}
}

func header(titles ...string) []cell {
	row := cells(titles...)
	for i := range row {
		row[i].style = bold
	}
	return row
}

func connRows(o *control.Overview) [][]cell {
	rows := [][]cell{header("CONNECTION", "STATE", "PEER", "LOCAL ID", "PEER ID", "SUITE", "NAT", "AGE", "REKEY", "EXPIRY", "TASK")}
	for i := range o.Connections {
		c := &o.Connections[i]
		if len(c.SAs) == 0 {
			row := cells(c.Name, c.State, c.RemoteGateway, c.Identifier, c.PeerIdentifier)
			row[1].style = stateStyle(c.State)
			rows = append(rows, row)
		}
		for _, sa := range c.SAs {
			if sa.Established == nil { // whose identities are not known yet
				sa.LocalID, sa.RemoteID = c.Identifier, c.PeerIdentifier
			}
			rows = append(rows, saRow(sa, len(c.SAs) > 1))
		}
	}
	for _, sa := range o.OtherSAs {
		rows = append(rows, saRow(sa, true))
	}
	return rows
}

func saRow(sa control.SAStatus, withID bool) []cell {
	name := sa.Conn
	if withID {
		name += fmt.Sprintf(" #%d", sa.ID)
	}
	state := saState(sa)
	where := ""
	if sa.Established != nil {
		where = nat(sa)
	}
	row := cells(name, state, endpoint(sa.RemoteHost, sa.RemotePort), sa.LocalID, sa.RemoteID, sa.Suite, where, since(sa.Established),
		in("", sa.RekeyTime), in("", sa.ExpireTime), tasks(sa))
	row[1].style = stateStyle(state)
	return row
}

// saState calls an established IKE SA up, as connections are.
func saState(sa control.SAStatus) string {
	if sa.State == "established" {
		return "up"
	}
	return sa.State
}

func stateStyle(state string) style {
	switch state {
	case "up", "installed":
		return green
	case "connecting", "waiting", "rekeying", "rekeyed", "deleting", "created":
		return yellow
	}
	return plain
}

func endpoint(host string, port int64) string {
	if port == 0 {
		return host
	}
	return fmt.Sprintf("%s[%d]", host, port)
}

// nat says where a NAT is.
func nat(sa control.SAStatus) string {
	var at []string
	if sa.NATLocal {
		at = append(at, "local")
	}
	if sa.NATRemote {
		at = append(at, "peer")
	}
	if sa.NATFake {
		at = append(at, "forced")
	}
	if len(at) == 0 {
		return "none"
	}
	return strings.Join(at, "+")
}

// tasks are what an IKE SA does, and what waits for the end of that.
func tasks(sa control.SAStatus) string {
	queued := ""
	if len(sa.TasksQueued) > 0 {
		queued = "then " + strings.Join(sa.TasksQueued, ", ")
	}
	return joined(", ", strings.Join(sa.TasksActive, ", "), queued)
}

func childRows(o *control.Overview) [][]cell {
	rows := [][]cell{header("TUNNEL", "STATE", "NETWORKS", "IN", "OUT", "SPI IN", "SPI OUT", "AGE", "REKEY", "EXPIRY")}
	for i := range o.Connections {
		c := &o.Connections[i]
		for _, conf := range c.Children {
			found := false
			for _, sa := range c.SAs {
				for _, child := range sa.Children {
					if child.Name == conf.Name {
						found = true
						rows = append(rows, childRow(sa, child))
					}
				}
			}
			if !found {
				rows = append(rows, cells(c.Name+"/"+conf.Name, "down", networks(conf.LocalNetwork, conf.RemoteNetwork)))
			}
		}
	}
	for _, sa := range o.OtherSAs {
		for _, child := range sa.Children {
			rows = append(rows, childRow(sa, child))
		}
	}
	return rows
}

func childRow(sa control.SAStatus, c control.ChildSA) []cell {
	row := cells(sa.Conn+"/"+c.Name, c.State, networks(c.LocalTS, c.RemoteTS), carried(c.BytesIn, c.PacketsIn),
		carried(c.BytesOut, c.PacketsOut), c.SPIIn, c.SPIOut, since(c.InstallTime), in("", c.RekeyTime), in("", c.LifeTime))
	row[1].style = stateStyle(c.State)
	return row
}

func networks(local, remote []string) string {
	return strings.Join(local, " ") + " === " + strings.Join(remote, " ")
}

func carried(bytes, packets uint64) string { return octets(bytes) + ", " + plural(packets, "packet") }

// notes say what a connection is about to do, and what failed.
func notes(c *control.ConnStatus) []cell {
	var out []cell
	switch next := plan(c); {
	case next != "" && c.LastError != nil:
		out = append(out, cell{text: next + ", last error" + when(c.LastError) + ": " + c.LastError.Text, style: yellow})
	case next != "":
		out = append(out, cell{text: next, style: yellow})
	case c.LastError != nil:
		out = append(out, cell{text: failure(c.LastError), style: red})
	}
	for _, sa := range c.SAs {
		if e := sa.LastError; e != nil && (c.LastError == nil || c.LastError.Text != e.Text) {
			out = append(out, cell{text: fmt.Sprintf("#%d: %s", sa.ID, failure(e)), style: red})
		}
	}
	return out
}

// plan says which try is under way or comes next, or that there is none; "" when
// everything is as it should be.
func plan(c *control.ConnStatus) string {
	of := ""
	if c.KeyingTries > 0 {
		of = fmt.Sprintf(" of %d", c.KeyingTries)
	}
	switch {
	case c.State == "connecting":
		return fmt.Sprintf("try %d%s is under way", c.Try, of)
	case c.NextTry != nil && c.Try == 0:
		return in("trying", c.NextTry)
	case c.NextTry != nil:
		return fmt.Sprintf("%s, try %d%s", in("retrying", c.NextTry), c.Try+1, of)
	case c.GivenUp:
		return fmt.Sprintf("given up after %s, traffic or `goikectl up` tries again", plural(uint64(max(c.Try, 0)), "try"))
	}
	return ""
}

func failure(e *control.RefusalStatus) string { return "failed" + when(e) + ": " + e.Text }

// when is how long ago something failed, with a space before it.
func when(e *control.RefusalStatus) string {
	if e.At == nil {
		return ""
	}
	return " " + ago(e.At)
}
