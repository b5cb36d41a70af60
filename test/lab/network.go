//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Network is the network of the tests: two sites with a router each, and the
// internet between them.
//
//	HostA ---- A ---- Internet ---- B ---- HostB
//
// The links of the internet are called "toA" and "toB".
type Network struct {
	Lab                          *Lab
	HostA, A, Internet, B, HostB *Namespace
	rules                        string // of the internet, nftables
}

// The addresses of the network. The internet is able to translate the
// addresses of site A (see NAT) into InternetB and InternetB6.
var (
	HostA4     = addr("10.1.0.10")
	HostB4     = addr("10.2.0.10")
	HostA6     = addr("fd01:0:0:1::10")
	HostB6     = addr("fd02:0:0:1::10")
	GatewayA4  = addr("10.1.0.1")
	GatewayB4  = addr("10.2.0.1")
	OuterA4    = addr("192.0.2.2")
	OuterB4    = addr("198.51.100.2")
	OuterA6    = addr("2001:db8:a::2")
	OuterB6    = addr("2001:db8:b::2")
	InternetB  = addr("198.51.100.1")
	InternetB6 = addr("2001:db8:b::1")
	NetA4      = netip.MustParsePrefix("10.1.0.0/16")
	NetB4      = netip.MustParsePrefix("10.2.0.0/16")
	NetA6      = netip.MustParsePrefix("fd01:0:0:1::/64")
	NetB6      = netip.MustParsePrefix("fd02:0:0:1::/64")
)

// Further addresses of the hosts in the same networks, for tests with more than
// one child SA.
var (
	HostA4b = addr("10.1.1.10")
	HostB4b = addr("10.2.1.10")
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// NewNetwork makes the network in the lab.
func NewNetwork(l *Lab) (*Network, error) {
	n := &Network{Lab: l}
	for _, h := range []struct {
		at     **Namespace
		name   string
		router bool
	}{{&n.HostA, "host-a", false}, {&n.A, "a", true}, {&n.Internet, "internet", true},
		{&n.B, "b", true}, {&n.HostB, "host-b", false}} {
		var err error
		if *h.at, err = l.Namespace(h.name, h.router); err != nil {
			return nil, err
		}
	}
	return n, errors.Join(n.links(), n.site(n.HostA, n.A, "10.1", "fd01"), n.site(n.HostB, n.B, "10.2", "fd02"), n.outer())
}

func (n *Network) links() error {
	return errors.Join(
		Link(n.HostA, "eth0", n.A, "inner"), Link(n.A, "outer", n.Internet, "toA"),
		Link(n.Internet, "toB", n.B, "outer"), Link(n.B, "inner", n.HostB, "eth0"))
}

func (n *Network) site(host, router *Namespace, v4, v6 string) error {
	return errors.Join(
		host.Address("eth0", v4+".0.10/16", v4+".1.10/16", v6+":0:0:1::10/64"),
		router.Address("inner", v4+".0.1/16", v4+".1.1/16", v6+":0:0:1::1/64"),
		host.Default(v4+".0.1", v6+":0:0:1::1"))
}

func (n *Network) outer() error {
	return errors.Join(
		n.A.Address("outer", "192.0.2.2/24", "2001:db8:a::2/64"),
		n.B.Address("outer", "198.51.100.2/24", "2001:db8:b::2/64"),
		n.Internet.Address("toA", "192.0.2.1/24", "2001:db8:a::1/64"),
		n.Internet.Address("toB", "198.51.100.1/24", "2001:db8:b::1/64"),
		n.A.Default("192.0.2.1", "2001:db8:a::1"),
		n.B.Default("198.51.100.1", "2001:db8:b::1"))
}

// natRules translate the addresses of site A and let nothing but UDP and ICMP
// through, as a cheap router does.
const natRules = `table inet nat {
	chain post { type nat hook postrouting priority 100; oifname "toB" masquerade; }
	chain forward {
		type filter hook forward priority 0; policy drop;
		meta l4proto { udp, icmp, icmpv6 } accept
	}
}`

// NAT puts a NAT between the sites, that hides site A.
func (n *Network) NAT() error { return n.filter(natRules) }

// Drop makes the internet lose what matches the nftables expression, and lets
// all else pass; "" loses everything.
func (n *Network) Drop(match string) error {
	return n.filter("table inet lose { chain forward { type filter hook forward priority 0; " + match + " drop; }; }")
}

// Rules are nftables rules of the internet, in the place of those that it has.
func (n *Network) Rules(rules string) error { return n.filter(rules) }

// Open lets everything pass again, untranslated.
func (n *Network) Open() error { return n.filter("") }

func (n *Network) filter(rules string) error {
	if rules == n.rules {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := n.Internet.RunCommand(ctx, Command{Args: []string{"nft", "-f", "-"}, Stdin: "flush ruleset\n" + rules})
	if err != nil {
		return fmt.Errorf("rules of the internet: %w", err)
	}
	n.rules = rules
	return nil
}
