package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show all connections, or everything about one",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly(1, "at most one connection")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.status(c.Context(), strings.Join(args, ""))
		},
		ValidArgsFunction: a.completeConns,
	}
}

// overview asks the daemon for its state.
func (a *app) overview(ctx context.Context, c *control.Client, conn string) (*control.Overview, error) {
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	o, err := c.Status(ctx, conn)
	return o, because(ctx, err)
}

func (a *app) status(ctx context.Context, name string) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	o, err := a.overview(ctx, c, name)
	if err != nil {
		return err
	}
	if name != "" && len(o.Connections)+len(o.OtherSAs) == 0 {
		return a.noSuch(ctx, c, name)
	}
	p := printer{a.out, a.color}
	switch {
	case a.json:
		return printJSON(a.out, o, true)
	case name != "":
		p.details(o)
	default:
		p.summary(o)
	}
	return nil
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
	rows := [][]cell{header("CONNECTION", "STATE", "PEER", "LOCAL ID", "PEER ID", "SUITE", "NAT", "AGE", "NEXT")}
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
	age, where := "", ""
	if sa.Established != nil {
		age, where = span(*sa.Established), nat(sa)
	}
	row := cells(name, state, endpoint(sa.RemoteHost, sa.RemotePort), sa.LocalID, sa.RemoteID, sa.Suite, where, age,
		next(sa.RekeyTime, sa.ExpireTime))
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

// next is what happens next to an SA.
func next(rekey, expire *int64) string {
	if rekey != nil && (expire == nil || *rekey < *expire) {
		return in("rekey", rekey)
	}
	return in("expires", expire)
}

func childRows(o *control.Overview) [][]cell {
	rows := [][]cell{header("TUNNEL", "STATE", "NETWORKS", "IN", "OUT", "SPI IN", "SPI OUT", "NEXT")}
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
		carried(c.BytesOut, c.PacketsOut), c.SPIIn, c.SPIOut, next(c.RekeyTime, c.LifeTime))
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
	if c.State != "up" && (c.NextTry != nil || c.State == "connecting") {
		out = append(out, cell{text: plan(c), style: yellow})
	}
	if c.LastError != nil {
		out = append(out, cell{text: failure(c.LastError), style: red})
	}
	for _, sa := range c.SAs {
		if e := sa.LastError; e != nil && (c.LastError == nil || c.LastError.Text != e.Text) {
			out = append(out, cell{text: fmt.Sprintf("#%d: %s", sa.ID, failure(e)), style: red})
		}
	}
	return out
}

// plan says which try is under way or comes next.
func plan(c *control.ConnStatus) string {
	of := ""
	if c.KeyingTries > 0 && c.Try > 0 {
		of = fmt.Sprintf(" of %d", c.KeyingTries)
	}
	if c.State == "connecting" {
		return fmt.Sprintf("try %d%s is under way", c.Try, of)
	}
	text := in("next try", c.NextTry)
	if c.Try > 0 {
		text = fmt.Sprintf("try %d%s has failed, %s", c.Try, of, text)
	}
	return text
}

func failure(e *control.RefusalStatus) string {
	return joined(" ", "failed", ago(e.At)) + ": " + e.Text
}
