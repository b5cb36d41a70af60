//go:build linux

package planes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dump is what both gateways have of rules, routes, SAs and policies.
func (p *pair) dump(t testing.TB) []string {
	t.Helper()
	return append(p.a.dump(t), p.b.dump(t)...)
}

func (s *side) dump(t testing.TB) []string {
	t.Helper()
	var d dump
	err := s.ns.Do(func() error {
		return errors.Join(d.rules(), d.routes(), d.states(), d.policies())
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range d {
		d[i] = s.ns.Name + ": " + d[i]
	}
	return d
}

// dump is lines that say what is there, without counters and keys.
type dump []string

func (d *dump) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *dump) rules() error {
	rules, err := netlink.RuleList(netlink.FAMILY_ALL)
	for _, r := range rules {
		d.add("rule family %d: %s", r.Family, r)
	}
	return err
}

func (d *dump) routes() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		routes, err := netlink.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Protocol == unix.RTPROT_KERNEL { // they come a while after the addresses
				continue
			}
			d.add("route family %d: %s type %d metric %d protocol %d", family, r, r.Type, r.Priority, r.Protocol)
		}
	}
	return nil
}

// states leaves out those without SPI: the kernel keeps them for a while, of packets
// that asked for an SA.
func (d *dump) states() error {
	states, err := netlink.XfrmStateList(netlink.FAMILY_ALL)
	for _, s := range states {
		if s.Spi != 0 {
			d.add("SA %s > %s %s SPI 0x%08x reqid %d %s", s.Src, s.Dst, s.Proto, uint32(s.Spi), s.Reqid, s.Mode)
		}
	}
	return err
}

// policies leaves out those of sockets.
func (d *dump) policies() error {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	for _, p := range policies {
		if p.Dir <= netlink.XFRM_DIR_FWD {
			d.add("policy %s > %s proto %d ports %d %d %s priority %d action %s %v", p.Src, p.Dst, p.Proto, p.SrcPort, p.DstPort, p.Dir, p.Priority, p.Action, p.Tmpls)
		}
	}
	return err
}

// different says in which lines two dumps differ.
func different(now, before []string) error {
	count := make(map[string]int)
	for _, l := range now {
		count[l]++
	}
	for _, l := range before {
		count[l]--
	}
	var text strings.Builder
	for l, n := range count {
		if n != 0 {
			fmt.Fprintf(&text, "%+d: %s\n", n, l)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return errors.New("what is there has changed:\n" + text.String())
}
