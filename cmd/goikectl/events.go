package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) eventsCommand() *cobra.Command {
	var types []string
	c := &cobra.Command{
		Use:   "events [NAME] [--type TYPE,...]",
		Short: "Follow what happens to the SAs of all connections, or of one, until Ctrl-C",
		Long:  "Follows what happens to IKE SAs and child SAs, one line each, until Ctrl-C. The types are\n" + strings.Join(eventTypes(), ", ") + ".",
		Args:  atMostOne,
		RunE: func(c *cobra.Command, args []string) error {
			f := following{conn: strings.Join(args, ""), noLog: true}
			var err error
			if f.events, err = matching(types); err != nil {
				return usageError{err}
			}
			f.events = append(f.events, "log") // by which the daemon tells of lost events
			return a.follow(c, f)
		},
		ValidArgsFunction: a.completeConns,
	}
	c.Flags().StringSliceVar(&types, "type", nil, "follow these only; * stands for any characters, as in child-state-*")
	must(c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(eventTypes(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// must is for what can only fail by a mistake in this program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// eventTypes are what events can follow.
func eventTypes() []string { return slices.Concat(saEvents, stateEvents) }

// matching are the types of events that patterns name; without one all of them.
func matching(patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return eventTypes(), nil
	}
	var out []string
	for _, p := range patterns {
		found := false
		for _, t := range eventTypes() {
			if ok, err := path.Match(p, t); err != nil || !ok {
				continue
			}
			found = true
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
		if !found {
			return nil, fmt.Errorf("--type %s: there are %s", p, strings.Join(eventTypes(), ", "))
		}
	}
	return out, nil
}
