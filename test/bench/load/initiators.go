//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/engine"
	"github.com/goike/goike/ike/transport"
	"github.com/goike/goike/ike/v2"
	"github.com/goike/goike/test/lab"
)

// atOnce is how many set-ups are under way at a time.
const atOnce = 64

// load sets up n IKE SAs from router A and keeps them until stop.
func (b *bench) load(n int) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	c, err := configuration(n)
	if err != nil {
		cancel()
		return nil, err
	}
	var tr *transport.Transport
	if err := b.net.A.Do(func() (err error) { tr, err = transport.Open(ctx, transport.Options{}); return err }); err != nil {
		cancel()
		return nil, err
	}
	path := ike.Path{Local: netip.AddrPortFrom(lab.OuterA4, ike.Port), Remote: netip.AddrPortFrom(lab.OuterB4, ike.Port)}
	e := engine.New(engine.Config{
		Machines: v2.Machines{}, Cookies: v2.NewCookies(rand.Reader), Plane: &engine.None{}, Transport: tr, Conf: c,
		Locate: func(context.Context, *conf.Connection) ([]ike.Path, error) { return []ike.Path{path}, nil },
	})
	stop = func() {
		gone, done := context.WithCancel(ctx)
		done() // the peers need not be told
		e.Close(gone)
		_ = tr.Close()
		cancel()
	}
	if err := initiate(ctx, e, c); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// initiate sets up all connections, atOnce at a time; the first error ends it.
func initiate(ctx context.Context, e *engine.Engine, c *conf.Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *conf.Connection)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for conn := range next {
				r := control.InitiateRequest{Conn: conn.Name, Timeout: time.Minute}
				if err := e.Initiate(ctx, r, nil); err != nil {
					cancel(fmt.Errorf("%s: %w", conn.Name, err))
				}
			}
		})
	}
	for _, conn := range c.Connections {
		select {
		case next <- conn:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// configuration has a connection for each of n peers.
func configuration(n int) (*conf.Config, error) {
	ike, err := crypto.ParseProposal(crypto.IKE, "aes256gcm16-prfsha256-curve25519")
	if err != nil {
		return nil, err
	}
	esp, err := crypto.ParseProposal(crypto.ESP, "aes256gcm16")
	if err != nil {
		return nil, err
	}
	c := conf.Default()
	remote := conf.Selector{First: netip.MustParseAddr("10.2.0.0"), Last: netip.MustParseAddr("10.2.255.255"), PortLast: 65535}
	for i := range n {
		name := fmt.Sprintf("peer%05d", i)
		own, err := id.Parse(name + ".example.org")
		if err != nil {
			return nil, err
		}
		host := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		c.Connections = append(c.Connections, &conf.Connection{
			Name: name, Version: conf.IKEv2, Gateways: conf.Gateways{{Prefix: netip.PrefixFrom(lab.OuterB4, 32)}},
			Proposals: []crypto.Proposal{ike}, Local: conf.Auth{ID: own}, PSK: crypto.Secret(secret),
			Behavior: conf.OnDemand, KeyingTries: 1, Fragmentation: true, FragmentSize: 1280,
			Children: []*conf.Child{{
				Name: "lan", Local: []conf.Selector{{First: host, Last: host, PortLast: 65535}}, Remote: []conf.Selector{remote},
				Protocol: crypto.ESP, Proposals: []crypto.Proposal{esp}, Window: 32,
			}},
		})
	}
	return c, nil
}
