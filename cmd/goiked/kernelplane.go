//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/transport"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/internal/udp"
	"github.com/goike/goike/xfrm"
	"github.com/goike/goike/xfrm/keepalive"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// noticeGroups are the notices that the kernel's data plane lives on.
var noticeGroups = []message.Group{
	message.GroupAcquire, message.GroupExpire, message.GroupSA, message.GroupPolicy, message.GroupMapping,
}

// openXFRM opens the way to the kernel's IPsec; the error says why it is of no use.
func openXFRM(ctx context.Context) (*netlink.Conn, error) {
	conn, err := netlink.Open()
	if err != nil {
		return nil, err
	}
	if err := xfrm.Probe(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// openKernel lets the kernel carry the traffic.
func (o *outside) openKernel(ctx context.Context, c *conf.Config, conn *netlink.Conn, warn func(string)) error {
	o.closers = append(o.closers, conn.Close)
	notices, err := conn.Listen(noticeGroups...)
	if err != nil {
		return fmt.Errorf("notices of the kernel's IPsec: %w", err)
	}
	o.closers = append(o.closers, notices.Close)
	o.transport, err = transport.Open(ctx, transport.Options{Mark: outerMark, Encap: true, Warn: warn})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.transport.Close)
	cfg := xfrm.Config{
		Kernel: conn, Notices: notices, OffloadDevice: hostnet.InterfaceOf,
		FirstReqID: engine.FirstReqID, LastReqID: engine.LastReqID, Warn: warn,
	}
	if o.tunnels, err = openTunnels(ctx, c); err != nil {
		return err
	}
	if o.tunnels != nil {
		o.closers = append(o.closers, o.tunnels.close)
		cfg.Device = o.tunnels.device
	}
	if c.Network.InstallRoutes {
		routes, err := hostnet.Open(ctx, hostnet.Options{Mark: outerMark, Warn: warn})
		if err != nil {
			return err
		}
		o.closers = append(o.closers, routes.Close)
		cfg.Network = routes
	}
	p, err := xfrm.New(ctx, cfg)
	if err != nil {
		return err
	}
	k := keepalive.New(o.remind)
	o.plane, o.planeStat = kernelPlane{Plane: p, keeper: k}, xfrmErrors
	o.closers = append(o.closers, p.Close, func() error { k.Close(); return nil })
	return nil
}

var keepaliveOctet = []byte{0xff}

// remind sends a NAT keepalive. One that cannot be sent is not missed: the next follows.
func (o *outside) remind(f keepalive.Flow) {
	_ = o.transport.WriteUDP([]udp.Packet{{Data: keepaliveOctet, Local: f.Local, Remote: f.Remote}})
}

// kernelPlane is the kernel's data plane and what reminds NATs of it.
type kernelPlane struct {
	*xfrm.Plane
	keeper *keepalive.Keeper
}

// Apply implements engine.DataPlane.
func (p kernelPlane) Apply(ctx context.Context, ops []esp.Op) error {
	err := p.Plane.Apply(ctx, ops)
	p.keeper.Applied(ops)
	return err
}

var _ engine.DataPlane = kernelPlane{}

// look tells what this host's network is, but for an interface of ours.
func look(warn func(string), exclude string) hostnet.Snapshot {
	s, err := hostnet.Look(exclude)
	if err != nil {
		warn("the networks of this host cannot be read: " + err.Error())
	}
	return s
}
