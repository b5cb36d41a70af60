//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/esp/plane"
	"github.com/goike/goike/esp/tun"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/transport"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/internal/udp"
)

// outerMark is on everything that goiked sends to peers, so that the routes into
// the tunnels are not for it. It spells "GOIK".
const outerMark = 0x474f494b

// The TUN device. Its MTU is that of the network behind it: what does not fit a
// tunnel is answered by the plane itself, for each tunnel by its own overhead.
const (
	tunName = "goike%d"
	tunMTU  = 1500
)

// outside is what the engine stands on: sockets and a data plane.
type outside struct {
	transport *transport.Transport
	plane     engine.DataPlane
	text      string // which data plane, and why
	planeStat func() map[string]uint64
	tunnels   *tunnels // nil: none
	device    string   // TUN, "": none
	closers   []func() error

	// A data plane that is this process hands its SAs over to the next; else both are nil.
	handOver func() ([]esp.Held, error)
	inherit  func([]esp.Held)
}

// counters are those of the data plane and of the sockets.
func (o *outside) counters() map[string]uint64 {
	all := o.transport.Counters()
	if o.planeStat == nil {
		return all
	}
	for name, n := range o.planeStat() {
		all[name] = n
	}
	return all
}

// close ends everything, last opened first.
func (o *outside) close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i]())
	}
	return errors.Join(errs...)
}

// openOutside opens the sockets and the data plane that the configuration asks for.
func openOutside(ctx context.Context, c *conf.Config, warn func(string)) (*outside, error) {
	o := &outside{}
	if err := o.open(ctx, c, warn); err != nil {
		return nil, missing(errors.Join(err, o.close()))
	}
	return o, nil
}

func (o *outside) open(ctx context.Context, c *conf.Config, warn func(string)) error {
	switch c.Dataplane {
	case conf.BackendNone:
		return o.openNone(ctx, warn)
	case conf.BackendUserspace:
		o.text = "userspace"
		return o.openUserspace(ctx, c, warn)
	case conf.BackendAuto, conf.BackendKernel:
	}
	conn, err := openXFRM(ctx)
	switch {
	case err == nil:
		o.text = "kernel"
		return o.openKernel(ctx, c, conn, warn)
	case c.Dataplane == conf.BackendKernel:
		return fmt.Errorf("dataplane.backend = \"kernel\": the kernel cannot carry IPsec: %w; \"auto\" and \"userspace\" need nothing of it", err)
	}
	o.text = fmt.Sprintf("userspace (auto: the kernel cannot: %v)", err)
	return o.openUserspace(ctx, c, warn)
}

// prepare fits a configuration to this host: tunnel interfaces are made, and what the
// data plane lacks is an error, or a note.
func (o *outside) prepare(ctx context.Context, c *conf.Config) (_ *conf.Config, notes []string, err error) {
	if c.Network.RouteBased && o.tunnels == nil {
		return nil, nil, fmt.Errorf("network.route_based: the data plane in use, %s, has no tunnel interfaces; it needs the kernel's", o.text)
	}
	if o.tunnels != nil {
		if c, err = o.tunnels.assign(ctx, c); err != nil {
			return nil, nil, fmt.Errorf("network.route_based: %w", err)
		}
	}
	return engine.Fit(ctx, o.plane, c)
}

// preview is prepare that changes nothing on this host.
func (o *outside) preview(ctx context.Context, c *conf.Config) (*conf.Config, []string, error) {
	if o.tunnels != nil {
		c = o.tunnels.preview(c)
	}
	return engine.Fit(ctx, o.plane, c)
}

func (o *outside) openNone(ctx context.Context, warn func(string)) (err error) {
	o.text = "none (dataplane.backend)"
	o.plane = &engine.None{}
	o.transport, err = transport.Open(ctx, transport.Options{Mark: outerMark, Warn: warn})
	if err == nil {
		o.closers = append(o.closers, o.transport.Close)
	}
	return err
}

func (o *outside) openUserspace(ctx context.Context, c *conf.Config, warn func(string)) error {
	// The sockets deliver nothing before the engine serves them: by then p is set.
	var p *plane.Plane
	tr, err := transport.Open(ctx, transport.Options{
		Mark: outerMark, Warn: warn,
		ESP:    func(ps []udp.Packet) { p.Receive(ps, true) },
		RawESP: func(ps []udp.Packet) { p.Receive(ps, false) },
	})
	if err != nil {
		return err
	}
	o.transport = tr
	o.closers = append(o.closers, tr.Close)
	dev, err := tun.Open(tunName, tunMTU)
	if err != nil {
		return err
	}
	o.device = dev.Name()
	for _, text := range dev.Warnings() {
		warn(text)
	}
	var network plane.Network
	if c.Network.InstallRoutes {
		routes, err := hostnet.Open(ctx, hostnet.Options{Device: dev.Name(), Mark: outerMark, Warn: warn})
		if err != nil {
			return errors.Join(err, dev.Close())
		}
		o.closers = append(o.closers, routes.Close)
		network = routes
	}
	p, err = plane.New(plane.Config{
		Device: dev, Carrier: tr, Network: network, Warn: warn,
		MTU: func(to netip.Addr) int { return hostnet.PathMTU(to, outerMark) },
	})
	if err != nil {
		return errors.Join(err, dev.Close())
	}
	o.plane, o.planeStat = &sweeping{DataPlane: p, warn: warn}, p.Counters
	o.handOver, o.inherit = p.HandOver, p.Inherit
	o.closers = append(o.closers, p.Close)
	return nil
}
