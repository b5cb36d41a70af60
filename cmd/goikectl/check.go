package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/lint"
	configuration "github.com/goike/goike/conf/load"
)

func (a *app) checkCommand() *cobra.Command {
	charon := ""
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Read a configuration, and say what is wrong and what asks for trouble; needs no daemon",
		Args:  exactly(1, "one file"),
		RunE:  func(_ *cobra.Command, args []string) error { return a.check(args[0], charon) },
	}
	c.Flags().StringVar(&charon, "strongswan-conf", "", "settings of charon { } that go with a swanctl.conf")
	return c
}

// checked is what check prints in JSON.
type checked struct {
	versioned
	File     string    `json:"file"`
	Valid    bool      `json:"valid"`
	Errors   []remark  `json:"errors"`
	Warnings []remark  `json:"warnings"`
	Counts   confCount `json:"counts"`
}

type remark struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

// at is the remark with its place.
func (r remark) at(kind string) string {
	return conf.Error{File: r.File, Line: r.Line, Col: r.Column, Text: kind + r.Text}.Error()
}

type confCount struct {
	Phase1 int `json:"phase1"`
	Phase2 int `json:"phase2"`
}

// check ends with exitUsage when the file has errors.
func (a *app) check(file, charon string) error {
	c, warnings, err := configuration.File(file, charon, lint.Check)
	out := checked{versioned: current, File: file, Valid: err == nil, Errors: []remark{}, Warnings: []remark{}}
	var errs conf.Errors
	if !errors.As(err, &errs) && err != nil {
		errs = conf.Errors{{File: file, Text: err.Error()}}
	}
	for _, e := range errs {
		out.Errors = append(out.Errors, remark{e.File, e.Line, e.Col, e.Text})
	}
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, remark{w.File, w.Line, w.Col, w.Text})
	}
	if c != nil {
		out.Counts.Phase1 = len(c.Connections)
		for _, conn := range c.Connections {
			out.Counts.Phase2 += len(conn.Children)
		}
	}
	if a.json {
		err = printJSON(a.out, out, true)
	} else {
		err = nil
		a.showChecked(out)
	}
	if !out.Valid {
		err = errors.Join(silentError{exitUsage}, err)
	}
	return err
}

func (a *app) showChecked(out checked) {
	p := printer{a.out, a.color}
	for _, e := range out.Errors {
		p.line(e.at(""), red)
	}
	for _, w := range out.Warnings {
		p.line(w.at("warning: "), yellow)
	}
	if !out.Valid {
		p.line(fmt.Sprintf("%s: %s", out.File, plural(uint64(len(out.Errors)), "error")), red)
		return
	}
	p.line(fmt.Sprintf("%s: valid, %d phase 1, %d phase 2, %s", out.File, out.Counts.Phase1, out.Counts.Phase2, plural(uint64(len(out.Warnings)), "warning")), green)
}
