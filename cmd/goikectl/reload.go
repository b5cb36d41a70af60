package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goike/goike/ike/control"
)

// reloading is what reload prints in JSON.
type reloading struct {
	versioned
	DryRun   bool      `json:"dry_run"`
	Success  bool      `json:"success"`
	Error    string    `json:"error"`
	Errors   []string  `json:"errors"`
	Warnings []string  `json:"warnings"`
	Settings []string  `json:"settings"`
	Plan     []planned `json:"plan"`
	Omitted  int       `json:"omitted"`
}

// planned is the verdict on one connection.
type planned struct {
	Connection string   `json:"connection"`
	Verdict    string   `json:"verdict"`
	Reasons    []string `json:"reasons"`
}

func (a *app) reloadCommand() *cobra.Command {
	dry := false
	c := &cobra.Command{
		Use:   "reload [--dry-run]",
		Short: "Have the daemon read its configuration again",
		Args:  exactly(0, "flags only"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.reload(c, dry) },
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only print what it would do")
	return c
}

func (a *app) reload(cmd *cobra.Command, dry bool) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := a.answerContext(cmd.Context())
	defer cancel()
	args := &control.Message{}
	if dry {
		args.Set("dry-run", "yes")
	}
	answer, err := c.Call(ctx, "goike-reload", args)
	var refused *control.CommandError
	if err != nil && !errors.As(err, &refused) {
		return because(ctx, err)
	}
	r := newReloading(answer, dry)
	if a.json {
		err := printJSON(a.out, r, true)
		if !r.Success {
			err = errors.Join(silentError{exitFailed}, err)
		}
		return err
	}
	return a.showReloading(r)
}

func newReloading(m *control.Message, dry bool) reloading {
	r := reloading{
		versioned: current, DryRun: dry, Success: m.Get("success") != "no", Error: m.Get("errmsg"),
		Errors: listed(m, "errors"), Warnings: listed(m, "warnings"), Settings: listed(m, "settings"), Plan: []planned{},
	}
	r.Omitted, _ = strconv.Atoi(m.Get("omitted"))
	if plan := m.Section("plan"); plan != nil {
		for name, sec := range plan.Sections() {
			r.Plan = append(r.Plan, planned{name, sec.Get("verdict"), listed(sec, "reasons")})
		}
	}
	return r
}

// listed is a list that is never null in JSON.
func listed(m *control.Message, name string) []string { return append([]string{}, m.List(name)...) }

func (a *app) showReloading(r reloading) error {
	for _, text := range r.Errors {
		fmt.Fprintln(a.errs, clean(text))
	}
	for _, text := range r.Warnings {
		fmt.Fprintln(a.errs, "warning: "+clean(text))
	}
	if !r.Success {
		return errors.New(r.Error)
	}
	p := printer{w: a.out, color: a.color}
	for _, key := range r.Settings {
		p.line(key+" changed", yellow)
	}
	rows := [][]cell{}
	for _, c := range r.Plan {
		rows = append(rows, []cell{{text: c.Connection}, {text: c.Verdict, style: verdictStyle(c.Verdict)}, {text: strings.Join(c.Reasons, ", ")}})
	}
	p.table("", rows)
	if r.Omitted > 0 {
		p.line(fmt.Sprintf("and %d more, unchanged ones first", r.Omitted), plain)
	}
	if r.DryRun {
		p.line("nothing was changed: this was a dry run", plain)
	}
	return nil
}

func verdictStyle(verdict string) style {
	switch verdict {
	case "unchanged":
		return plain
	case "reauthenticate", "remove":
		return red
	case "rekey child":
		return yellow
	}
	return green
}
