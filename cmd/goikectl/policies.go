package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

func (a *app) policiesCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "policies [NAME]",
		Short:             "Show the policies that hold traffic for tunnels, let it pass, or drop it",
		Args:              atMostOne,
		RunE:              func(c *cobra.Command, args []string) error { return a.policies(c.Context(), strings.Join(args, "")) },
		ValidArgsFunction: a.completeConns,
	}
}

// policyList is what policies prints in JSON.
type policyList struct {
	Schema   int      `json:"schema"`
	Policies []policy `json:"policies"`
}

type policy struct {
	Connection    string   `json:"connection"`
	Child         string   `json:"child"`
	Mode          string   `json:"mode"`
	LocalNetwork  []string `json:"local_network"`
	RemoteNetwork []string `json:"remote_network"`
}

func (a *app) policies(ctx context.Context, conn string) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := a.hasConn(ctx, c, conn); err != nil {
		return err
	}
	ctx, cancel := a.answerContext(ctx)
	defer cancel()
	args := &control.Message{}
	for _, kind := range []string{"trap", "pass", "drop"} {
		args.Set(kind, "yes")
	}
	if conn != "" {
		args.Set("ike", conn)
	}
	list := policyList{Schema: 1, Policies: []policy{}}
	_, err = c.Stream(ctx, "list-policies", []string{"list-policy"}, args, func(_ string, m *control.Message) {
		for _, s := range m.Sections() {
			list.Policies = append(list.Policies, policy{s.Get("ike"), s.Get("child"), strings.ToLower(s.Get("mode")), listed(s, "local-ts"), listed(s, "remote-ts")})
		}
	})
	switch {
	case err != nil:
		return because(ctx, err)
	case a.json:
		return printJSON(a.out, list, true)
	}
	p := printer{a.out, a.color}
	if len(list.Policies) == 0 {
		p.line("no policies", plain)
		return nil
	}
	rows := [][]cell{header("POLICY", "MODE", "NETWORKS")}
	for _, x := range list.Policies {
		rows = append(rows, cells(x.Connection+"/"+x.Child, x.Mode, networks(x.LocalNetwork, x.RemoteNetwork)))
	}
	p.table("", rows)
	return nil
}
