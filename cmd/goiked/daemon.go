//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/v2"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/internal/keep"
	"github.com/goike/goike/internal/logging"
	"github.com/goike/goike/internal/systemd"
	"github.com/goike/goike/internal/version"
)

// logRoom is how many octets of log lines may wait for standard error.
const logRoom = 1 << 20

// stopTime is how long peers have to answer when goiked ends; systemd waits longer.
const stopTime = 5 * time.Second

// daemon is a running goiked.
type daemon struct {
	opts   options
	log    *slog.Logger
	levels *logging.Control
	conf   *conf.Config
	out    *outside
	engine *engine.Engine
	export *exporter
	store  *keep.Store // nil: nothing is kept
	left   []engine.Kept
	quit   func()      // ends the process at once
	todo   chan func() // what control clients want done by the goroutine that serves signals
	loaded *loader
}

// serve runs the daemon until it is asked to end.
func serve(o options, errs io.Writer) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR2)
	defer signal.Stop(signals)
	c, warnings, err := read(o)
	if err != nil {
		return usageError{err}
	}
	levels, err := logLevels(o, c)
	if err != nil {
		return usageError{err}
	}
	if err := checkPrivileges(); err != nil {
		return err
	}
	dir, err := openRunDir(o.runDir)
	if err != nil {
		return err
	}
	w := logging.NewWriter(errs, logRoom)
	defer w.Close()
	d := &daemon{opts: o, conf: c, todo: make(chan func()), quit: func() {
		w.Close()
		os.Exit(0)
	}}
	d.log, d.levels = logging.New(w, levels, c.Log.JSON)
	for _, text := range warnings {
		d.log.Warn(text)
	}
	return errors.Join(d.run(signals), dir.close())
}

func logLevels(o options, c *conf.Config) (logging.Levels, error) {
	word := c.Log.Level
	if o.logLevel != "" {
		word = o.logLevel
	}
	return logging.ParseLevels(word, c.Log.Levels)
}

// run opens everything, serves, and closes everything.
func (d *daemon) run(signals <-chan os.Signal) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	socket, err := control.Listen(d.socketPath())
	if err != nil {
		return missing(err)
	}
	defer func() { _ = socket.Close() }()
	if d.out, err = openOutside(ctx, d.conf, d.warn); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return errors.Join(usageError{err}, d.out.close())
	}
	d.openStore()
	host := look(d.warn, d.out.device)
	d.engine = engine.New(engine.Config{
		Info: d.info(), Machines: v2.Machines{}, Cookies: v2.NewCookies(rand.Reader), Tickets: v2.NewTickets(rand.Reader), Plane: d.out.plane, Transport: d.out.transport,
		Locate: engine.NewLocator(outerMark), Conf: d.conf, Log: reporter(d.log), Counters: d.out.counters,
		Attached: host.Attached, Own: host.Own, Sources: engine.NewSources(outerMark),
		Store: d.keeper(), Left: d.left,
	})
	d.left = nil
	d.loaded = d.newLoader()
	d.export = newExporter(d.engine, d.warn)
	d.export.apply(ctx, d.conf.Metrics)
	var serving sync.WaitGroup
	serving.Go(func() { d.followNetworks(ctx) })
	serving.Go(func() { d.followErrors(ctx) })
	failed := make(chan error, 1)
	serving.Go(func() { failed <- d.serveControl(ctx, socket) })
	d.standing(ctx)
	d.log.Info("ready", "version", version.Version, "dataplane", d.out.text, "socket", d.socketPath(), "connections", len(d.conf.Connections))
	d.notify(systemd.Ready, systemd.Status(count(d.conf)))
	err = d.wait(signals, failed)
	d.notify(systemd.Stopping)
	d.export.close()
	err = errors.Join(err, d.close(signals))
	cancel()
	serving.Wait()
	return err
}

func (d *daemon) warn(text string) { d.log.Warn(text) }

// standing waits until nothing that is to be encrypted can leave in another way: what
// starts after goiked relies on it.
func (d *daemon) standing(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, standTime)
	defer cancel()
	if err := d.engine.Standing(ctx); err != nil {
		d.warn("policies may be missing for a moment: " + err.Error())
	}
}

// standTime is how long the policies may take to stand before the daemon says that it is
// ready.
const standTime = 20 * time.Second

// prepare fits the configuration to this host.
func (d *daemon) prepare(ctx context.Context) error {
	c, notes, err := d.out.prepare(ctx, d.conf)
	if err != nil {
		return err
	}
	for _, text := range notes {
		d.log.Info(text)
	}
	d.conf = c
	return nil
}

// followNetworks tells the engine when this host gets other addresses, routes and
// directly attached networks.
func (d *daemon) followNetworks(ctx context.Context) {
	err := hostnet.Watch(ctx, func(c hostnet.Change) {
		d.engine.Attached(c.Attached)
		d.engine.Roamed(c.Own)
	}, d.out.device)
	if err != nil && ctx.Err() == nil {
		d.warn("changes of this host's networks are not seen any more: " + err.Error())
	}
}

func (d *daemon) socketPath() string {
	if d.conf.Control.Socket != "" && d.opts.socket == defaultSocket(d.opts.runDir) {
		return d.conf.Control.Socket
	}
	return d.opts.socket
}

func (d *daemon) info() control.Info {
	i := control.Info{Daemon: "goike", Version: version.Version, Dataplane: d.out.text}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		i.System = unix.ByteSliceToString(u.Sysname[:])
		i.Release = unix.ByteSliceToString(u.Release[:])
		i.Machine = unix.ByteSliceToString(u.Machine[:])
	}
	return i
}

// serveControl answers control clients until ctx is done.
func (d *daemon) serveControl(ctx context.Context, l net.Listener) error {
	err := control.NewServer(d.engine, control.Options{Loader: d.loaded}).Serve(ctx, l)
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("control socket: %w", err)
}

// wait serves signals and the watchdog until the daemon is to end.
func (d *daemon) wait(signals <-chan os.Signal, failed <-chan error) error {
	var watchdog <-chan time.Time
	if every := systemd.WatchdogInterval(); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		watchdog = t.C
	}
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGHUP {
				d.reloadNow()
				continue
			}
			if s == syscall.SIGUSR2 || s == syscall.SIGTERM && d.restarting() {
				d.leave(s)
			}
			d.log.Info("ending: peers are told", "signal", s.String())
			return nil
		case f := <-d.todo:
			f()
		case err := <-d.engine.Failed():
			return err
		case err := <-failed:
			return err
		case <-watchdog:
			d.feedWatchdog()
		}
	}
}

// healthTime is how long the goroutines have to answer before the watchdog is left
// to bite.
const healthTime = 10 * time.Second

func (d *daemon) feedWatchdog() {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	if err := d.engine.Healthy(ctx); err != nil {
		d.log.Error("the watchdog is not fed: " + err.Error())
		return
	}
	d.notify(systemd.Watchdog)
}

func (d *daemon) notify(states ...string) {
	if err := systemd.Notify(states...); err != nil {
		d.log.Warn("systemd cannot be told: " + err.Error())
	}
}

// close takes everything down; another signal to end stops waiting for peers.
func (d *daemon) close(signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGHUP {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	})
	d.engine.Close(ctx)
	d.closeStore()
	cancel()
	watcher.Wait()
	return d.out.close()
}
