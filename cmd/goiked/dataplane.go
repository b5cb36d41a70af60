//go:build linux

package main

import (
	"context"
	"errors"
	"net/netip"

	"github.com/goike/goike/conf"
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
	closers   []func() error
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
	var err error
	switch c.Dataplane {
	case conf.BackendNone:
		err = o.openNone(ctx, warn)
	case conf.BackendKernel:
		err = errors.New("dataplane.backend = \"kernel\" is not supported yet; allowed: auto, userspace, none")
	case conf.BackendAuto, conf.BackendUserspace:
		o.text = "userspace"
		if c.Dataplane == conf.BackendAuto {
			o.text = "userspace (auto: the data plane of the kernel is not supported yet)"
		}
		err = o.openUserspace(ctx, c, warn)
	}
	if err != nil {
		return nil, missing(errors.Join(err, o.close()))
	}
	return o, nil
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
	o.plane, o.planeStat = p, p.Counters
	o.closers = append(o.closers, p.Close)
	return nil
}
