//go:build linux

package main

import (
	"context"
	"sync"

	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/xfrm"
	"github.com/goike/goike/xfrm/netlink"
)

// sweeping removes what a killed goiked with the kernel's data plane has left, which
// would be in the way of this plane: once its own policies stand, so that nothing
// leaves in the clear in between.
type sweeping struct {
	engine.DataPlane
	once sync.Once
	warn func(string)
}

// Apply implements engine.DataPlane.
func (s *sweeping) Apply(ctx context.Context, ops []esp.Op) error {
	err := s.DataPlane.Apply(ctx, ops)
	s.once.Do(func() {
		if err := sweepKernel(ctx); err != nil {
			s.warn("what an earlier goiked has left in the kernel (ip xfrm state, ip xfrm policy) could not be removed: " + err.Error())
		}
	})
	return err
}

// sweepKernel removes leftovers. A kernel that cannot be asked has none.
func sweepKernel(ctx context.Context) error {
	conn, err := netlink.Open()
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer func() { _ = conn.Close() }()
	p, err := xfrm.New(ctx, xfrm.Config{Kernel: conn, FirstReqID: engine.FirstReqID, LastReqID: engine.LastReqID})
	if err != nil {
		return err
	}
	return p.Close()
}
