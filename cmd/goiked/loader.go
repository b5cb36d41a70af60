//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike/control"
)

// loader keeps what control clients load beside the configuration file. What is done with
// it is done in the goroutine that serves signals, one thing after the other, so that a
// reload of the file does not cross it.
type loader struct {
	do      func(ctx context.Context, f func()) error // in that goroutine
	running func() *conf.Config
	// fit fits a configuration to this host; with whole, it has to see all connections.
	fit   func(context.Context, *conf.Config) (*conf.Config, []string, error)
	whole bool
	put   func(*conf.Config) // into force
	// convert makes a connection of the settings of swanctl.conf.
	convert func(name string, settings *control.Message) (*conf.Connection, []string, error)
	reload  func(dryRun bool) control.Reloaded
	log     *slog.Logger

	conns []*conf.Connection // as they were loaded
	keys  []sharedKey
}

// sharedKey is a key by the ID of the client's.
type sharedKey struct {
	id     string
	secret conf.Secret
}

// inTurn runs a change in its goroutine.
func (l *loader) inTurn(ctx context.Context, change func() error) error {
	done := make(chan error, 1)
	if err := l.do(ctx, func() { done <- change() }); err != nil {
		return err
	}
	return <-done
}

// Reload implements control.Loader.
func (l *loader) Reload(ctx context.Context, dryRun bool) (r control.Reloaded) {
	err := l.inTurn(ctx, func() error {
		r = l.reload(dryRun)
		return nil
	})
	if err != nil {
		return control.Reloaded{Err: err}
	}
	return r
}

// LoadConn implements control.Loader.
func (l *loader) LoadConn(ctx context.Context, name string, settings *control.Message) error {
	conn, warnings, err := l.convert(name, settings)
	if err == nil {
		err = validate(conn)
	}
	if err != nil {
		return err
	}
	return l.inTurn(ctx, func() error {
		for _, text := range warnings {
			l.log.Warn("connection " + name + ": " + text)
		}
		return l.load(ctx, conn)
	})
}

// validate checks a connection by itself. Its key may come by itself, too.
func validate(conn *conf.Connection) error {
	c := conf.Default()
	c.Connections = []*conf.Connection{conn}
	var errs []error
	for _, f := range conf.Validate(c) {
		if !f.Warning && f.Key != "pre_shared_key" {
			errs = append(errs, errors.New(f.Text))
		}
	}
	return errors.Join(errs...)
}

func (l *loader) load(ctx context.Context, conn *conf.Connection) error {
	i := slices.IndexFunc(l.conns, named(conn.Name))
	if i < 0 && slices.ContainsFunc(l.running().Connections, named(conn.Name)) {
		return fmt.Errorf("connection '%s' is in the configuration file: change it there", conn.Name)
	}
	if i >= 0 && reflect.DeepEqual(l.conns[i], conn) {
		return nil
	}
	conns := slices.Clone(l.conns)
	if i >= 0 {
		conns[i] = conn
	} else {
		conns = append(conns, conn)
	}
	if err := l.change(ctx, conn); err != nil {
		return err
	}
	l.conns = conns
	verb := "added"
	if i >= 0 {
		verb = "replaced"
	}
	l.log.Info(verb + " connection " + conn.Name + ", loaded by a control client")
	return nil
}

func named(name string) func(*conf.Connection) bool {
	return func(c *conf.Connection) bool { return c.Name == name }
}

// change puts a connection into the configuration in force, in the place of the one of
// that name.
func (l *loader) change(ctx context.Context, conn *conf.Connection) error {
	c := *l.running()
	c.Connections = slices.Clone(c.Connections)
	if !l.whole {
		alone := c
		alone.Connections = []*conf.Connection{conn}
		fitted, err := l.fitted(ctx, &alone)
		if err != nil {
			return err
		}
		conn = fitted.Connections[0]
	}
	if i := slices.IndexFunc(c.Connections, named(conn.Name)); i >= 0 {
		c.Connections[i] = conn
	} else {
		c.Connections = append(c.Connections, conn)
	}
	return l.putWhole(ctx, &c)
}

// putWhole puts a configuration into force whose connections are fitted already, unless
// all have to be seen together.
func (l *loader) putWhole(ctx context.Context, c *conf.Config) error {
	if l.whole {
		fitted, err := l.fitted(ctx, c)
		if err != nil {
			return err
		}
		c = fitted
	}
	l.put(c)
	return nil
}

func (l *loader) fitted(ctx context.Context, c *conf.Config) (*conf.Config, error) {
	c, notes, err := l.fit(ctx, c)
	for _, text := range notes {
		l.log.Info(text)
	}
	return c, err
}

// UnloadConn implements control.Loader.
func (l *loader) UnloadConn(ctx context.Context, name string) error {
	return l.inTurn(ctx, func() error {
		i := slices.IndexFunc(l.conns, named(name))
		if i < 0 {
			return control.Unloaded(name)
		}
		c := *l.running()
		c.Connections = slices.DeleteFunc(slices.Clone(c.Connections), named(name))
		if err := l.putWhole(ctx, &c); err != nil {
			return err
		}
		l.conns = slices.Delete(slices.Clone(l.conns), i, i+1)
		l.log.Info("removed connection " + name + ", unloaded by a control client")
		return nil
	})
}

// LoadedConns implements control.Loader.
func (l *loader) LoadedConns(ctx context.Context) (list []string) {
	_ = l.inTurn(ctx, func() error {
		for _, c := range l.conns {
			list = append(list, c.Name)
		}
		return nil
	})
	return list
}

// LoadShared implements control.Loader.
func (l *loader) LoadShared(ctx context.Context, k control.SharedKey) error {
	secret := conf.Secret{Name: k.ID, Key: k.Data}
	for _, text := range k.Owners {
		owner, err := id.Parse(text)
		if err != nil {
			return fmt.Errorf("owner %q of a shared key cannot be used: %w", text, err)
		}
		secret.Owners = append(secret.Owners, owner)
	}
	return l.inTurn(ctx, func() error {
		keys := l.keys
		if k.ID != "" {
			keys = without(keys, k.ID)
		}
		l.share(append(slices.Clip(keys), sharedKey{k.ID, secret}))
		return nil
	})
}

func without(keys []sharedKey, id string) []sharedKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k sharedKey) bool { return k.id == id })
}

// share puts other keys into force, behind those of the file.
func (l *loader) share(keys []sharedKey) {
	c := *l.running()
	c.Secrets = append(slices.Clip(c.Secrets[:len(c.Secrets)-len(l.keys)]), secrets(keys)...)
	l.keys = keys
	l.put(&c)
}

func secrets(keys []sharedKey) []conf.Secret {
	out := make([]conf.Secret, len(keys))
	for i, k := range keys {
		out[i] = k.secret
	}
	return out
}

// UnloadShared implements control.Loader.
func (l *loader) UnloadShared(ctx context.Context, id string) error {
	return l.inTurn(ctx, func() error {
		l.share(without(l.keys, id))
		return nil
	})
}

// LoadedShared implements control.Loader.
func (l *loader) LoadedShared(ctx context.Context) (list []string) {
	_ = l.inTurn(ctx, func() error {
		for _, k := range l.keys {
			if k.id != "" {
				list = append(list, k.id)
			}
		}
		return nil
	})
	return list
}

// ClearCreds implements control.Loader.
func (l *loader) ClearCreds(ctx context.Context) error {
	return l.inTurn(ctx, func() error {
		l.share(nil)
		return nil
	})
}

// beside returns what a configuration file says now with what was loaded beside it.
func (l *loader) beside(file *conf.Config) (*conf.Config, error) {
	c := *file
	c.Connections = slices.Clone(c.Connections)
	for _, conn := range l.conns {
		if slices.ContainsFunc(file.Connections, named(conn.Name)) {
			return nil, fmt.Errorf("connection %q was loaded by a control client, too: rename it in the file, or unload the other one", conn.Name)
		}
		c.Connections = append(c.Connections, conn)
	}
	c.Secrets = append(slices.Clip(c.Secrets), secrets(l.keys)...)
	return &c, nil
}
