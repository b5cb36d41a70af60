//go:build linux

package planes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goike/goike/ike/transport"
	"github.com/goike/goike/internal/hostnet"
	"github.com/goike/goike/xfrm"
	"github.com/goike/goike/xfrm/message"
	"github.com/goike/goike/xfrm/netlink"
)

// inKernel is the data plane of the kernel, as goiked puts it together.
type inKernel struct{}

func (inKernel) String() string { return "kernel" }
func (inKernel) kernel() bool   { return true }

// grace is how long SAs of a plane that was killed stay.
const grace = 3 * time.Second

// ifID is that of the XFRM interface that a test may make, and ifName its name.
const (
	ifID   = 7
	ifName = "ipsec7"
)

func (inKernel) open(ctx context.Context, nattPort uint16) (_ *instance, err error) {
	var undo undo
	defer undo.unless(&err)
	conn, err := netlink.Open()
	if err != nil {
		return nil, err
	}
	undo.add(conn.Close)
	listener, err := conn.Listen(message.GroupAcquire, message.GroupExpire, message.GroupSA, message.GroupPolicy, message.GroupMapping)
	if err != nil {
		return nil, err
	}
	undo.add(listener.Close)
	sockets, err := serve(ctx, transport.Options{Mark: outerMark, Encap: true, NATTPort: nattPort})
	if err != nil {
		return nil, err
	}
	undo.add(sockets.close)
	routes, err := hostnet.Open(ctx, hostnet.Options{Mark: outerMark})
	if err != nil {
		return nil, err
	}
	undo.add(routes.Close)
	p, err := xfrm.New(ctx, xfrm.Config{
		Kernel: conn, Notices: listener, Network: routes, FirstReqID: firstReqID, LastReqID: lastReqID, Grace: grace,
		Device: func(id uint32) string {
			if id == ifID {
				return ifName
			}
			return ""
		},
		Warn: func(text string) { fmt.Println("kernel plane:", text) },
	})
	if err != nil {
		return nil, err
	}
	sockets.start()
	return &instance{DataPlane: p, close: func() error {
		return errors.Join(p.Close(), routes.Close(), sockets.close(), listener.Close(), conn.Close())
	}}, nil
}
