package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// redirection is what redirect prints in JSON.
type redirection struct {
	versioned
	Gateway string `json:"gateway"`
	Matches int    `json:"matches"`
	Reached bool   `json:"reached"`
	Error   string `json:"error"`
}

func (a *app) redirectCommand() *cobra.Command {
	args := make(map[string]*string)
	c := &cobra.Command{
		Use:   "redirect --gateway GATEWAY [--name NAME] [--id N] [--peer-ip ADDRESSES] [--peer-id ID]",
		Short: "Send peers to another gateway",
		Args:  exactly(0, "flags only"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.redirect(c, args) },
	}
	for _, f := range [][3]string{
		{"gateway", "gateway", "address or host name of the other gateway"}, {"name", "ike", "connection"},
		{"id", "ike-id", "unique ID of an IKE SA"}, {"peer-ip", "peer-ip", "address, network or range of the peers"},
		{"peer-id", "peer-id", "identity of the peers, with wildcards"},
	} {
		args[f[1]] = c.Flags().String(f[0], "", f[2])
	}
	must(c.RegisterFlagCompletionFunc("name", func(c *cobra.Command, _ []string, start string) ([]string, cobra.ShellCompDirective) {
		return a.completeConns(c, nil, start)
	}))
	return c
}

func (a *app) redirect(cmd *cobra.Command, args map[string]*string) error {
	m := &control.Message{}
	for _, key := range []string{"gateway", "ike", "ike-id", "peer-ip", "peer-id"} {
		if *args[key] != "" {
			m.Set(key, *args[key])
		}
	}
	if !m.Has("gateway") {
		return usageError{errors.New("redirect needs --gateway")}
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := a.answerContext(cmd.Context())
	defer cancel()
	answer, err := c.Call(ctx, "redirect", m)
	err = because(ctx, err)
	o := redirection{versioned: current, Gateway: *args["gateway"], Reached: err == nil}
	if answer != nil {
		o.Matches, _ = strconv.Atoi(answer.Get("matches"))
	}
	if err != nil {
		o.Error = err.Error()
		err = fmt.Errorf("not redirected: %w", err)
	}
	switch {
	case a.json:
		return errors.Join(err, printJSON(a.out, o, false))
	case err == nil:
		fmt.Fprintf(a.out, "%d redirected to %s\n", o.Matches, clean(o.Gateway))
	}
	return err
}
