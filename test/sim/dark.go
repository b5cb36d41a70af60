package sim

import (
	"slices"
	"time"

	"github.com/goike/goike/ike"
)

const day = 24 * time.Hour

// darkness is for how long a tunnel has carried nothing.
type darkness struct {
	up        bool        // it carries
	since     ike.Instant // since when it does, or does not
	was       bool        // it has carried for some time
	disturbed ike.Instant // when something happened last that may have taken it down
}

// disturb tells that something has happened to a node that takes its tunnels down.
func (n *Network) disturb(x *node) {
	for _, p := range n.Pairs {
		if p.a == x || p.b == x {
			p.dark.disturbed = n.now
		}
	}
}

// changing sends a packet to a host whose data plane is about to change: it arrives when
// that has changed.
func (n *Network) changing(h *Host) {
	if !n.calm {
		return
	}
	n.eachOf(h, func(p *pairing) {
		for _, f := range p.flows {
			if p.a.Host == h {
				p.b.Ping(back(f), p.judge(n))
			} else {
				p.a.Ping(f, p.judge(n))
			}
		}
	})
}

// changed sends one from a host whose data plane has changed.
func (n *Network) changed(h *Host) {
	n.eachOf(h, func(p *pairing) {
		n.look(p)
		if !n.calm {
			return
		}
		for _, f := range p.flows {
			if p.a.Host == h {
				p.a.Ping(f, p.judge(n))
			} else {
				p.b.Ping(back(f), p.judge(n))
			}
		}
	})
}

func (n *Network) eachOf(h *Host, f func(p *pairing)) {
	for _, p := range n.Pairs {
		if p.needs && (p.a.Host == h || p.b.Host == h) {
			f(p)
		}
	}
}

// judge is what becomes of a packet in a network that is well: it arrives.
func (p *pairing) judge(n *Network) func(x *probe) {
	return func(x *probe) {
		if x.seen == lost && n.calm && p.gap == 0 {
			n.violated("a packet is lost in a network that is well: %s", x)
		}
		n.fate(x)
	}
}

// look notes whether a tunnel carries, and whether it has not for too long.
func (n *Network) look(p *pairing) {
	if !p.needs || p.a.dead || p.b.dead {
		return
	}
	err := p.carries()
	d := &p.dark
	if up := err == nil; d.up != up {
		d.was = d.was || d.up && n.now.Sub(d.since) > time.Minute
		d.up, d.since = up, n.now
		if !n.Quiet {
			n.note("%s: carries: %v (%v)", p.ca.Name, up, err)
		}
	}
	if d.up {
		return
	}
	if from := max(d.since, d.disturbed); n.now.Sub(from) > n.bearable(p) || n.bearable(p) == 0 {
		n.violated("%s carries nothing for %s: %v", p.ca.Name, n.now.Sub(from), err)
	}
}

// bearable is for how long a tunnel may carry nothing.
func (n *Network) bearable(p *pairing) time.Duration {
	switch {
	case n.stormy && slices.Contains(n.Impair, "mtu"):
		return day // fragments may be too large for the way
	case p.dark.was && (n.calm || n.gentle):
		return p.gap
	}
	return 2 * n.healTime()
}

// healTime is within what a tunnel is up after the network has healed. The longest way:
// a peer that lost its state is found out by a liveness check (dpd_delay) and its 165 s of
// retransmission; the try under way may have another 165 s to go, and the next one begins
// after the longest pause between tries, 5 minutes and a quarter, and takes 165 s where it
// meets a half-open IKE SA. Where the two ends take one another's tries for their own this
// may come twice. A daemon that is down comes up within an hour.
func (n *Network) healTime() time.Duration {
	return time.Hour + 2*(n.temper.slowest+3*165*time.Second+375*time.Second)
}
