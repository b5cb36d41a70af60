package toml

import (
	"net/netip"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// phase1 is a connection in the making.
type phase1 struct {
	conn     *conf.Connection
	algs     algorithms
	key      *item // pre_shared_key
	keyFile  *item // pre_shared_key_file
	peerID   bool  // peer_identifier is there
	children []*table
}

const (
	withoutCertificates = `allowed: authentication = "psk" with pre_shared_key`
	allowedAuth         = `"psk"`
	allowedID           = "an address, a host name, user@host, a distinguished name, @#hex"
	allowedLocal        = `an address, the name of an interface, or "any"`
)

var phase1Keys = []key[*phase1]{
	{"name", func(s scope, p *phase1, it *item) { p.conn.Name = s.name(it) }},
	word("key_exchange", func(p *phase1) *conf.Version { return &p.conn.Version },
		served(conf.VersionAuto), later[conf.Version]("ikev1"), served(conf.IKEv2)),
	{"remote_gateway", readGateway},
	{"remote_port", func(s scope, p *phase1, it *item) {
		if n, ok := s.integer(it.name, it.value, 1, 65535, "an integer from 1 to 65535"); ok {
			p.conn.RemotePort = uint16(n)
		}
	}},
	{"local_address", readLocalAddress},
	{"proposals", func(_ scope, p *phase1, it *item) { p.algs.proposals = it }},
	{"encryption", func(_ scope, p *phase1, it *item) { p.algs.encryption = it }},
	{"key_length", func(_ scope, p *phase1, it *item) { p.algs.keyLength = it }},
	{"hash", func(_ scope, p *phase1, it *item) { p.algs.hash = it }},
	{"dh_group", func(_ scope, p *phase1, it *item) { p.algs.group = it }},
	life("lifetime", func(p *phase1) *time.Duration { return &p.conn.Lifetime }),
	{"authentication", readAuth(func(p *phase1, m conf.AuthMethod) { p.conn.Local.Method, p.conn.Remote.Method = m, m })},
	{"local_auth", readAuth(func(p *phase1, m conf.AuthMethod) { p.conn.Local.Method = m })},
	{"remote_auth", readAuth(func(p *phase1, m conf.AuthMethod) { p.conn.Remote.Method = m })},
	{"pre_shared_key", func(_ scope, p *phase1, it *item) { p.key = it }},
	{"pre_shared_key_file", func(_ scope, p *phase1, it *item) { p.keyFile = it }},
	laterText[*phase1]("certificate", false, withoutCertificates),
	laterText[*phase1]("private_key", false, withoutCertificates),
	laterText[*phase1]("ca", true, withoutCertificates),
	laterWord[*phase1]("negotiation_mode", "main", "aggressive"),
	{"identifier", readIdentifier},
	{"peer_identifier", readPeerIdentifier},
	word("connection_behavior", func(p *phase1) *conf.Behavior { return &p.conn.Behavior },
		served(conf.Start, conf.OnDemand, conf.ResponderOnly)),
	flag("force_udp_encapsulation", func(p *phase1) *bool { return &p.conn.ForceEncap }),
	number("keying_tries", 0, 1_000_000, func(p *phase1) *int { return &p.conn.KeyingTries }),
	flag("rekey", func(p *phase1) *bool { return &p.conn.Rekey }),
	span("margintime", 0, func(p *phase1) *time.Duration { return &p.conn.Margin }),
	number("rekey_fuzz", 0, 1000, func(p *phase1) *int { return &p.conn.RekeyFuzz }),
	word("dpd_action", func(p *phase1) *conf.DPDAction { return &p.conn.DPDAction },
		served(conf.DPDRestart, conf.DPDClear, conf.DPDHold, conf.DPDNone)),
	{"dpd_delay", readDPDDelay},
	number("dpd_failures", 1, 100, func(p *phase1) *int { return &p.conn.DPDFailures }),
	flag("mobike", func(p *phase1) *bool { return &p.conn.MOBIKE }),
	flag("fragmentation", func(p *phase1) *bool { return &p.conn.Fragmentation }),
	number("fragment_size", 576, 65535, func(p *phase1) *int { return &p.conn.FragmentSize }),
	flag("reauthenticate", func(p *phase1) *bool { return &p.conn.Reauthenticate }),
	word("childless", func(p *phase1) *conf.Childless { return &p.conn.Childless },
		served(conf.ChildlessAllow, conf.ChildlessPrefer, conf.ChildlessForce, conf.ChildlessNever)),
	flag("follow_redirects", func(p *phase1) *bool { return &p.conn.FollowRedirects }),
	flag("session_resumption", func(p *phase1) *bool { return &p.conn.SessionResumption }),
	word("unique_ids", func(p *phase1) *conf.UniqueIDs {
		p.conn.UniqueIDs = new(conf.UniqueIDs)
		return p.conn.UniqueIDs
	}, served(conf.UniqueReplace), []choice[conf.UniqueIDs]{{word: "replace", is: conf.UniqueReplace}}, served(conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep)),
	{"phase2", func(s scope, p *phase1, it *item) { p.children = s.tables(it, "[[phase1.phase2]]") }},
}

// phase1 reads a connection and its children.
func (r *reader) phase1(i int, from *table) {
	p := &phase1{conn: conf.DefaultConnection()}
	s := scope{reader: r, label: "[[phase1]]", place: conf.Place{Conn: i, Child: -1}}
	r.places[s.at("")] = from.at
	r.conf.Connections = append(r.conf.Connections, p.conn)
	fill(s, phase1Keys, from, p)
	p.conn.Proposals = s.proposals(crypto.IKE, &p.algs)
	p.conn.PSK = s.secret(p.key, p.keyFile)
	if !p.peerID {
		p.conn.Remote.ID = conf.GatewayID(p.conn.Gateways)
	}
	for j, t := range p.children {
		r.phase2(i, j, t, p.conn)
	}
}

// readDPDDelay reads a time of a second or more, or 0s, which is never.
func readDPDDelay(s scope, p *phase1, it *item) {
	d, ok := s.duration(it, 0, false)
	switch {
	case !ok:
	case d > 0 && d < time.Second:
		s.bad(it.name, it.value.at, "is %s; allowed: 1s or longer, or 0s for never", show(it.text))
	default:
		p.conn.DPDDelay = d
	}
}

func (s scope) name(it *item) string {
	text, _ := s.text(it.name, it.value, "a name")
	return text
}

func readGateway(s scope, p *phase1, it *item) {
	list, ok := s.list(it, conf.AllowedGateway)
	if !ok {
		return
	}
	for _, v := range list {
		text, ok := s.text(it.name, v, conf.AllowedGateway)
		if !ok {
			continue
		}
		g, err := conf.ParseGateway(text)
		if err != nil {
			s.bad(it.name, v.at, "%s %s; allowed: %s", show(v.text), err, conf.AllowedGateway)
			continue
		}
		p.conn.Gateways = append(p.conn.Gateways, g)
	}
}

// readLocalAddress takes for the name of an interface what is no address.
func readLocalAddress(s scope, p *phase1, it *item) {
	text, ok := s.text(it.name, it.value, allowedLocal)
	if !ok || conf.IsAny(text) {
		return
	}
	addr, err := conf.ParseHostAddr(text)
	if err == nil {
		p.conn.LocalAddr = addr
		return
	}
	if _, e := netip.ParseAddr(text); e == nil || !interfaceName(text) {
		s.bad(it.name, it.value.at, "%s %s; allowed: %s", show(it.text), err, allowedLocal)
		return
	}
	p.conn.LocalInterface = text
}

// interfaceName tells whether Linux would take the word for the name of an
// interface, and no one for a mistyped address.
func interfaceName(s string) bool {
	return s != "" && len(s) <= 15 && s != "." && s != ".." && !strings.ContainsAny(s, "/: ") && strings.Trim(s, "0123456789.") != ""
}

func readAuth(set func(*phase1, conf.AuthMethod)) func(scope, *phase1, *item) {
	return func(s scope, p *phase1, it *item) {
		text, ok := s.text(it.name, it.value, allowedAuth)
		switch {
		case !ok:
		case text == conf.AuthPSK.String():
			set(p, conf.AuthPSK)
		case text == "pubkey" || strings.HasPrefix(text, "eap-") || strings.HasPrefix(text, "xauth-"):
			s.bad(it.name, it.value.at, "%s is not supported yet; allowed: %s", show(it.text), allowedAuth)
		default:
			s.bad(it.name, it.value.at, "is %s; allowed: %s", show(it.text), allowedAuth)
		}
	}
}

func readIdentifier(s scope, p *phase1, it *item) {
	i, ok := s.identity(it.name, it.value, allowedID)
	if ok && i.Kind == id.Any {
		s.bad(it.name, it.value.at, "is %s, which names no one; allowed: %s, or no identifier for the address in use", show(it.text), allowedID)
	} else if ok && i.IsWildcard() {
		s.bad(it.name, it.value.at, "%s has wildcards, but names this side; allowed: %s", show(it.text), allowedID)
	} else if ok {
		p.conn.Local.ID = i
	}
}

func readPeerIdentifier(s scope, p *phase1, it *item) {
	if i, ok := s.identity(it.name, it.value, allowedID+`, with wildcards, or "%any"`); ok {
		p.conn.Remote.ID = i
	}
	p.peerID = true
}

func (s scope) identity(key string, v value, allowed string) (id.ID, bool) {
	text, ok := s.text(key, v, allowed)
	if !ok {
		return id.ID{}, false
	}
	if text == "" {
		s.bad(key, v.at, "is empty; allowed: %s", allowed)
		return id.ID{}, false
	}
	i, err := id.Parse(text)
	if err != nil {
		s.bad(key, v.at, "cannot be used: %v; allowed: %s", err, allowed)
	}
	return i, err == nil
}
