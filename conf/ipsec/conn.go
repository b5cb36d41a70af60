package ipsec

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

// reading is a connection in the making.
type reading struct {
	*loader
	sec   *section
	given map[string]setting
	used  map[string]bool
	conn  *conf.Connection
	child *conf.Child
	// apart: each pair of networks is a tunnel of its own, which leftsubnets asks for.
	apart bool
}

// connection reads a conn.
func (l *loader) connection(s *section) {
	r := &reading{loader: l, sec: s, given: l.effective(s), used: make(map[string]bool), conn: conf.DefaultConnection(), child: conf.DefaultChild()}
	auto, loaded := r.auto()
	if !loaded {
		l.warn(s.at, "conn %s is left out: auto is %s, so that nothing loads it", word(s.name), word(auto))
		return
	}
	r.conn.Name, r.child.Name = s.name, s.name
	r.conn.Children = []*conf.Child{r.child}
	r.mode()
	r.ends()
	r.version()
	if !r.child.Mode.Shunt() {
		r.authentication()
	}
	r.get("authby", "leftauth", "rightauth") // a shunt authenticates nobody
	r.algorithms()
	r.times()
	r.liveness()
	r.flags()
	r.rest()
	r.conn.Children = r.children()
	if len(l.errs) == 0 {
		l.merge(r.conn, s.at)
	}
}

// get returns a setting by one of its names.
func (r *reading) get(names ...string) (setting, bool) {
	var found setting
	ok := false
	for _, name := range names {
		r.used[name] = true
		if x, there := r.given[name]; there && !ok && x.value != "" {
			found, ok = x, true
		}
	}
	return found, ok
}

func (r *reading) bad(x setting, allowed string) {
	r.error(x.at, "%s of conn %s is %s; allowed: %s", x.key, word(r.sec.name), word(x.value), allowed)
}

// yes reads a setting that is yes or no.
func (r *reading) yes(otherwise bool, names ...string) bool {
	x, ok := r.get(names...)
	if !ok {
		return otherwise
	}
	switch strings.ToLower(x.value) {
	case "yes", "true", "1", "on":
		return true
	case "no", "false", "0", "off":
		return false
	}
	r.bad(x, "yes, no")
	return otherwise
}

// period reads a time: seconds, or a number with s, m, h or d.
func (r *reading) period(otherwise time.Duration, names ...string) time.Duration {
	x, ok := r.get(names...)
	if !ok {
		return otherwise
	}
	text := strings.ToLower(x.value)
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := conf.ParseDuration(text)
	if err != nil {
		r.bad(x, "a number of seconds, or such as 90s, 9m, 3h, 2d")
		return otherwise
	}
	return d
}

func (r *reading) number(otherwise, most uint64, names ...string) uint64 {
	x, ok := r.get(names...)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(x.value, "%"), 0, 64)
	if err != nil || n > most {
		r.bad(x, "a number up to "+strconv.FormatUint(most, 10))
		return otherwise
	}
	return n
}

// auto is what a connection does when it is loaded.
func (r *reading) auto() (value string, loaded bool) {
	x, ok := r.get("auto")
	if !ok {
		x.value = "ignore"
	}
	switch x.value {
	case "add", "keep":
		r.conn.Behavior = conf.ResponderOnly
	case "route", "ondemand":
		r.conn.Behavior = conf.OnDemand
	case "start", "up":
		r.conn.Behavior = conf.Start
	case "ignore":
		return x.value, false
	default:
		r.bad(x, "ignore, add, route, ondemand, start")
	}
	return x.value, true
}

// version reads which version of IKE is spoken.
func (r *reading) version() {
	if x, ok := r.get("keyexchange"); ok {
		switch x.value {
		case "ike":
		case "ikev2":
			r.conn.Version = conf.IKEv2
		case "ikev1":
			r.bad(x, "ikev2, or ike; goike does not do IKEv1 yet")
		default:
			r.bad(x, "ike, ikev2")
		}
	}
	if x, ok := r.get("ikev2"); ok {
		switch x.value {
		case "yes", "insist":
			r.conn.Version = conf.IKEv2
		case "propose", "permit":
		default:
			r.bad(x, "yes, insist; goike does not do IKEv1 yet")
		}
	} else if r.libreswan {
		r.conn.Version = conf.IKEv2
	}
	if x, ok := r.get("aggressive", "aggrmode"); ok && x.value != "no" {
		r.bad(x, "no; goike does not do IKEv1's aggressive mode")
	}
}

// authentication takes pre-shared keys, which is all that goike does yet.
func (r *reading) authentication() {
	allowed := "secret; goike does not authenticate by certificates, EAP or XAUTH yet"
	by, said := r.get("authby")
	for _, prefix := range []string{"left", "right"} {
		x, ok := r.get(prefix + "auth")
		if !ok {
			x, ok = by, said
		}
		switch {
		case !ok:
			r.error(r.sec.at, "conn %s has no authby, which would be authentication by public keys; allowed: authby=secret; goike does not do others yet", word(r.sec.name))
			return
		case x.value != "secret" && x.value != "psk":
			r.bad(x, allowed)
			return
		}
	}
}

func (r *reading) mode() {
	x, _ := r.get("type")
	switch x.value {
	case "", "tunnel":
	case "transport":
		r.child.Mode = conf.Transport
	case "passthrough", "pass":
		r.child.Mode = conf.Pass
	case "drop", "reject":
		r.child.Mode = conf.Drop
	case "transport_proxy":
		r.bad(x, "tunnel, transport; goike does not do Mobile IPv6")
	default:
		r.bad(x, "tunnel, transport, passthrough, drop")
	}
}

func (r *reading) algorithms() {
	r.conn.Proposals = crypto.DefaultProposals(crypto.IKE)
	if x, ok := r.get("ike"); ok {
		r.conn.Proposals = r.proposals(x, crypto.IKE)
	}
	proto := crypto.ESP
	x, ok := r.get("esp", "phase2alg")
	if ah, is := r.get("ah"); is {
		proto, x, ok = crypto.AH, ah, true
	}
	if kind, is := r.get("phase2"); is && kind.value == "ah" {
		proto = crypto.AH
	}
	r.child.Protocol = proto
	r.child.Proposals, r.child.DefaultProposals = crypto.DefaultProposals(proto), !ok
	if ok {
		r.child.Proposals = r.proposals(x, proto)
	}
	r.secrecy()
}

// secrecy gives the child a key exchange group where libreswan's pfs, which is on by
// default, wants one.
func (r *reading) secrecy() {
	group, hasGroup := r.get("pfsgroup")
	if !r.libreswan && !hasGroup {
		r.get("pfs")
		return
	}
	if !r.yes(true, "pfs") {
		return
	}
	groups := []crypto.Alg{}
	if hasGroup {
		if p, err := crypto.ParseProposal(crypto.ESP, "aes128gcm16-"+libreswanGroup(group.value)); err == nil {
			groups = p.Of(crypto.KE)
		} else {
			r.bad(group, "a group such as modp2048")
		}
	} else if len(r.conn.Proposals) > 0 {
		groups = r.conn.Proposals[0].Of(crypto.KE) // those of phase 1
	}
	for i, p := range r.child.Proposals {
		if len(p.Of(crypto.KE)) == 0 {
			p.Algs = append(append([]crypto.Alg{}, p.Algs...), groups...)
			r.child.Proposals[i] = p
		}
	}
	r.child.DefaultProposals = false
}

func (r *reading) times() {
	ike, child, tries := 3*time.Hour, time.Hour, uint64(3)
	if r.libreswan {
		ike, child, tries = 8*time.Hour, 8*time.Hour, 0
	}
	r.conn.Lifetime = r.period(ike, "ikelifetime")
	r.child.Lifetime = r.period(child, "lifetime", "keylife", "salifetime")
	r.conn.Margin = r.period(conf.DefaultMargin, "margintime", "rekeymargin")
	r.conn.RekeyFuzz = int(r.number(conf.DefaultRekeyFuzz, 1000, "rekeyfuzz")) //nolint:gosec // bounded
	r.conn.Rekey = r.yes(true, "rekey")
	r.conn.Reauthenticate = r.yes(!r.libreswan, "reauth") && r.conn.Rekey
	if x, ok := r.get("keyingtries"); ok && (x.value == "%forever" || x.value == "0") {
		tries = 0
	} else if ok {
		tries = r.number(tries, 1_000_000, "keyingtries")
	}
	r.conn.KeyingTries = int(tries) //nolint:gosec // bounded
	r.child.LifetimeBytes = r.number(0, math.MaxInt64, "lifebytes")
	r.child.LifetimePackets = r.number(0, math.MaxInt64, "lifepackets")
	as := r.conn.RenewalOf(r.child)
	bytes, packets := r.number(as.BytesMargin, math.MaxInt64/2, "marginbytes"), r.number(as.PacketsMargin, math.MaxInt64/2, "marginpackets")
	if bytes != as.BytesMargin || packets != as.PacketsMargin {
		own := conf.Renewed(r.conn.Margin, bytes, packets, r.conn.RekeyFuzz)
		r.child.Renewal = &own
	}
	r.child.Inactivity = r.period(conf.Forever, "inactivity")
}

func (r *reading) liveness() {
	r.conn.DPDAction = conf.DPDNone
	delay := r.period(conf.DefaultDPDDelay, "dpddelay")
	_, delayed := r.given["dpddelay"]
	if r.libreswan && delayed {
		r.conn.DPDAction = conf.DPDHold
	}
	if x, ok := r.get("dpdaction"); ok {
		action, known := map[string]conf.DPDAction{
			"none": conf.DPDNone, "clear": conf.DPDClear, "hold": conf.DPDHold, "trap": conf.DPDHold, "restart": conf.DPDRestart, "start": conf.DPDRestart,
		}[x.value]
		if !known {
			r.bad(x, "none, clear, hold, restart")
		}
		r.conn.DPDAction = action
	}
	r.conn.DPDDelay = delay
	if x, ok := r.get("closeaction"); ok && x.value != "none" && x.value != "restart" && x.value != "start" {
		r.warn(x.at, "closeaction of conn %s is %s; goike sets up again what it has started when the peer closes it, and traps what it has trapped", word(r.sec.name), word(x.value))
	}
}

func (r *reading) flags() {
	r.conn.MOBIKE = r.yes(!r.libreswan, "mobike")
	r.child.IPComp = r.yes(false, "compress")
	r.conn.ForceEncap = r.yes(false, "forceencaps")
	if x, ok := r.get("encapsulation"); ok && x.value != "auto" {
		r.conn.ForceEncap = r.yes(false, "encapsulation")
	}
	if x, ok := r.get("fragmentation"); ok && x.value != "force" && x.value != "accept" {
		r.conn.Fragmentation = r.yes(true, "fragmentation")
	}
	window := r.number(conf.DefaultWindow, 4096, "replay_window", "replay-window")
	if window > 0 && window < 32 {
		window = 32
	}
	r.child.Window = uint32(window) //nolint:gosec // bounded
	k := &r.child.Kernel
	for _, m := range []struct {
		name string
		into []*conf.Mark
	}{{"mark", []*conf.Mark{&k.MarkIn, &k.MarkOut}}, {"mark_in", []*conf.Mark{&k.MarkIn}}, {"mark-in", []*conf.Mark{&k.MarkIn}}, {"mark_out", []*conf.Mark{&k.MarkOut}}, {"mark-out", []*conf.Mark{&k.MarkOut}}} {
		x, ok := r.get(m.name)
		if !ok {
			continue
		}
		mark, err := conf.ParseMark(x.value)
		if err != nil {
			r.error(x.at, "%s of conn %s: %s %v; allowed: %s", x.key, word(r.sec.name), word(x.value), err, conf.AllowedMark)
		}
		for _, into := range m.into {
			*into = mark
		}
	}
	k.Priority = uint32(r.number(0, conf.MaxPriority, "priority")) //nolint:gosec // bounded
	if x, ok := r.get("tfc"); ok && x.value == "%mtu" {
		k.TFCPad = conf.MaxTFCPad
	} else {
		k.TFCPad = uint16(r.number(0, conf.MaxTFCPad-1, "tfc")) //nolint:gosec // bounded
	}
	if r.child.Mode.Shunt() {
		*r.child = conf.Child{
			Name: r.child.Name, Mode: r.child.Mode, Local: r.child.Local, Remote: r.child.Remote, Protocol: crypto.ESP,
			Kernel: conf.Kernel{MarkIn: k.MarkIn, MarkOut: k.MarkOut, Priority: k.Priority},
		}
	}
}
