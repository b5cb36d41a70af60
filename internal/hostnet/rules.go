//go:build linux

package hostnet

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// rule is "not fwmark MARK lookup TABLE".
func (r *Routes) rule(family int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Table, rule.Priority, rule.Protocol = family, r.opts.Table, r.opts.RulePriority, protocol
	if r.opts.Mark != 0 {
		mask := ^uint32(0)
		rule.Mark, rule.Mask, rule.Invert = r.opts.Mark, &mask, true
	}
	return rule
}

// removeRules removes the rules of a family that are ours, but not keep.
func (r *Routes) removeRules(family int, keep *netlink.Rule) error {
	var rules []netlink.Rule
	err := whole(func() (err error) {
		rules, err = r.requests.RuleList(family)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the routing rules: %w", err)
	}
	var errs failures
	for _, rule := range rules {
		if rule.Protocol != protocol || rule.Table != r.opts.Table || rule.Family != family || keep != nil && sameRule(&rule, keep) {
			continue
		}
		if err := r.requests.RuleDel(&rule); err != nil && !errors.Is(err, unix.ENOENT) {
			errs.add(fmt.Errorf("removing the routing rule for table %d: %w", r.opts.Table, err))
		}
	}
	return errs.err()
}

// keepRules puts rules back that somebody has removed.
func (r *Routes) keepRules() error {
	var errs failures
	for _, family := range r.families {
		if err := r.requests.RuleAdd(r.rule(family)); err != nil && !errors.Is(err, unix.EEXIST) {
			errs.add(fmt.Errorf("adding the routing rule for table %d: %w", r.opts.Table, err))
		}
	}
	return errs.err()
}

func sameRule(a, b *netlink.Rule) bool {
	return a.Priority == b.Priority && a.Mark == b.Mark && a.Invert == b.Invert && maskOf(a) == maskOf(b) &&
		a.IifName == "" && a.OifName == "" && a.Src == nil && a.Dst == nil
}

func maskOf(rule *netlink.Rule) uint32 {
	if rule.Mask == nil {
		return 0
	}
	return *rule.Mask
}

// dumpTries is how often a list is asked for that changes while it is read.
const dumpTries = 8

// whole repeats a request for a list until it was not changed meanwhile.
func whole(dump func() error) (err error) {
	for range dumpTries {
		if err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return err
		}
	}
	return err
}
