package toml

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

// phase2 is a child in the making.
type phase2 struct {
	child *conf.Child
	algs  algorithms
	dscp  dscp
	// What the keys say about the replacement of its SAs; nil: as the connection does.
	margin         *time.Duration
	fuzz           *int
	bytes, packets *uint64
}

// dscp is where DSCP is copied to: into the packet that comes out of the tunnel, and
// not to the outer header.
type dscp struct{ in, notOut bool }

var phase2Keys = []key[*phase2]{
	{"name", func(s scope, p *phase2, it *item) { p.child.Name = s.name(it) }},
	{"description", func(s scope, p *phase2, it *item) {
		p.child.Description, _ = s.text(it.name, it.value, "one line of text")
	}},
	word("mode", func(p *phase2) *conf.Mode { return &p.child.Mode },
		served(conf.Tunnel, conf.Transport, conf.BEET, conf.Pass, conf.Drop)),
	{"local_network", readNetworks(func(p *phase2) *[]conf.Selector { return &p.child.Local })},
	{"remote_network", readNetworks(func(p *phase2) *[]conf.Selector { return &p.child.Remote })},
	word("protocol", func(p *phase2) *crypto.Proto { return &p.child.Protocol },
		[]choice[crypto.Proto]{{word: "esp", is: crypto.ESP}, {word: "ah", is: crypto.AH}}),
	life("lifetime", func(p *phase2) *time.Duration { return &p.child.Lifetime }),
	count("lifetime_bytes", func(p *phase2) *uint64 { return &p.child.LifetimeBytes }),
	count("lifetime_packets", func(p *phase2) *uint64 { return &p.child.LifetimePackets }),
	span("margintime", 0, func(p *phase2) *time.Duration {
		p.margin = new(time.Duration)
		return p.margin
	}),
	number("rekey_fuzz", 0, 1000, func(p *phase2) *int {
		p.fuzz = new(int)
		return p.fuzz
	}),
	{"margin_bytes", readMargin(func(p *phase2) **uint64 { return &p.bytes })},
	{"margin_packets", readMargin(func(p *phase2) **uint64 { return &p.packets })},
	word("connection_behavior", func(p *phase2) *conf.Behavior {
		p.child.Behavior = new(conf.Behavior)
		return p.child.Behavior
	}, served(conf.Start, conf.OnDemand, conf.ResponderOnly)),
	word("dpd_action", func(p *phase2) *conf.DPDAction {
		p.child.DPDAction = new(conf.DPDAction)
		return p.child.DPDAction
	}, served(conf.DPDRestart, conf.DPDClear, conf.DPDHold)),
	life("inactivity", func(p *phase2) *time.Duration { return &p.child.Inactivity }),
	{"proposals", func(_ scope, p *phase2, it *item) { p.algs.proposals = it }},
	{"encryption", func(_ scope, p *phase2, it *item) { p.algs.encryption = it }},
	{"key_length", func(_ scope, p *phase2, it *item) { p.algs.keyLength = it }},
	{"hash", func(_ scope, p *phase2, it *item) { p.algs.hash = it }},
	{"dh_group", func(_ scope, p *phase2, it *item) { p.algs.group = it }},
	{"replay_window", func(s scope, p *phase2, it *item) {
		if n, ok := s.integer(it.name, it.value, 0, 1<<31, conf.AllowedWindow); ok {
			p.child.Window = uint32(n)
		}
	}},
	flag("ipcomp", func(p *phase2) *bool { return &p.child.IPComp }),
	mark("mark_in", func(k *conf.Kernel) *conf.Mark { return &k.MarkIn }),
	mark("mark_out", func(k *conf.Kernel) *conf.Mark { return &k.MarkOut }),
	flag("mark_in_sa", func(p *phase2) *bool { return &p.child.Kernel.MarkInSA }),
	mark("set_mark_in", func(k *conf.Kernel) *conf.Mark { return &k.SetMarkIn }),
	mark("set_mark_out", func(k *conf.Kernel) *conf.Mark { return &k.SetMarkOut }),
	number32("if_id_in", math.MaxUint32, func(k *conf.Kernel) *uint32 { return &k.IfIDIn }),
	number32("if_id_out", math.MaxUint32, func(k *conf.Kernel) *uint32 { return &k.IfIDOut }),
	word("hw_offload", func(p *phase2) *conf.Offload { return &p.child.Kernel.Offload },
		served(conf.OffloadNone, conf.OffloadAuto, conf.OffloadCrypto, conf.OffloadPacket)),
	unless("copy_df", func(p *phase2) *bool { return &p.child.Kernel.NoCopyDF }),
	unless("copy_ecn", func(p *phase2) *bool { return &p.child.Kernel.NoCopyECN }),
	word("copy_dscp", func(p *phase2) *dscp { return &p.dscp },
		[]choice[dscp]{{word: "out"}, {word: "in", is: dscp{in: true, notOut: true}}, {word: "yes", is: dscp{in: true}}, {word: "no", is: dscp{notOut: true}}}),
	{"tfc_padding", readPadding},
	number32("priority", conf.MaxPriority, func(k *conf.Kernel) *uint32 { return &k.Priority }),
}

// shuntKeys are the keys that a child has that makes no SAs.
var shuntKeys = []string{
	"name", "description", "mode", "local_network", "remote_network", "mark_in", "mark_out", "if_id_in", "if_id_out", "priority",
}

func (r *reader) phase2(i, j int, from *table, conn *conf.Connection) {
	p := &phase2{child: conf.DefaultChild()}
	s := scope{reader: r, label: "[[phase1.phase2]]", place: conf.Place{Conn: i, Child: j}}
	r.places[s.at("")] = from.at
	conn.Children = append(conn.Children, p.child)
	fill(s, phase2Keys, from, p)
	p.child.Kernel.CopyDSCPIn, p.child.Kernel.NoCopyDSCPOut = p.dscp.in, p.dscp.notOut
	if p.child.Mode.Shunt() {
		s.shunt(p, from)
		return
	}
	p.child.Proposals = s.proposals(p.child.Protocol, &p.algs)
	p.child.DefaultProposals = p.algs.byDefault()
	p.renewal(conn)
}

// renewal puts together when the SAs of a child are replaced, where that differs from what
// the connection says.
func (p *phase2) renewal(conn *conf.Connection) {
	if p.margin == nil && p.fuzz == nil && p.bytes == nil && p.packets == nil {
		return
	}
	as := conn.RenewalOf(p.child)
	r := conf.Renewed(or(p.margin, as.Margin), or(p.bytes, as.BytesMargin), or(p.packets, as.PacketsMargin), or(p.fuzz, conn.RekeyFuzz))
	p.child.Renewal = &r
}

func or[T any](said *T, otherwise T) T {
	if said != nil {
		return *said
	}
	return otherwise
}

func readMargin(into func(*phase2) **uint64) func(scope, *phase2, *item) {
	return func(s scope, p *phase2, it *item) {
		if n, ok := s.integer(it.name, it.value, 0, math.MaxInt64/2, "an integer, 0 or more"); ok {
			u := uint64(n)
			*into(p) = &u
		}
	}
}

// shunt refuses the keys that say something about SAs.
func (s scope) shunt(p *phase2, from *table) {
	for _, it := range from.keys {
		if find(phase2Keys, it.name) != nil && !slices.Contains(shuntKeys, it.name) {
			s.bad(it.name, it.at, "goes not with mode %q, which makes no SAs; allowed: %s", p.child.Mode, strings.Join(shuntKeys, ", "))
		}
	}
	p.child.Lifetime, p.child.Window, p.child.IPComp = conf.Forever, 0, false
}

// compress turns compression on where ipsec.ipcomp wants it and the child does not say
// otherwise.
func (r *reader) compress() {
	for i, conn := range r.conf.Connections {
		for j, c := range conn.Children {
			if _, said := r.places[conf.Place{Conn: i, Child: j, Key: "ipcomp"}]; r.ipcomp && !said && !c.Mode.Shunt() && c.Mode != conf.BEET {
				c.IPComp = true
			}
		}
	}
}

// leastCount is the least that an SA carries in its life: less would keep both sides
// busy with nothing but replacing it.
const leastCount = 1000

// count is a key that is how much an SA carries.
func count(name string, into func(*phase2) *uint64) key[*phase2] {
	allowed := fmt.Sprintf("an integer of at least %d", leastCount)
	return key[*phase2]{name, func(s scope, p *phase2, it *item) {
		if n, ok := s.integer(name, it.value, leastCount, math.MaxInt64, allowed); ok {
			*into(p) = uint64(n)
		}
	}}
}

// mark is a key that is a mark of packets.
func mark(name string, into func(*conf.Kernel) *conf.Mark) key[*phase2] {
	return key[*phase2]{name, func(s scope, p *phase2, it *item) {
		if it.kind == unstable.Integer {
			if n, ok := s.integer(name, it.value, 0, math.MaxUint32, conf.AllowedMark); ok {
				*into(&p.child.Kernel) = conf.Mark{Value: uint32(n), Mask: math.MaxUint32}
			}
			return
		}
		text, ok := s.text(name, it.value, conf.AllowedMark)
		if !ok {
			return
		}
		m, err := conf.ParseMark(text)
		if err != nil {
			s.bad(name, it.value.at, "%s %s; allowed: %s", show(it.text), err, conf.AllowedMark)
			return
		}
		*into(&p.child.Kernel) = m
	}}
}

// number32 is a key that is a number of 32 bits.
func number32(name string, most uint32, into func(*conf.Kernel) *uint32) key[*phase2] {
	allowed := fmt.Sprintf("an integer from 0 to %d", most)
	return key[*phase2]{name, func(s scope, p *phase2, it *item) {
		if n, ok := s.integer(name, it.value, 0, int64(most), allowed); ok {
			*into(&p.child.Kernel) = uint32(n)
		}
	}}
}

// readPadding reads the size up to which packets are padded.
func readPadding(s scope, p *phase2, it *item) {
	const allowed = `an integer from 0 (none) to 65535, or "mtu"`
	if it.kind == unstable.String && string(it.text) == "mtu" {
		p.child.Kernel.TFCPad = conf.MaxTFCPad
		return
	}
	if n, ok := s.integer(it.name, it.value, 0, conf.MaxTFCPad, allowed); ok {
		p.child.Kernel.TFCPad = uint16(n)
	}
}

func readNetworks(into func(*phase2) *[]conf.Selector) func(scope, *phase2, *item) {
	return func(s scope, p *phase2, it *item) {
		values, ok := s.list(it, conf.AllowedNetwork)
		if !ok {
			return
		}
		if len(values) > conf.MaxNetworks {
			s.bad(it.name, it.value.at, "has %d networks; allowed: %d at most", len(values), conf.MaxNetworks)
			return
		}
		for n, v := range values {
			at := s.at(it.name)
			at.Index = n
			s.places[at] = v.at
			if sel, ok := s.network(it.name, v); ok {
				*into(p) = append(*into(p), sel)
			}
		}
	}
}

func (s scope) network(key string, v value) (conf.Selector, bool) {
	if v.kind != unstable.String {
		s.wrongType(key, v, conf.AllowedNetwork)
		return conf.Selector{}, false
	}
	text, dynamic := string(v.text), false
	if rest, is := strings.CutPrefix(text, "dynamic"); is && (rest == "" || rest[0] == '[') {
		text, dynamic = "0.0.0.0"+rest, true
	}
	sel, err := conf.ParseSelector(text)
	if err != nil {
		s.bad(key, v.at, "%s %s; allowed: %s", show(v.text), err, conf.AllowedNetwork)
	}
	if dynamic {
		sel.First, sel.Last = netip.Addr{}, netip.Addr{}
	}
	return sel, err == nil
}
