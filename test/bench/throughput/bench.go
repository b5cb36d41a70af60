//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/goike/goike/test/lab"
)

// suite is what both pairs use.
const suite = "aes256gcm16"

const goikedConfig = `[dataplane]
backend = "userspace"

[log]
level = "warn"

[[phase1]]
name = "bench"
key_exchange = "ikev2"
local_address = "%s"
remote_gateway = "%s"
proposals = ["aes256gcm16-prfsha256-curve25519"]
pre_shared_key = "the same for all of them, and long"
connection_behavior = "on-demand"
force_udp_encapsulation = true

  [[phase1.phase2]]
  name = "lan"
  proposals = ["` + suite + `"]
  local_network = ["%s"]
  remote_network = ["%s"]
`

const swanConfig = `connections { bench {
	version = 2
	local_addrs = %s
	remote_addrs = %s
	proposals = aes256gcm16-prfsha256-curve25519
	encap = yes
	local { auth = psk }
	remote { auth = psk }
	children { lan { local_ts = %s
		remote_ts = %s
		esp_proposals = ` + suite + ` } }
} }
secrets { ike { secret = "the same for all of them, and long" } }
`

// quiet takes the logs of charon back to what it does by itself.
const quiet = `filelog { log { default = 1 } }`

type bench struct {
	net     *lab.Network
	bins    lab.Binaries
	seconds int
}

func newBench(l *lab.Lab, seconds int) (*bench, error) {
	n, err := lab.NewNetwork(l)
	if err != nil {
		return nil, err
	}
	bin, err := l.Mkdir("bin")
	if err != nil {
		return nil, err
	}
	bins, err := lab.Build(bin)
	return &bench{net: n, bins: bins, seconds: seconds}, err
}

// with measures through the tunnel that up sets up.
func (b *bench) with(up func() (stop func(), err error)) (figures, error) {
	stop, err := up()
	if err != nil {
		return figures{}, err
	}
	defer stop()
	if err := b.net.HostA.Ping(lab.HostA4, lab.HostB4, 5*time.Second); err != nil {
		return figures{}, err
	}
	return b.through(b.net.HostA, b.net.HostB, lab.HostA4, lab.HostB4)
}

// measure is the same between the routers, without a tunnel.
func (b *bench) measure() (figures, error) {
	return b.through(b.net.A, b.net.B, lab.OuterA4, lab.OuterB4)
}

func (b *bench) goiked() (func(), error) {
	at := func(n *lab.Namespace, local, remote netip.Addr, mine, theirs netip.Prefix) (*lab.Goiked, error) {
		return lab.StartGoiked(n, b.bins, fmt.Sprintf(goikedConfig, local, remote, mine, theirs), lab.GoikedOptions{})
	}
	right, err := at(b.net.B, lab.OuterB4, lab.OuterA4, lab.NetB4, lab.NetA4)
	if err != nil {
		return nil, err
	}
	left, err := at(b.net.A, lab.OuterA4, lab.OuterB4, lab.NetA4, lab.NetB4)
	if err != nil {
		return nil, err
	}
	return func() { left.Stop(); right.Stop() }, left.Up("bench/lan")
}

func (b *bench) strongSwan() (func(), error) {
	right, errR := lab.StartStrongSwan(b.net.B, quiet)
	left, errL := lab.StartStrongSwan(b.net.A, quiet)
	if err := errors.Join(errR, errL); err != nil {
		return nil, err
	}
	stop := func() { left.Stop(); right.Stop() }
	return stop, errors.Join(
		right.Load(fmt.Sprintf(swanConfig, lab.OuterB4, lab.OuterA4, lab.NetB4, lab.NetA4)),
		left.Load(fmt.Sprintf(swanConfig, lab.OuterA4, lab.OuterB4, lab.NetA4, lab.NetB4)),
		left.Initiate("lan"))
}

func (b *bench) through(client, server *lab.Namespace, from, to netip.Addr) (figures, error) {
	o := lab.Iperf{From: from, To: to, Seconds: b.seconds}
	there, err := lab.Measure(client, server, o)
	if err != nil {
		return figures{}, err
	}
	o.Reverse = true
	back, err := lab.Measure(client, server, o)
	if err != nil {
		return figures{}, err
	}
	rate, err := lossFree(func(bits int64) (lab.Throughput, error) {
		return datagrams(client, server, from, to, bits)
	})
	return figures{there.Bits, back.Bits, rate}, err
}

const (
	tolerable = 0.1 // percent of lost datagrams
	slowest   = 50e6
	fastest   = 20e9
	step      = 1.15
	tries     = 3 // of a rate: other programs make a receiver lose something too
)

// lossFree looks for the highest rate at which next to nothing is lost: faster
// by a half as long as that goes, then in small steps from the last good one.
func lossFree(measure func(bits int64) (lab.Throughput, error)) (float64, error) {
	best := 0.0
	for rate, by := slowest, 1.5; rate < fastest; rate *= by {
		got, err := bestOf(measure, rate)
		if err != nil {
			return 0, err
		}
		lost := got.Lost > tolerable
		if !lost {
			best = max(best, got.Bits)
		}
		if !lost && got.Bits >= 0.9*rate {
			continue
		}
		if by == step { // lost, or the sender cannot do more
			return best, nil
		}
		rate, by = max(best, slowest), step
	}
	return best, nil
}

// bestOf is the best of the tries at a rate. The first that is good enough is.
func bestOf(measure func(bits int64) (lab.Throughput, error), rate float64) (best lab.Throughput, err error) {
	best.Lost = 100
	for range tries {
		got, err := measure(int64(rate))
		if err != nil {
			return best, err
		}
		if got.Lost < best.Lost || got.Lost == best.Lost && got.Bits > best.Bits {
			best = got
		}
		if got.Lost <= tolerable && got.Bits >= 0.9*rate {
			return got, nil
		}
	}
	return best, nil
}
