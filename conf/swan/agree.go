package swan

import "github.com/goike/goike/conf"

// agree puts together what the children say about a connection: what the first one says
// is that of the connection, and what another one says is its own.
func (s *scope) agree(c *connection) {
	c.conn.DPDAction, c.conn.Behavior = conf.DPDClear, conf.ResponderOnly
	first := true
	for _, k := range c.children {
		if k.child.Mode.Shunt() {
			s.warnShunt(k)
			continue
		}
		k.closing()
		behavior := k.behavior(c.conn.Gateways)
		if first {
			c.conn.DPDAction, c.conn.Behavior, first = k.dpd, behavior, false
		}
		if k.dpd != c.conn.DPDAction {
			k.child.DPDAction = &k.dpd
		}
		if behavior != c.conn.Behavior {
			k.child.Behavior = &behavior
		}
	}
}

// behavior is what start_action says, if there is a peer to call.
func (k *child) behavior(peer conf.Gateways) conf.Behavior {
	b := k.start.behavior()
	if b != conf.ResponderOnly && !peer.Dialable() {
		k.scope.error(k.scope.place("start_action"), "start_action",
			"start_action of %s needs a peer to call, but remote_addrs names no single one (%s); allowed with it: start_action = none", k.scope.what, peer)
		return conf.ResponderOnly
	}
	return b
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
