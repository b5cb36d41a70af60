//go:build linux

package main

import (
	"context"

	"github.com/goike/goike/ike"
	"github.com/goike/goike/internal/icmp"
)

// followErrors hears what others say about messages that did not arrive, until ctx is done.
func (d *daemon) followErrors(ctx context.Context) {
	err := icmp.Listen(ctx, []uint16{ike.Port, ike.NATTPort}, func(e icmp.Error) {
		d.engine.Unreachable(ike.Unreachable{By: e.By, Peer: e.Remote, What: e.Kind.String(), MTU: e.MTU})
	})
	if err != nil && ctx.Err() == nil {
		d.warn(err.Error() + "; goikectl explain knows less of peers that do not answer")
	}
}
