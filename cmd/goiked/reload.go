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

// reload reads the configuration again. A file with errors changes nothing.
// What control clients have loaded stays.
func (d *daemon) reload() error {
	if d.opts.config == noConfig {
		d.log.Info("nothing to reload: started with --config none")
		return nil
	}
	d.notify(systemd.Reloading)
	defer d.notify(systemd.Ready)
	c, warnings, err := load(d.opts.config)
	if err != nil {
		return d.refuse(err)
	}
	if c, err = d.loaded.beside(c); err != nil {
		return d.refuse(err)
	}
	levels, err := logLevels(d.opts, c)
	if err != nil {
		return d.refuse(err)
	}
	for _, text := range warnings {
		d.log.Warn(text)
	}
	d.levels.Set(levels, c.Log.JSON)
	for _, key := range needRestart(d.conf, c) {
		d.log.Warn(key + " was changed: that takes effect when goiked is started again")
	}
	c.Dataplane, c.Network = d.conf.Dataplane, d.conf.Network
	c, notes, err := d.out.prepare(context.Background(), c)
	if err != nil {
		return d.refuse(err)
	}
	for _, text := range notes {
		d.log.Info(text)
	}
	plan := conf.Diff(d.conf, c)
	d.conf = c
	d.engine.Configure(c)
	d.export.apply(context.Background(), c.Metrics)
	for _, change := range plan {
		if change.Verdict != conf.Unchanged {
			d.log.Info("reload: " + change.String())
		}
	}
	d.log.Info("configuration reloaded", "connections", len(c.Connections))
	return nil
}

// refuse says why a configuration is not taken, and returns that.
func (d *daemon) refuse(err error) error {
	for line := range strings.Lines(err.Error()) {
		d.log.Error(strings.TrimSpace(line))
	}
	d.log.Error("the configuration was not changed: mend these errors and reload")
	return err
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
		convert: fromSwanctl, reload: d.reload, log: d.log,
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
