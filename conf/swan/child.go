package swan

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

// child is one in the making.
type child struct {
	child          *conf.Child
	scope          *scope
	esp, ah        *Option
	time           limits[time.Duration]
	bytes, packets limits[uint64]
	sameIn         bool // set_mark_in is that of mark_in
	sameOut        bool
	dscp           dscp
	ifIn, ifOut    maybe[uint32]
	start          actions
	close          actions
	dpd            conf.DPDAction
}

// limits are when an SA is replaced, when it ends, and how much earlier it is replaced at
// random.
type limits[T any] struct{ rekey, life, rand maybe[T] }

// actions are the words of start_action and close_action.
type actions struct{ trap, start bool }

// dscp is where DSCP is copied to: into the packet that comes out of the tunnel, and not
// to the outer header.
type dscp struct{ in, notOut bool }

var childOptions = []option[*child]{
	effective("ah_proposals", func(_ *scope, o *Option, c *child) { c.ah = o }),
	effective("esp_proposals", func(_ *scope, o *Option, c *child) { c.esp = o }),
	refusing[*child]("sha256_96", "goike does not cut SHA-256 to 96 bits: propose another integrity algorithm, such as sha384 or sha1", "no"),
	effective("local_ts", func(s *scope, o *Option, c *child) { c.child.Local = s.selectors(o) }),
	effective("remote_ts", func(s *scope, o *Option, c *child) { c.child.Remote = s.selectors(o) }),
	effective("rekey_time", func(s *scope, o *Option, c *child) { s.time(o, &c.time.rekey) }),
	effective("life_time", func(s *scope, o *Option, c *child) { s.time(o, &c.time.life) }),
	effective("rand_time", func(s *scope, o *Option, c *child) { s.time(o, &c.time.rand) }),
	effective("rekey_bytes", func(s *scope, o *Option, c *child) { s.bytes(o, &c.bytes.rekey) }),
	effective("life_bytes", func(s *scope, o *Option, c *child) { s.bytes(o, &c.bytes.life) }),
	effective("rand_bytes", func(s *scope, o *Option, c *child) { s.bytes(o, &c.bytes.rand) }),
	effective("rekey_packets", func(s *scope, o *Option, c *child) { s.packets(o, &c.packets.rekey) }),
	effective("life_packets", func(s *scope, o *Option, c *child) { s.packets(o, &c.packets.life) }),
	effective("rand_packets", func(s *scope, o *Option, c *child) { s.packets(o, &c.packets.rand) }),
	refusing[*child]("updown", "goike does not run scripts: routes are installed (network.install_routes), and what happens is told to control clients (swanctl --monitor-sa)"),
	idle[*child]("hostaccess", "it is for the updown script, which goike does not run", "no"),
	effective("mode", readMode),
	refusing[*child]("policies", "goike does not leave out policies: it installs those of each tunnel, use if_id_in and if_id_out to keep traffic from them", "yes"),
	refusing[*child]("policies_fwd_out", "goike does not install outbound forward policies: narrow the policy of mode drop that would need them", "no"),
	effective("dpd_action", func(s *scope, o *Option, c *child) {
		choose(s, o, &c.dpd, choice[conf.DPDAction]{"clear", conf.DPDClear}, choice[conf.DPDAction]{"none", conf.DPDClear}, choice[conf.DPDAction]{"trap", conf.DPDHold},
			choice[conf.DPDAction]{"restart", conf.DPDRestart}, choice[conf.DPDAction]{"start", conf.DPDRestart})
	}),
	flagged("ipcomp", func(c *child) *bool { return &c.child.IPComp }),
	effective("inactivity", func(s *scope, o *Option, c *child) {
		d := maybe[time.Duration]{}
		s.time(o, &d)
		c.child.Inactivity = d.is
	}),
	refusing[*child]("reqid", "goike does not take request IDs: it gives each child one that stays the same as long as its configuration does, ip xfrm policy shows it", "0"),
	effective("priority", func(s *scope, o *Option, c *child) {
		n := uint64(0)
		if s.number(o, 0, conf.MaxPriority, &n) {
			c.child.Kernel.Priority = uint32(n)
		}
	}),
	refusing[*child]("interface", "goike does not tie policies to a network interface: use if_id_in and if_id_out with an XFRM interface"),
	effective("mark_in", func(s *scope, o *Option, c *child) { s.mark(o, &c.child.Kernel.MarkIn) }),
	flagged("mark_in_sa", func(c *child) *bool { return &c.child.Kernel.MarkInSA }),
	effective("mark_out", func(s *scope, o *Option, c *child) { s.mark(o, &c.child.Kernel.MarkOut) }),
	effective("set_mark_in", func(s *scope, o *Option, c *child) {
		if c.sameIn = o.text() == "%same"; !c.sameIn {
			s.mark(o, &c.child.Kernel.SetMarkIn)
		}
	}),
	effective("set_mark_out", func(s *scope, o *Option, c *child) {
		if c.sameOut = o.text() == "%same"; !c.sameOut {
			s.mark(o, &c.child.Kernel.SetMarkOut)
		}
	}),
	effective("if_id_in", func(s *scope, o *Option, c *child) {
		c.ifIn.set = true
		s.interfaceID(o, &c.ifIn.is)
	}),
	effective("if_id_out", func(s *scope, o *Option, c *child) {
		c.ifOut.set = true
		s.interfaceID(o, &c.ifOut.is)
	}),
	refusing[*child]("label", "goike does not do security labels: leave it out"),
	refusing[*child]("label_mode", "goike does not do security labels: leave it out", "system"),
	effective("tfc_padding", readPadding),
	effective("replay_window", readWindow),
	effective("hw_offload", func(s *scope, o *Option, c *child) {
		choose(s, o, &c.child.Kernel.Offload, choice[conf.Offload]{"no", conf.OffloadNone}, choice[conf.Offload]{"yes", conf.OffloadCrypto},
			choice[conf.Offload]{"auto", conf.OffloadAuto}, choice[conf.Offload]{"crypto", conf.OffloadCrypto}, choice[conf.Offload]{"packet", conf.OffloadPacket})
	}),
	effective("copy_df", func(s *scope, o *Option, c *child) { s.unless(o, &c.child.Kernel.NoCopyDF) }),
	effective("copy_ecn", func(s *scope, o *Option, c *child) { s.unless(o, &c.child.Kernel.NoCopyECN) }),
	effective("copy_dscp", func(s *scope, o *Option, c *child) {
		choose(s, o, &c.dscp, choice[dscp]{"out", dscp{}}, choice[dscp]{"in", dscp{true, true}}, choice[dscp]{"yes", dscp{in: true}}, choice[dscp]{"no", dscp{notOut: true}})
	}),
	effective("start_action", func(s *scope, o *Option, c *child) { s.actions(o, &c.start) }),
	effective("close_action", func(s *scope, o *Option, c *child) { s.actions(o, &c.close) }),
}

func (s *scope) child(conn string, sec *Section) *child {
	c := &child{child: conf.DefaultChild(), dpd: conf.DPDClear}
	c.child.Name = sec.Name
	c.scope = &scope{report: s.report, Section: sec, what: "child " + word(sec.Name) + " of " + conn}
	fill(c.scope, childOptions, c)
	c.scope.noSections()
	k := &c.child.Kernel
	k.CopyDSCPIn, k.NoCopyDSCPOut = c.dscp.in, c.dscp.notOut
	if c.sameIn {
		k.SetMarkIn = conf.Mark{Value: k.MarkIn.Value, Mask: math.MaxUint32}
	}
	if c.sameOut {
		k.SetMarkOut = conf.Mark{Value: k.MarkOut.Value, Mask: math.MaxUint32}
	}
	c.networks()
	if c.child.Mode.Shunt() {
		c.shunt()
		return c
	}
	c.algorithms()
	c.lives()
	return c
}

// networks puts the address in use where nothing is configured.
func (c *child) networks() {
	for _, list := range []*[]conf.Selector{&c.child.Local, &c.child.Remote} {
		plain := len(*list) == 1 && (*list)[0] == conf.Selector{PortLast: math.MaxUint16}
		switch {
		case c.child.Mode == conf.Transport && plain:
			*list = nil
		case c.child.Mode != conf.Transport && len(*list) == 0:
			*list = []conf.Selector{{PortLast: math.MaxUint16}}
		}
	}
}

// shuntOptions are those that say something about a child that makes no SAs.
const shuntOptions = " mode local_ts remote_ts mark_in mark_out if_id_in if_id_out priority start_action "

// shunt leaves out what is about SAs.
func (c *child) shunt() {
	for _, o := range c.scope.Options {
		if !strings.Contains(shuntOptions, " "+o.Name+" ") {
			c.scope.warn(o.At, "%s in %s has no effect: mode %s makes no SAs", o.Name, c.scope.what, c.child.Mode)
		}
	}
	for _, side := range []struct {
		name string
		list []conf.Selector
	}{{"local_ts", c.child.Local}, {"remote_ts", c.child.Remote}} {
		if conf.Dynamic(side.list) {
			c.scope.error(c.scope.place(side.name), side.name, "%s of %s is dynamic, but mode is %s, for which no address is in use; allowed: networks", side.name, c.scope.what, c.child.Mode)
		}
	}
	k := &c.child.Kernel
	*c.child = conf.Child{
		Name: c.child.Name, Mode: c.child.Mode, Local: c.child.Local, Remote: c.child.Remote, Protocol: crypto.ESP,
		Kernel: conf.Kernel{MarkIn: k.MarkIn, MarkOut: k.MarkOut, Priority: k.Priority},
	}
}

func (c *child) algorithms() {
	switch {
	case c.ah != nil && c.esp != nil:
		c.scope.bad(c.ah, "stands beside esp_proposals; goike does not offer a choice of the two: keep one of them")
	case c.ah != nil:
		c.child.Protocol = crypto.AH
		c.child.Proposals, c.child.DefaultProposals = c.scope.proposals(crypto.AH, c.ah)
	case c.esp != nil:
		c.child.Proposals, c.child.DefaultProposals = c.scope.proposals(crypto.ESP, c.esp)
	default:
		c.child.Proposals, c.child.DefaultProposals = crypto.DefaultProposals(crypto.ESP), true
	}
}

func readMode(s *scope, o *Option, c *child) {
	if strings.EqualFold(o.text(), "transport_proxy") {
		s.bad(o, "is transport_proxy; goike does not do Mobile IPv6: use tunnel or transport")
		return
	}
	choose(s, o, &c.child.Mode, choice[conf.Mode]{"tunnel", conf.Tunnel}, choice[conf.Mode]{"transport", conf.Transport}, choice[conf.Mode]{"beet", conf.BEET},
		choice[conf.Mode]{"pass", conf.Pass}, choice[conf.Mode]{"drop", conf.Drop})
}

// readWindow reads a replay window. The kernel's smallest one is 32.
func readWindow(s *scope, o *Option, c *child) {
	n := uint64(0)
	if !s.number(o, 0, 4096, &n) {
		return
	}
	if n > 0 && n < 32 {
		s.warn(o.At, "replay_window of %s is %d; goike's smallest window is 32, which is used", s.what, n)
		n = 32
	}
	c.child.Window = uint32(n)
}

func readPadding(s *scope, o *Option, c *child) {
	if o.text() == "mtu" {
		c.child.Kernel.TFCPad = conf.MaxTFCPad
		return
	}
	n := uint64(0)
	if s.number(o, 0, conf.MaxTFCPad-1, &n) {
		c.child.Kernel.TFCPad = uint16(n)
	}
}

// unless reads what the model has the other way round.
func (s *scope) unless(o *Option, into *bool) {
	yes := true
	s.flag(o, &yes)
	*into = !yes
}

// actions reads one word, or trap and start with a | between them.
func (s *scope) actions(o *Option, into *actions) {
	for text := range strings.SplitSeq(o.text(), "|") {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "none", "clear":
		case "trap", "route":
			into.trap = true
		case "start", "restart":
			into.start = true
		default:
			s.bad(o, "is %s; allowed: none, trap, start, trap|start", show(o.text()))
			return
		}
	}
}

const allowedSelector = "networks, ranges, addresses or dynamic, perhaps with protocol and port such as [tcp/443]"

// selectors reads traffic selectors.
func (s *scope) selectors(o *Option) []conf.Selector {
	list := o.list()
	if len(list) > conf.MaxNetworks {
		s.bad(o, "has %d networks; allowed: %d at most", len(list), conf.MaxNetworks)
		return nil
	}
	var out []conf.Selector
	dynamic := 0
	for _, text := range list {
		rest, is := strings.CutPrefix(text, "dynamic")
		if is = is && (rest == "" || rest[0] == '['); is {
			text = "0.0.0.0" + rest
		} else {
			text = s.masked(o, text)
		}
		sel, err := conf.ParseSelector(text)
		if err != nil {
			s.bad(o, "%s %s; allowed: %s", show(text), err, allowedSelector)
			continue
		}
		if is {
			dynamic++
			sel.First, sel.Last = netip.Addr{}, netip.Addr{}
		}
		out = append(out, sel)
	}
	if dynamic > 0 && dynamic < len(list) {
		s.bad(o, "holds dynamic beside networks; goike does not do both in one child: make a child for each")
	}
	return out
}

// masked takes the host bits off a network, as strongSwan does.
func (s *scope) masked(o *Option, text string) string {
	network, rest, cut := strings.Cut(text, "[")
	p, err := netip.ParsePrefix(strings.TrimSpace(network))
	if err != nil || p == p.Masked() {
		return text
	}
	s.warn(o.At, "%s of %s holds %s: that is taken for the network %s, as in strongSwan", o.Name, s.what, p, p.Masked())
	if cut {
		rest = "[" + rest
	}
	return p.Masked().String() + rest
}
