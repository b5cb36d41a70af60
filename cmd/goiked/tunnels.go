//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/internal/hostnet"
)

// firstIfID is where the interface IDs of connections begin: above what people choose.
const firstIfID = 0x4700_0000

// Room for what tunnels add to a packet, at most: outer IPv6 and UDP headers, ESP with
// CBC, padding and a long ICV.
const (
	tunnelOverhead = 40 + 8 + 8 + 16 + 17 + 32
	leastTunnelMTU = 1280
)

// tunnels are the interfaces of connections (network.route_based).
type tunnels struct {
	set func(ctx context.Context, wanted []hostnet.Interface) error
	end func() error

	mu     sync.Mutex
	ids    map[string]uint32 // by connection
	names  map[uint32]string
	lastID uint32
}

// openTunnels returns nil when the configuration wants none.
func openTunnels(ctx context.Context, c *conf.Config) (*tunnels, error) {
	if !c.Network.RouteBased {
		return nil, nil
	}
	i, err := hostnet.OpenInterfaces(ctx, hostnet.InterfaceOptions{})
	if err != nil {
		return nil, fmt.Errorf("network.route_based: %w", err)
	}
	return newTunnels(i.Set, i.Close), nil
}

func newTunnels(set func(context.Context, []hostnet.Interface) error, end func() error) *tunnels {
	return &tunnels{set: set, end: end, ids: make(map[string]uint32), names: make(map[uint32]string), lastID: firstIfID}
}

func (t *tunnels) close() error { return t.end() }

// device names the interface of an interface ID.
func (t *tunnels) device(ifID uint32) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.names[ifID]
}

// assign makes an interface for each connection and returns the configuration with
// their IDs. A connection keeps its interface as long as it is there.
func (t *tunnels) assign(ctx context.Context, c *conf.Config) (*conf.Config, error) {
	out := *c
	out.Connections = slices.Clone(c.Connections)
	var wanted []hostnet.Interface
	for i, conn := range c.Connections {
		id := t.idOf(conn.Name)
		out.Connections[i] = withIfID(conn, id)
		wanted = append(wanted, hostnet.Interface{Name: t.device(id), Kind: hostnet.XFRM, ID: id, MTU: tunnelMTU(conn)})
	}
	return &out, t.set(ctx, wanted)
}

// preview returns the configuration with the interface IDs of the connections that have
// one already, and makes none.
func (t *tunnels) preview(c *conf.Config) *conf.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := *c
	out.Connections = slices.Clone(c.Connections)
	for i, conn := range c.Connections {
		if id, ok := t.ids[conn.Name]; ok {
			out.Connections[i] = withIfID(conn, id)
		}
	}
	return &out
}

func (t *tunnels) idOf(conn string) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id, ok := t.ids[conn]; ok {
		return id
	}
	t.lastID++
	t.ids[conn] = t.lastID
	t.names[t.lastID] = t.freeName(conn)
	return t.lastID
}

// maxName is how long the name of an interface can be (IFNAMSIZ less the end).
const maxName = 15

// freeName is a name for the interface of a connection: its own, as far as it fits.
func (t *tunnels) freeName(conn string) string {
	base := "ike-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, conn)
	name := base[:min(len(base), maxName)]
	for n := 2; t.taken(name); n++ {
		end := fmt.Sprint(n)
		name = base[:min(len(base), maxName-len(end))] + end
	}
	return name
}

func (t *tunnels) taken(name string) bool {
	for _, other := range t.names {
		if other == name {
			return true
		}
	}
	return false
}

// withIfID is the connection with the interface ID at children that have none.
func withIfID(c *conf.Connection, id uint32) *conf.Connection {
	out := *c
	out.Children = make([]*conf.Child, len(c.Children))
	for i, k := range c.Children {
		child := *k
		if child.Kernel.IfIDIn == 0 && child.Kernel.IfIDOut == 0 {
			child.Kernel.IfIDIn, child.Kernel.IfIDOut = id, id
		}
		out.Children[i] = &child
	}
	return &out
}

// tunnelMTU is what fits a tunnel on the way to the peer, as far as that is known.
func tunnelMTU(c *conf.Connection) int {
	known := []int{}
	for _, g := range c.Gateways {
		if a, ok := g.Single(); ok {
			known = append(known, pathMTU(a))
		}
	}
	if len(known) == 0 {
		known = append(known, 1500)
	}
	return max(slices.Min(known)-tunnelOverhead, leastTunnelMTU)
}

func pathMTU(to netip.Addr) int { return hostnet.PathMTU(to, outerMark) }
