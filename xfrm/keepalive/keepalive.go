// Package keepalive reminds NATs of the tunnels whose packets the kernel carries
// (RFC 3948, 2.3): kernels before 6.11 do not do that themselves.
package keepalive

import (
	"net/netip"
	"sync"
	"time"

	"github.com/goike/goike/esp"
)

// Interval is how often a NAT is reminded (RFC 3948, 4).
const Interval = 20 * time.Second

// Flow is what a NAT knows a mapping by, as far as it is ours.
type Flow struct{ Local, Remote netip.AddrPort }

// Keeper knows the flows that have to be kept alive. Its methods are safe for
// concurrent use.
type Keeper struct {
	send func(Flow)

	mu    sync.Mutex
	flows map[Flow]int      // how many SAs use it
	sas   map[esp.SAID]Flow // outbound; the zero Flow: behind no NAT
	timer *time.Timer       // nil while there is no flow
	ended bool
}

// New makes a Keeper. send sends one keepalive and must not block for long.
func New(send func(Flow)) *Keeper {
	return &Keeper{send: send, flows: make(map[Flow]int), sas: make(map[esp.SAID]Flow)}
}

// Applied follows what was done to the data plane.
func (k *Keeper) Applied(ops []esp.Op) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, op := range ops {
		switch op := op.(type) {
		case esp.AddSA:
			if op.SA.Dir == esp.Out {
				k.set(op.SA.ID, op.SA.Src, op.SA.Encap)
			}
		case esp.AdoptSA:
			if op.SA.Dir == esp.Out {
				k.set(op.SA.ID, op.SA.Src, op.SA.Encap)
			}
		case esp.DelSA:
			k.drop(op.ID)
		case esp.MoveSA:
			k.move(op)
		}
	}
	k.schedule()
}

func (k *Keeper) set(id esp.SAID, src netip.Addr, e *esp.Encap) {
	k.drop(id)
	if k.ended {
		return
	}
	k.sas[id] = Flow{}
	if e == nil || !e.Keepalive {
		return
	}
	f := Flow{Local: netip.AddrPortFrom(src, e.Local), Remote: netip.AddrPortFrom(id.Dst, e.Remote)}
	k.sas[id] = f
	k.flows[f]++
}

func (k *Keeper) drop(id esp.SAID) {
	f, ok := k.sas[id]
	if !ok {
		return
	}
	delete(k.sas, id)
	if f == (Flow{}) {
		return
	}
	if k.flows[f]--; k.flows[f] <= 0 {
		delete(k.flows, f)
	}
}

func (k *Keeper) move(op esp.MoveSA) {
	if _, ok := k.sas[op.ID]; ok {
		k.drop(op.ID)
		k.set(esp.SAID{Dst: op.Dst, SPI: op.ID.SPI, Proto: op.ID.Proto}, op.Src, op.Encap)
	}
}

// schedule runs the timer while there are flows.
func (k *Keeper) schedule() {
	switch {
	case len(k.flows) > 0 && k.timer == nil:
		k.timer = time.AfterFunc(Interval, k.remind)
	case len(k.flows) == 0 && k.timer != nil:
		k.timer.Stop()
		k.timer = nil
	}
}

func (k *Keeper) remind() {
	k.mu.Lock()
	flows := make([]Flow, 0, len(k.flows))
	for f := range k.flows {
		flows = append(flows, f)
	}
	if k.timer != nil {
		k.timer.Reset(Interval)
	}
	k.mu.Unlock()
	for _, f := range flows {
		k.send(f)
	}
}

// Close ends it.
func (k *Keeper) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	clear(k.flows)
	clear(k.sas)
	k.schedule()
}
