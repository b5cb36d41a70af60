package swan

import "github.com/goike/goike/conf"

// agree makes one behavior of a connection of what its children say: goike has that for
// all children of a connection.
func (s *scope) agree(c *connection) {
	var first *child
	for _, k := range c.children {
		if k.child.Mode.Shunt() {
			s.warnShunt(k)
			continue
		}
		k.closing()
		if first == nil {
			first = k
			continue
		}
		if k.dpd != first.dpd {
			k.differs("dpd_action", first)
		}
		if k.start.behavior() != first.start.behavior() {
			k.differs("start_action", first)
		}
	}
	c.conn.DPDAction, c.conn.Behavior = conf.DPDClear, conf.ResponderOnly
	if first == nil {
		return
	}
	c.conn.DPDAction, c.conn.Behavior = first.dpd, first.start.behavior()
	if c.conn.Behavior != conf.ResponderOnly && !c.conn.Gateways.Dialable() {
		first.scope.error(first.scope.place("start_action"), "start_action",
			"start_action of %s needs a peer to call, but remote_addrs names no single one (%s); allowed with it: start_action = none", first.scope.what, c.conn.Gateways)
		c.conn.Behavior = conf.ResponderOnly
	}
}

func (a actions) behavior() conf.Behavior {
	switch {
	case a.start:
		return conf.Start
	case a.trap:
		return conf.OnDemand
	}
	return conf.ResponderOnly
}

func (k *child) differs(name string, first *child) {
	k.scope.error(k.scope.place(name), name, "%s of %s is another than that of %s; goike has one for all children of a connection: give them the same, or make another connection",
		name, k.scope.what, first.scope.what)
}

// closing checks close_action: what is started is set up again whenever it ends, and what
// is trapped stays so.
func (k *child) closing() {
	o := k.scope.Option("close_action")
	switch {
	case o == nil || o.text() == "":
	case k.close.start && !k.start.start:
		k.scope.bad(o, "is %s; goike does not set up again what it has not started: use start_action = start", o.text())
	case k.close.trap && k.start == actions{}:
		k.scope.bad(o, "is %s; goike does not trap what was not trapped before: use start_action = trap", o.text())
	case !k.close.start && k.start.start:
		k.scope.warn(o.At, "close_action of %s is %s, but goike sets up again what start_action = start has started, when the peer closes it, too", k.scope.what, o.text())
	}
}

// warnShunt says that policies of mode pass and drop are always installed.
func (s *scope) warnShunt(k *child) {
	if o := k.scope.Option("start_action"); o != nil && k.start == (actions{}) {
		s.warn(o.At, "start_action of %s is none, but goike installs policies of mode %s when they are loaded", k.scope.what, k.child.Mode)
	}
}
