package engine

import (
	"net/netip"
	"slices"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/esp"
	"github.com/goike/goike/ike"
	"github.com/goike/goike/ike/child"
)

// load takes over a configuration. A connection that reads as before is not
// touched, and one that can take over what changed keeps its IKE SAs.
func (s *Steward) load(now ike.Instant, c *conf.Config) {
	if s.stopping {
		return
	}
	s.loading = true
	defer s.endLoad()
	old := s.byName
	s.conf = c
	s.byName = make(map[string]*link, len(c.Connections))
	links := make([]*link, 0, len(c.Connections))
	var adapting []*link
	for _, conn := range c.Connections {
		l := old[conn.Name]
		verdict := conf.Reauthenticate
		if l != nil {
			verdict = conf.Compare(l.conn, conn).Verdict
		}
		switch verdict {
		case conf.Unchanged:
			l.conn = conn
		case conf.InPlace, conf.RekeyChild:
			adapting = append(adapting, l)
			s.adapt(l, conn)
		default:
			s.lastLink++
			l = newLink(conn, s.lastLink)
		}
		s.byName[conn.Name] = l
		links = append(links, l)
	}
	for _, l := range s.links {
		if s.byName[l.conn.Name] != l {
			s.discard(l)
		}
	}
	known := make(map[*link]bool, len(s.links))
	for _, l := range s.links {
		known[l] = true
	}
	s.links = links
	s.dismissGuests()
	for _, l := range links {
		if !known[l] {
			s.begin(now, l)
		}
	}
	for _, l := range adapting {
		s.resumeAdapted(now, l)
	}
}

// changeTraps changes policies. Those of one load go to the data plane together, when
// it is over: a route that the old and the new configuration both want is never gone
// in between, nor is one that a killed daemon has left and that a connection further
// down wants.
func (s *Steward) changeTraps(ops []esp.Op) {
	if s.loading {
		s.trapOps = append(s.trapOps, ops...)
		return
	}
	s.out.Trap(ops)
}

func (s *Steward) endLoad() {
	s.exclude()
	s.loading = false
	if len(s.trapOps) > 0 {
		s.out.Trap(s.trapOps)
	}
	s.trapOps = nil
}

// discard takes down a connection that is no longer configured as it was.
func (s *Steward) discard(l *link) {
	l.gone = true
	l.keep(nil)
	s.schedule.set(l, ike.Never)
	s.disappoint(l, "the configuration was changed")
	for _, sa := range s.ofLink(l) {
		s.end(sa, ike.Terminate{Why: "the configuration was changed"})
	}
	s.untrap(l)
}

// begin does what a connection wants when it is loaded.
func (s *Steward) begin(now ike.Instant, l *link) {
	s.shunt(l)
	s.trap(l)
	if l.persistent() {
		l.wantAll()
		s.reconcile(now, l)
	}
}

// protects tells whether a child has policies while it is down: so that nothing leaves
// in the clear, and so that traffic can bring it up.
func (l *link) protects(child string) bool {
	if l.isGuest() {
		return false
	}
	switch l.command[child] {
	case installed:
		return true
	case uninstalled:
		return false
	}
	if l.behaviorOf(child) == conf.ResponderOnly && !l.trapped[child] {
		_, single := l.conn.Gateways.Single()
		return single
	}
	return l.conn.Gateways.Dialable()
}

// dynamic tells whether a child's networks depend on the addresses in use.
func dynamic(c *conf.Child) bool { return conf.Dynamic(c.Local) || conf.Dynamic(c.Remote) }

// trap installs the policies of a link as far as its addresses are known, and asks
// for them otherwise.
func (s *Steward) trap(l *link) {
	remote, _ := l.conn.Gateways.Single()
	for _, c := range l.children() {
		if !dynamic(c) && l.lacksTrap(c) {
			s.trapChild(l, c, l.conn.LocalAddr, remote)
		}
	}
	if l.openToClear() && l.stage != locating {
		s.locate(l)
	}
}

// lacksTrap tells whether a child is to have policies and has none.
func (l *link) lacksTrap(c *conf.Child) bool { return l.protects(c.Name) && l.reqIDs[c.Name] == 0 }

// openToClear tells whether policies are missing that depend on the addresses in use.
func (l *link) openToClear() bool {
	return slices.ContainsFunc(l.children(), func(c *conf.Child) bool { return dynamic(c) && l.lacksTrap(c) })
}

// trapAt installs the policies that depend on the addresses in use; without any they
// are looked for again later.
func (s *Steward) trapAt(now ike.Instant, l *link, paths []ike.Path) {
	s.retrap(l, paths)
	if !l.openToClear() {
		return
	}
	if len(paths) == 0 {
		l.nextTrap = now.Add(trapRetry)
		return
	}
	l.trapsAt = paths[0]
	for _, c := range l.children() {
		if dynamic(c) && l.lacksTrap(c) {
			s.trapChild(l, c, paths[0].Local.Addr(), paths[0].Remote.Addr())
		}
	}
	s.exclude()
}

// trapRetry is how soon the addresses for policies are looked for again.
const trapRetry = 30 * time.Second

// seek looks again for the addresses that policies depend on.
func (s *Steward) seek(l *link) {
	l.nextTrap = ike.Never
	if l.openToClear() && l.stage != locating && !l.gone && !s.stopping {
		s.locate(l)
	}
}

// shunt installs the policies of children that make no SAs.
func (s *Steward) shunt(l *link) {
	for _, c := range l.conn.Children {
		if c.Mode.Shunt() {
			s.shuntChild(l, c)
		}
	}
}

func (s *Steward) shuntChild(l *link, c *conf.Child) {
	policies, err := child.Shunt(c, l.conn.Name+"/"+c.Name)
	if err != nil {
		s.say(ike.Warning, l, c.Name, "its networks cannot be passed or dropped: "+err.Error())
		return
	}
	s.install(l, policies)
}

// install installs policies of the configuration.
func (s *Steward) install(l *link, policies []esp.Policy) {
	ops := make([]esp.Op, len(policies))
	for i, p := range policies {
		ops[i] = esp.AddPolicy{Policy: p}
	}
	l.traps = append(l.traps, policies...)
	s.changeTraps(ops)
}

func (s *Steward) trapChild(l *link, c *conf.Child, local, remote netip.Addr) {
	name := l.conn.Name + "/" + c.Name
	reqID := s.nextReqID(name)
	policies, err := child.Trap(c, name, reqID, local, remote)
	if err != nil {
		s.say(ike.Warning, l, c.Name, "its networks cannot be protected while it is down: "+err.Error())
		return
	}
	l.reqIDs[c.Name] = reqID
	s.policies[name] = trapped{link: l, child: c.Name}
	s.install(l, policies)
}

// trapAgain lets traffic ask again for children that it has asked for in vain.
func (s *Steward) trapAgain(l *link, names []string) {
	var ops []esp.Op
	for _, p := range l.traps {
		if t, ok := s.policies[p.Name]; ok && p.Dir == esp.Out && slices.Contains(names, t.child) {
			ops = append(ops, esp.AddPolicy{Policy: p})
		}
	}
	if len(ops) > 0 {
		s.changeTraps(ops)
	}
}

// untrap removes the policies of a link.
func (s *Steward) untrap(l *link) {
	for name, t := range s.policies {
		if t.link == l {
			delete(s.policies, name)
		}
	}
	if len(l.traps) == 0 {
		return
	}
	ops := make([]esp.Op, len(l.traps))
	for i, p := range l.traps {
		ops[i] = esp.DelPolicy{Policy: p}
	}
	l.traps = nil
	s.changeTraps(ops)
}

// untrapChild removes the policies of one child of a link.
func (s *Steward) untrapChild(l *link, name string) {
	full := l.conn.Name + "/" + name
	delete(s.policies, full)
	delete(l.reqIDs, name)
	var ops []esp.Op
	l.traps = slices.DeleteFunc(slices.Clone(l.traps), func(p esp.Policy) bool {
		if p.Name == full {
			ops = append(ops, esp.DelPolicy{Policy: p})
		}
		return p.Name == full
	})
	if len(ops) > 0 {
		s.changeTraps(ops)
	}
}

// acquired sets up the child that traffic asks for; one negotiation serves however
// many packets ask.
func (s *Steward) acquired(now ike.Instant, a esp.Acquire) {
	t, ok := s.policies[a.Policy]
	if !ok || s.stopping {
		return
	}
	l := t.link
	asked := l.command[t.child] == installed
	waits := l.behaviorOf(t.child) == conf.ResponderOnly && !l.trapped[t.child] || l.held
	if waits && !asked || l.up[t.child] > 0 || l.want[t.child] {
		return
	}
	l.demand(t.child)
	if a.Packet.Src.IsValid() {
		l.packets[t.child] = a.Packet
	}
	s.reconcile(now, l)
}
