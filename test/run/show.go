//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/goike/goike/test/lab"
)

const picture = `
   host-a            a                                     b            host-b
  10.1.0.10 -- 10.1.0.1 192.0.2.2 -- internet -- 198.51.100.2 10.2.0.1 -- 10.2.0.10
   fd01:0:0:1::10                                            fd02:0:0:1::10
`

// secret is the pre-shared key of the two sites.
const secret = "only two routers know this"

const goikedConfig = `[dataplane]
backend = "userspace"

[[phase1]]
name = "site"
key_exchange = "ikev2"
local_address = "%s"
remote_gateway = "%s"
pre_shared_key = "` + secret + `"
connection_behavior = "%s"

  [[phase1.phase2]]
  name = "lan"
  local_network = ["%s", "%s"]
  remote_network = ["%s", "%s"]
`

const strongSwanConfig = `connections {
	site {
		version = 2
		local_addrs = 198.51.100.2
		remote_addrs = 192.0.2.2
		encap = yes # its user space data plane has no other ESP
		local { auth = psk }
		remote { auth = psk }
		children {
			lan {
				local_ts = 10.2.0.0/16,fd02:0:0:1::/64
				remote_ts = 10.1.0.0/16,fd01:0:0:1::/64
			}
		}
	}
}
secrets {
	ike { secret = "` + secret + `" }
}
`

// show is one showing: what it needs and what it has made.
type show struct {
	lab  *lab.Lab
	bins lab.Binaries
	peer string
	net  *lab.Network
	wire *lab.Capture
	a, b *lab.Goiked
	swan *lab.StrongSwan
}

func newShow(l *lab.Lab, bins lab.Binaries, peer string) *show {
	return &show{lab: l, bins: bins, peer: peer}
}

// all shows everything, up to the first thing that does not work.
func (s *show) all() error {
	for _, step := range []func() error{s.build, s.start, s.tunnel, s.pings, s.throughput, s.status, s.seen} {
		if err := step(); err != nil {
			return err
		}
	}
	s.hints()
	return nil
}

func (s *show) build() (err error) {
	say("making two sites in network namespaces:\n%s", picture)
	if s.net, err = lab.NewNetwork(s.lab); err != nil {
		return err
	}
	s.wire, err = s.net.Internet.Capture("toB", lab.NetA4, lab.NetB4, lab.NetA6, lab.NetB6)
	return err
}

func (s *show) start() (err error) {
	say("starting %s on b", s.peer)
	if s.peer == "strongswan" {
		if s.swan, err = lab.StartStrongSwan(s.net.B, ""); err == nil {
			err = s.swan.Load(strongSwanConfig)
		}
	} else {
		conf := fmt.Sprintf(goikedConfig, lab.OuterB4, lab.OuterA4, "responder-only", lab.NetB4, lab.NetB6, lab.NetA4, lab.NetA6)
		s.b, err = lab.StartGoiked(s.net.B, s.bins, conf, lab.GoikedOptions{})
	}
	if err != nil {
		return err
	}
	say("starting goiked on a")
	conf := fmt.Sprintf(goikedConfig, lab.OuterA4, lab.OuterB4, "start", lab.NetA4, lab.NetA6, lab.NetB4, lab.NetB6)
	s.a, err = lab.StartGoiked(s.net.A, s.bins, conf, lab.GoikedOptions{})
	return err
}

func (s *show) tunnel() error {
	say("goikectl up site/lan")
	begun := time.Now()
	out, _, err := s.a.Ctl("--timeout", "20s", "up", "site/lan")
	fmt.Print(indent(out))
	if err != nil {
		return err
	}
	say("the tunnel is up, %d ms", time.Since(begun).Milliseconds())
	return nil
}

func (s *show) pings() error {
	for _, p := range []struct {
		from     *lab.Namespace
		src, dst netip.Addr
	}{
		{s.net.HostA, lab.HostA4, lab.HostB4}, {s.net.HostB, lab.HostB4, lab.HostA4},
		{s.net.HostA, lab.HostA6, lab.HostB6}, {s.net.HostB, lab.HostB6, lab.HostA6},
	} {
		if err := p.from.Ping(p.src, p.dst, 5*time.Second); err != nil {
			return err
		}
		say("ping %s > %s: answered", p.src, p.dst)
	}
	return nil
}

func (s *show) throughput() error {
	for _, reverse := range []bool{false, true} {
		rate, err := lab.Measure(s.net.HostA, s.net.HostB, lab.Iperf{From: lab.HostA4, To: lab.HostB4, Seconds: 2, Reverse: reverse})
		if err != nil {
			return err
		}
		way := "host-a > host-b"
		if reverse {
			way = "host-b > host-a"
		}
		if rate.Bits == 0 {
			return errors.New("iperf3 " + way + ": nothing came through")
		}
		say("iperf3 TCP %s: %s", way, rate.Gbit())
	}
	return nil
}

func (s *show) status() error {
	say("goikectl status on a")
	out, _, err := s.a.Ctl("status")
	fmt.Print(indent(out))
	if err != nil {
		return err
	}
	if s.swan != nil {
		say("swanctl --list-sas on b")
		out, err = s.swan.Swanctl("--list-sas")
	} else {
		say("goikectl status on b")
		out, _, err = s.b.Ctl("status")
	}
	fmt.Print(indent(out))
	return err
}

// seen tells what was on the wire, and fails if it was not what it must be.
func (s *show) seen() error {
	seen := s.wire.Seen()
	say("seen on the wire between the routers: %s", seen)
	if seen.ESP+seen.UDPESP == 0 {
		return errors.New("no ESP was seen on the wire")
	}
	return s.wire.Clean()
}

func (s *show) hints() {
	fmt.Println("\nA shell in each namespace:")
	for _, n := range []*lab.Namespace{s.net.HostA, s.net.A, s.net.Internet, s.net.B, s.net.HostB} {
		fmt.Printf("  ip netns exec %s bash\n", n.Name)
	}
	fmt.Printf("The daemons:\n  %s --socket %s status\n", s.bins.Goikectl, s.a.Socket())
	if s.swan != nil {
		fmt.Printf("  swanctl --list-sas --uri %s\n", s.swan.URI)
		return
	}
	fmt.Printf("  %s --socket %s status\n", s.bins.Goikectl, s.b.Socket())
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
