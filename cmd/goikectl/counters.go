package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

func (a *app) countersCommand() *cobra.Command {
	var all, reset bool
	c := &cobra.Command{
		Use:   "counters [NAME] [--all] [--reset]",
		Short: "Show how many messages and events there were, of the daemon or of a connection",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			if all && name != "" {
				return usageError{errors.New("--all and the name of a connection exclude each other")}
			}
			return a.counters(c.Context(), name, all, reset)
		},
		ValidArgsFunction: a.completeConns,
	}
	c.Flags().BoolVar(&all, "all", false, "those of each connection")
	c.Flags().BoolVar(&reset, "reset", false, "begin to count anew what is shown")
	return c
}

// counterList is what counters prints in JSON.
type counterList struct {
	versioned
	Counters []counters `json:"counters"`
}

// counters are those of a connection, or of the daemon when the name is empty.
type counters struct {
	Connection string            `json:"connection"`
	Counts     map[string]uint64 `json:"counts"`
	names      []string          // in the order of the daemon
}

func (a *app) counters(ctx context.Context, name string, all, reset bool) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	args := &control.Message{}
	switch {
	case all:
		args.Set("all", "yes")
	case name != "":
		args.Set("name", name)
	}
	m, err := c.Call(ctx, "get-counters", args)
	if err != nil {
		return because(ctx, err)
	}
	list := readCounters(m)
	if reset {
		if _, err := c.Call(ctx, "reset-counters", args); err != nil {
			return because(ctx, err)
		}
	}
	if a.json {
		return printJSON(a.out, list, true)
	}
	for i, of := range list.Counters {
		of.show(printer{a.out, a.color}, i > 0)
	}
	return nil
}

func readCounters(m *control.Message) counterList {
	list := counterList{versioned: current, Counters: []counters{}}
	all := m.Section("counters")
	if all == nil {
		return list
	}
	for name, s := range all.Sections() {
		of := counters{Connection: name, Counts: make(map[string]uint64)}
		for key, text := range s.Values() {
			n, err := strconv.ParseUint(text, 10, 64)
			if err == nil {
				of.Counts[underscored(key)] = n
				of.names = append(of.names, key)
			}
		}
		list.Counters = append(list.Counters, of)
	}
	return list
}

// underscored is the name of a counter in JSON.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// show prints what is not zero.
func (of counters) show(p printer, next bool) {
	if next {
		p.line("", plain)
	}
	if of.Connection != "" {
		p.line(of.Connection, bold)
	}
	var rows [][]cell
	for _, name := range of.names {
		if n := of.Counts[underscored(name)]; n > 0 {
			rows = append(rows, cells(name, strconv.FormatUint(n, 10)))
		}
	}
	if len(rows) == 0 {
		p.line("nothing was counted", plain)
	}
	p.table("", rows)
}
