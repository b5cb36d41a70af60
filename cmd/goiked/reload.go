//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/load"
	"github.com/goike/goike/conf/swan"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/internal/systemd"
)

// read reads and validates the configuration of the command line. The warnings are lines
// with positions.
func read(o options) (*conf.Config, []string, error) {
	if o.config == noConfig {
		return readNone(o.strongSwan)
	}
	c, ws, err := load.File(o.config, o.strongSwan)
	if o.config == defaultConfig && !exists(o.config) {
		err = fmt.Errorf("%w; write one (see goike.toml(5)), name another with --config, or start without connections: --config none", err)
	}
	return c, lines(ws), err
}

// readNone is a configuration without connections.
func readNone(strongSwan string) (*conf.Config, []string, error) {
	c := conf.Default()
	if strongSwan == "" {
		return c, nil, nil
	}
	ws, err := swan.LoadCharon(strongSwan, c)
	return c, lines(ws), err
}

func lines(ws []conf.Warning) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = w.String()
	}
	return out
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// errUnchanged says that a reload has changed nothing.
var errUnchanged = errors.New("the configuration was not changed")

// reload reads the configuration again. A file with errors changes nothing, and so does
// a dry run, of which nothing is logged either. What control clients have loaded stays.
func (d *daemon) reload(dryRun bool) control.Reloaded {
	if d.opts.config == noConfig && d.opts.strongSwan == "" {
		return control.Reloaded{Err: control.ErrNoFile}
	}
	c, warnings, err := read(d.opts)
	r := control.Reloaded{Warnings: warnings}
	if err == nil {
		c, err = d.loaded.beside(c)
	}
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
	c.Dataplane, c.Network, c.Control = d.conf.Dataplane, d.conf.Network, d.conf.Control
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
	d.export.apply(context.Background(), d.conf.Metrics)
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

// newLoader makes what keeps the configuration of control clients.
func (d *daemon) newLoader() *loader {
	return &loader{
		do:      d.inMain,
		running: func() *conf.Config { return d.conf },
		fit:     d.out.prepare, whole: d.out.tunnels != nil,
		put: func(c *conf.Config) {
			d.conf = c
			d.engine.Configure(c)
		},
		convert: fromSwanctl, log: d.log,
		reload: func(dryRun bool) control.Reloaded {
			if dryRun {
				return d.reload(true)
			}
			return d.reloadNow()
		},
	}
}

// inMain has something done by the goroutine that serves signals; it returns when that
// has begun, or ctx is done.
func (d *daemon) inMain(ctx context.Context, f func()) error {
	select {
	case d.todo <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
