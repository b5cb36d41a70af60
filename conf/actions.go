package conf

import "slices"

// BehaviorOf is how a child comes up: as it says itself, or as the connection does.
func (c *Connection) BehaviorOf(child *Child) Behavior {
	if child.Behavior != nil {
		return *child.Behavior
	}
	return c.Behavior
}

// OnlyShunts tells whether a connection has children that make no SAs, and no others: then
// it has no peer, and nobody authenticates.
func (c *Connection) OnlyShunts() bool {
	return len(c.Children) > 0 && !slices.ContainsFunc(c.Children, func(child *Child) bool { return !child.Mode.Shunt() })
}

// Boldest is the behavior of the child that does most by itself, or of a connection
// without children.
func (c *Connection) Boldest() Behavior {
	boldest, none := ResponderOnly, true
	for _, child := range c.Children {
		if !child.Mode.Shunt() {
			boldest, none = min(boldest, c.BehaviorOf(child)), false
		}
	}
	if none {
		return c.Behavior
	}
	return boldest
}

// DPDActionOf is what becomes of a child when the peer is dead: as it says itself, or as
// the connection does.
func (c *Connection) DPDActionOf(child *Child) DPDAction {
	if child.DPDAction != nil {
		return *child.DPDAction
	}
	return c.DPDAction
}

// Restarts tells whether something of the connection is to be set up again when the peer
// is dead.
func (c *Connection) Restarts() bool {
	none := true
	for _, child := range c.Children {
		if child.Mode.Shunt() {
			continue
		}
		if none = false; c.DPDActionOf(child) == DPDRestart {
			return true
		}
	}
	return none && c.DPDAction == DPDRestart
}
