//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/toml"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/internal/systemd"
)

// load reads and validates a configuration. The warnings are lines with positions.
func load(file string) (*conf.Config, []string, error) {
	c, ws, err := toml.Load(file)
	warnings := make([]string, len(ws))
	for i, w := range ws {
		warnings[i] = w.String()
	}
	return c, warnings, err
}

// loadOrNone is load, where "none" is a configuration without connections.
func loadOrNone(file string) (*conf.Config, []string, error) {
	if file == noConfig {
		return conf.Default(), nil, nil
	}
	c, warnings, err := load(file)
	if file == defaultConfig && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; write one (see goike.toml(5)), name another with --config, or start without connections: --config none", err)
	}
	return c, warnings, err
}

// reloadRequest asks the goroutine that serves signals for a reload.
type reloadRequest struct {
	dryRun bool
	answer chan<- control.Reloaded
}

// askReload has the configuration read again, for control clients. One reload runs at a
// time, in the goroutine that serves signals.
func (d *daemon) askReload(ctx context.Context, dryRun bool) control.Reloaded {
	answer := make(chan control.Reloaded, 1)
	select {
	case d.reloads <- reloadRequest{dryRun, answer}:
	case <-ctx.Done():
		return control.Reloaded{Err: ctx.Err()}
	}
	select {
	case r := <-answer:
		return r
	case <-ctx.Done():
		return control.Reloaded{Err: ctx.Err()}
	}
}

// errUnchanged says that a reload has changed nothing.
var errUnchanged = errors.New("the configuration was not changed")

// reload reads the configuration again. A file with errors changes nothing, and so does
// a dry run, of which nothing is logged either.
func (d *daemon) reload(dryRun bool) control.Reloaded {
	if d.opts.config == noConfig {
		return control.Reloaded{Err: errors.New("nothing to reload: goiked was started with --config none")}
	}
	c, warnings, err := load(d.opts.config)
	r := control.Reloaded{Warnings: warnings}
	if err != nil {
		return refused(r, err)
	}
	levels, err := logLevels(d.opts, c)
	if err != nil {
		return refused(r, err)
	}
	for _, key := range needRestart(d.conf, c) {
		r.Warnings = append(r.Warnings, key+" was changed: that takes effect when goiked is started again")
	}
	r.Settings = conf.DiffSettings(d.conf, c)
	c.Dataplane, c.Network = d.conf.Dataplane, d.conf.Network
	fit := d.out.prepare
	if dryRun {
		fit = d.out.preview
	}
	c, notes, err := fit(context.Background(), c)
	if err != nil {
		return refused(r, err)
	}
	r.Plan = conf.Diff(d.conf, c)
	if dryRun {
		return r
	}
	d.levels.Set(levels, c.Log.JSON)
	for _, text := range notes {
		d.log.Info(text)
	}
	d.conf = r.Plan.Keep(d.conf, c)
	d.engine.Configure(d.conf)
	return r
}

// refused is the outcome of a reload that changed nothing.
func refused(r control.Reloaded, err error) control.Reloaded {
	for line := range strings.Lines(err.Error()) {
		r.Errors = append(r.Errors, strings.TrimSpace(line))
	}
	r.Err = errUnchanged
	return r
}

// reloadNow carries out a reload and says in the log what came of it.
func (d *daemon) reloadNow() control.Reloaded {
	d.notify(systemd.Reloading)
	defer func() { d.notify(systemd.Ready, systemd.Status(count(d.conf))) }()
	r := d.reload(false)
	for _, text := range r.Warnings {
		d.log.Warn(text)
	}
	for _, text := range r.Errors {
		d.log.Error(text)
	}
	if r.Err != nil {
		d.log.Error("reload: " + r.Err.Error())
		return r
	}
	for _, key := range r.Settings {
		d.log.Info("reload: " + key + " was changed")
	}
	for _, change := range r.Plan {
		if change.Verdict != conf.Unchanged {
			d.log.Info("reload: " + change.String())
		}
	}
	d.log.Info("configuration reloaded", "connections", len(d.conf.Connections))
	return r
}

// serveReload answers a control client.
func (d *daemon) serveReload(q reloadRequest) {
	if q.dryRun {
		q.answer <- d.reload(true)
		return
	}
	q.answer <- d.reloadNow()
}

// needRestart names the changed keys that only a start takes over.
func needRestart(old, c *conf.Config) []string {
	var keys []string
	if old.Dataplane != c.Dataplane {
		keys = append(keys, "dataplane.backend")
	}
	if old.Network != c.Network {
		keys = append(keys, "[network]")
	}
	if old.Control != c.Control {
		keys = append(keys, "control.socket")
	}
	return keys
}
