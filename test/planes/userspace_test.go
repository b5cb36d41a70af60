//go:build linux

package planes

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"github.com/goike/goike/esp/plane"
	"github.com/goike/goike/esp/tun"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/transport"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/internal/udp"
)

// userspace is the data plane in user space, as goiked puts it together.
type userspace struct{}

func (userspace) String() string { return "userspace" }
func (userspace) kernel() bool   { return false }

func (userspace) open(ctx context.Context, nattPort uint16) (_ *instance, err error) {
	var undo undo
	defer undo.unless(&err)
	var p *plane.Plane
	sockets, err := serve(ctx, transport.Options{
		Mark: outerMark, NATTPort: nattPort,
		ESP:    func(ps []udp.Packet) { p.Receive(ps, true) },
		RawESP: func(ps []udp.Packet) { p.Receive(ps, false) },
	})
	if err != nil {
		return nil, err
	}
	undo.add(sockets.close)
	device, err := tun.Open("goike0", 1400)
	if err != nil {
		return nil, err
	}
	undo.add(device.Close)
	routes, err := hostnet.Open(ctx, hostnet.Options{Device: device.Name(), Mark: outerMark})
	if err != nil {
		return nil, err
	}
	undo.add(routes.Close)
	p, err = plane.New(plane.Config{
		Device: device, Carrier: sockets, Network: routes,
		MTU: func(to netip.Addr) int { return hostnet.PathMTU(to, outerMark) },
	})
	if err != nil {
		return nil, err
	}
	sockets.start()
	return &instance{
		DataPlane: p,
		close:     func() error { return errors.Join(p.Close(), routes.Close(), sockets.close()) },
	}, nil
}

// sockets are the outer sockets of a gateway and their readers.
type sockets struct {
	*transport.Transport
	stop context.CancelFunc
	ctx  context.Context
	wg   sync.WaitGroup
}

func serve(ctx context.Context, o transport.Options) (*sockets, error) {
	tr, err := transport.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &sockets{Transport: tr}
	s.ctx, s.stop = context.WithCancel(ctx)
	return s, nil
}

// start begins to read; what is IKE is dropped.
func (s *sockets) start() {
	s.wg.Go(func() { _ = s.Serve(s.ctx, func([]ike.Datagram) {}) })
}

func (s *sockets) close() error {
	s.stop()
	err := s.Close()
	s.wg.Wait()
	return err
}

// undo takes back what was opened when something later fails.
type undo []func() error

func (u *undo) add(f func() error) { *u = append(*u, f) }

func (u *undo) unless(err *error) {
	if *err == nil {
		return
	}
	for i := len(*u) - 1; i >= 0; i-- {
		*err = errors.Join(*err, (*u)[i]())
	}
}
