package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike/control"
	"github.com/goike/goike/ike/ts"
)

// trapCommand is what an administrator has said about the policies of a child. It holds
// until the connection is loaded anew.
type trapCommand uint8

const (
	noCommand   trapCommand = iota // the configuration decides
	installed                      // traffic brings it up, whatever the behavior
	uninstalled                    // no policies while it is down
)

// errNoSuchChild is strongSwan's text.
var errNoSuchChild = errors.New("configuration name not found")

// findChild finds a child by its name, in one connection or, when conn is empty, in any.
func (s *Steward) findChild(conn, name string) (*link, *conf.Child, error) {
	for _, l := range s.links {
		if c, ok := l.conn.Child(name); ok && (conn == "" || conn == l.conn.Name) {
			return l, c, nil
		}
	}
	return nil, nil, errNoSuchChild
}

// Install installs the policies of a child. What is there already is a success; those
// that depend on addresses which have to be looked for come as soon as these are known.
func (s *Steward) Install(conn, name string) error {
	l, c, err := s.findChild(conn, name)
	switch {
	case err != nil:
		return err
	case s.stopping:
		return errStopping
	case c.Mode.Shunt():
		if !l.hasPolicies(name) {
			s.shuntChild(l, c)
		}
		if !l.hasPolicies(name) {
			return fmt.Errorf("installing policy '%s' failed", name)
		}
		return nil
	case !l.conn.Gateways.Dialable():
		return fmt.Errorf("installing policy '%s' failed: connection %q has no single remote_gateway to connect to", name, l.conn.Name)
	}
	l.command[name] = installed
	s.trap(l)
	if !dynamic(c) && !l.hasPolicies(name) {
		return fmt.Errorf("installing policy '%s' failed", name)
	}
	s.exclude()
	return nil
}

// Uninstall removes the policies of a child. Those of its SAs stay.
func (s *Steward) Uninstall(conn, name string) error {
	l, c, err := s.findChild(conn, name)
	if err != nil || !l.hasPolicies(name) && (c.Mode.Shunt() || !l.protects(name)) {
		return fmt.Errorf("policy '%s' not found", name)
	}
	if !c.Mode.Shunt() {
		l.command[name] = uninstalled
	}
	s.untrapChild(l, name)
	s.exclude()
	return nil
}

// hasPolicies tells whether policies of the configuration are installed for a child.
func (l *link) hasPolicies(name string) bool {
	full := l.conn.Name + "/" + name
	return slices.ContainsFunc(l.traps, func(p esp.Policy) bool { return p.Name == full })
}

// Policies lists the children with policies of the configuration, in its order.
func (s *Steward) Policies() []control.Policy {
	var out []control.Policy
	for _, l := range s.links {
		for _, c := range l.conn.Children {
			if !l.hasPolicies(c.Name) {
				continue
			}
			var self, remote netip.Addr
			if dynamic(c) {
				self, remote = l.trapsAt.Local.Addr(), l.trapsAt.Remote.Addr()
			}
			out = append(out, control.Policy{
				Conn: l.conn.Name, Child: c.Name, Mode: c.Mode,
				Local: ts.FromConf(c.Local, self), Remote: ts.FromConf(c.Remote, remote),
			})
		}
	}
	return out
}

var errNoSteward = errors.New("the steward does not answer")

// Install implements control.Backend.
func (e *Engine) Install(ctx context.Context, conn, child string) error {
	return e.trapCommand(ctx, func(s *Steward) error { return s.Install(conn, child) })
}

// Uninstall implements control.Backend.
func (e *Engine) Uninstall(ctx context.Context, conn, child string) error {
	return e.trapCommand(ctx, func(s *Steward) error { return s.Uninstall(conn, child) })
}

func (e *Engine) trapCommand(ctx context.Context, do func(*Steward) error) error {
	err, ok := atSteward(ctx, e, do)
	if !ok {
		return errNoSteward
	}
	return err
}

// Policies implements control.Backend.
func (e *Engine) Policies(ctx context.Context) []control.Policy {
	list, _ := atSteward(ctx, e, (*Steward).Policies)
	return list
}
