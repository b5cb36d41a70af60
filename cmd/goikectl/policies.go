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
	versioned
	Policies []policy `json:"policies"`
}

// policy is a child with policies. State is that of its child SA, down without one; it is
// empty where there never is one, in the modes pass and drop.
type policy struct {
	Connection    string   `json:"connection"`
	Child         string   `json:"child"`
	Mode          string   `json:"mode"`
	State         string   `json:"state"`
	LocalNetwork  []string `json:"local_network"`
	RemoteNetwork []string `json:"remote_network"`
}

func (a *app) policies(ctx context.Context, conn string) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	o, err := a.overview(ctx, c, conn)
	if err != nil {
		return err
	}
	if conn != "" && len(o.Connections)+len(o.OtherSAs) == 0 {
		return a.noSuch(ctx, c, conn)
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
	list := policyList{versioned: current, Policies: []policy{}}
	_, err = c.Stream(ctx, "list-policies", []string{"list-policy"}, args, func(_ string, m *control.Message) {
		for _, s := range m.Sections() {
			list.Policies = append(list.Policies, readPolicy(s, o))
		}
	})
	switch {
	case err != nil:
		return because(ctx, err)
	case a.json:
		return printJSON(a.out, list, true)
	}
	printer{a.out, a.color}.policies(list.Policies)
	return nil
}

func readPolicy(m *control.Message, o *control.Overview) policy {
	p := policy{m.Get("ike"), m.Get("child"), strings.ToLower(m.Get("mode")), "", listed(m, "local-ts"), listed(m, "remote-ts")}
	if p.Mode != "pass" && p.Mode != "drop" {
		p.State = childState(o.Conn(p.Connection), p.Child)
	}
	return p
}

// childState is the state of the child SA of a name, installed if one of several is, and
// down without one.
func childState(c *control.ConnStatus, name string) string {
	state := "down"
	if c == nil {
		return state
	}
	for _, sa := range c.SAs {
		for _, child := range sa.Children {
			if child.Name == name && state != "installed" {
				state = child.State
			}
		}
	}
	return state
}

func (p printer) policies(list []policy) {
	if len(list) == 0 {
		p.line("no policies", plain)
		return
	}
	rows := [][]cell{header("POLICY", "MODE", "STATE", "NETWORKS")}
	for _, x := range list {
		row := cells(x.Connection+"/"+x.Child, x.Mode, x.State, networks(x.LocalNetwork, x.RemoteNetwork))
		row[2].style = stateStyle(x.State)
		rows = append(rows, row)
	}
	p.table("", rows)
}
