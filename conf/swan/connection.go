package swan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

// The times of an IKE SA that strongSwan has by default.
const defaultRekey = 4 * time.Hour

const maxTries = 1_000_000

// connection is one in the making.
type connection struct {
	conn                      *conf.Connection
	rekey, reauth, over, rand maybe[time.Duration]
	ifIn, ifOut               uint32
	children                  []*child
}

const (
	noCertificates = "goike does not authenticate by certificates or public keys yet: use auth = psk and a secret in secrets.ike"
	noEAP          = "goike does not do EAP or XAuth yet: use auth = psk and a secret in secrets.ike"
	noPPK          = "goike does not do postquantum pre-shared keys (RFC 8784): leave it out, a pre-shared key of 256 random bits in secrets.ike stays"
	noMediation    = "goike does not do the IKEv2 mediation extension: give the peer's address in remote_addrs"
	noVirtual      = "goike does not give or ask for virtual addresses yet: give the host its inner address yourself, and write it into local_ts or remote_ts"
	onlyCerts      = "goike does not use certificates yet"
)

var connectionOptions = []option[*connection]{
	effective("version", readVersion),
	effective("local_addrs", readLocalAddrs),
	effective("remote_addrs", readRemoteAddrs),
	refusing[*connection]("local_port", "goike uses ports 500 and 4500 for all connections: leave it out", "500", "0"),
	effective("remote_port", func(s *scope, o *Option, c *connection) {
		n := uint64(0)
		if s.number(o, 1, 65535, &n) {
			c.conn.RemotePort = uint16(n)
		}
	}),
	effective("proposals", func(s *scope, o *Option, c *connection) { c.conn.Proposals, _ = s.proposals(crypto.IKE, o) }),
	refusing[*connection]("vips", noVirtual),
	refusing[*connection]("aggressive", "goike does not do IKEv1's Aggressive Mode: use version = 2", "no"),
	refusing[*connection]("pull", noVirtual, "yes"),
	refusing[*connection]("dscp", "goike does not set the DSCP of IKE packets: set it with nftables for UDP ports 500 and 4500", "000000"),
	flagged("encap", func(c *connection) *bool { return &c.conn.ForceEncap }),
	flagged("mobike", func(c *connection) *bool { return &c.conn.MOBIKE }),
	effective("dpd_delay", func(s *scope, o *Option, c *connection) {
		d := maybe[time.Duration]{}
		s.time(o, &d)
		c.conn.DPDDelay = d.is
	}),
	idle[*connection]("dpd_timeout", "it is for IKEv1; with IKEv2 a peer is dead when a request has been repeated in vain, as in strongSwan", "0", "0s"),
	effective("fragmentation", readFragmentation),
	effective("childless", func(s *scope, o *Option, c *connection) {
		choose(s, o, &c.conn.Childless, choice[conf.Childless]{"allow", conf.ChildlessAllow}, choice[conf.Childless]{"prefer", conf.ChildlessPrefer},
			choice[conf.Childless]{"force", conf.ChildlessForce}, choice[conf.Childless]{"never", conf.ChildlessNever})
	}),
	idle[*connection]("send_certreq", onlyCerts, "yes"),
	idle[*connection]("send_cert", onlyCerts, "ifasked"),
	refusing[*connection]("ppk_id", noPPK),
	refusing[*connection]("ppk_required", noPPK, "no"),
	effective("keyingtries", func(s *scope, o *Option, c *connection) {
		n := uint64(0)
		if s.number(o, 0, maxTries, &n) {
			c.conn.KeyingTries = int(n) //nolint:gosec // bounded
		}
	}),
	effective("unique", func(s *scope, o *Option, c *connection) {
		choose(s, o, c.conn.UniqueIDs, choice[conf.UniqueIDs]{"no", conf.UniqueNo}, choice[conf.UniqueIDs]{"never", conf.UniqueNever},
			choice[conf.UniqueIDs]{"keep", conf.UniqueKeep}, choice[conf.UniqueIDs]{"replace", conf.UniqueReplace})
	}),
	effective("reauth_time", func(s *scope, o *Option, c *connection) { s.time(o, &c.reauth) }),
	effective("rekey_time", func(s *scope, o *Option, c *connection) { s.time(o, &c.rekey) }),
	effective("over_time", func(s *scope, o *Option, c *connection) { s.time(o, &c.over) }),
	effective("rand_time", func(s *scope, o *Option, c *connection) { s.time(o, &c.rand) }),
	refusing[*connection]("pools", noVirtual),
	effective("if_id_in", func(s *scope, o *Option, c *connection) { s.interfaceID(o, &c.ifIn) }),
	effective("if_id_out", func(s *scope, o *Option, c *connection) { s.interfaceID(o, &c.ifOut) }),
	refusing[*connection]("mediation", noMediation, "no"),
	refusing[*connection]("mediated_by", noMediation),
	refusing[*connection]("mediation_peer", noMediation),
}

// Connection makes a connection of a section of connections, or of what the VICI command
// load-conn loads. An error is of type Errors. What takes more than the connection to
// know is for conf.Validate.
func Connection(name string, s *Section) (*conf.Connection, []Warning, error) {
	r := &report{}
	c := r.connection(name, s)
	conf.SortWarnings(r.warnings)
	if len(r.errs) > 0 {
		return nil, r.warnings, r.errs
	}
	return c, r.warnings, nil
}

func (r *report) connection(name string, sec *Section) *conf.Connection {
	unique := conf.UniqueNo
	c := &connection{conn: conf.DefaultConnection()}
	c.conn.Name, c.conn.Gateways, c.conn.UniqueIDs = name, conf.Gateways{{Any: true}}, &unique
	c.conn.Proposals, c.conn.KeyingTries, c.conn.DPDDelay = crypto.DefaultProposals(crypto.IKE), 1, 0
	s := &scope{report: r, Section: sec, what: "connection " + word(name)}
	fill(s, connectionOptions, c)
	s.parts(c)
	s.times(c)
	for _, k := range c.children {
		k.child.Kernel.IfIDIn, k.child.Kernel.IfIDOut = k.ifIn.or(c.ifIn), k.ifOut.or(c.ifOut)
		c.conn.Children = append(c.conn.Children, k.child)
	}
	s.agree(c)
	return c.conn
}

// parts reads the sections of a connection.
func (s *scope) parts(c *connection) {
	var local, remote *Section
	for _, sub := range s.Sections {
		switch {
		case strings.HasPrefix(sub.Name, "local"):
			s.round(sub, &local, "local", &c.conn.Local)
		case strings.HasPrefix(sub.Name, "remote"):
			s.round(sub, &remote, "remote", &c.conn.Remote)
		case sub.Name == "children":
			kids := &scope{report: s.report, Section: sub, what: "children of " + s.what}
			for _, o := range sub.Options {
				kids.unknown(o, nil)
			}
			for _, k := range sub.Sections {
				c.children = append(c.children, kids.child(s.what, k))
			}
		default:
			s.strange(sub, "local..., remote..., children")
		}
	}
	if len(c.children) > 0 && !slices.ContainsFunc(c.children, tunnels) {
		return // who only passes or drops packets authenticates nobody
	}
	for _, missing := range []struct {
		name string
		sec  *Section
	}{{"local", local}, {"remote", remote}} {
		if missing.sec == nil {
			s.error(s.At, missing.name, "%s has no section %s, which would be authentication by public keys; goike does not do that yet; allowed: %s { auth = psk }", s.what, missing.name, missing.name)
		}
	}
}

func tunnels(k *child) bool { return !k.child.Mode.Shunt() }

// times puts together when an IKE SA is replaced, and when it ends.
func (s *scope) times(c *connection) {
	reauth := c.reauth.is
	rekey := defaultRekey
	if reauth > 0 {
		rekey = 0
	}
	rekey = c.rekey.or(rekey)
	if rekey > 0 && reauth > 0 {
		s.error(s.Option("reauth_time").At, "reauth_time", "%s has a rekey_time and a reauth_time; goike does not do both: leave out rekey_time, which reauthentication does, too", s.what)
		return
	}
	c.conn.Reauthenticate = reauth > 0
	soft := max(rekey, reauth)
	if soft == 0 {
		c.conn.Lifetime, c.conn.Margin = conf.Forever, 0
		return
	}
	over := c.over.or(soft / 10)
	if over > 3*soft {
		s.warn(s.place("over_time"), "over_time of %s is %s; goike ends an IKE SA that cannot be replaced after four times its rekey_time or reauth_time: %s is taken", s.what, conf.FormatDuration(over), conf.FormatDuration(3*soft))
		over = 3 * soft
	}
	jitter := min(c.rand.or(min(over, soft)), soft)
	// The jitter is a part of the margin.
	c.conn.Margin = max(over, time.Second)
	c.conn.Lifetime = soft + c.conn.Margin
	c.conn.RekeyFuzz = int((float64(jitter)*100 + float64(c.conn.Margin) - 1) / float64(c.conn.Margin))
}

// place is where an option stands, or the section.
func (s *scope) place(option string) Pos {
	if o := s.Option(option); o != nil {
		return o.At
	}
	return s.At
}

func readVersion(s *scope, o *Option, c *connection) {
	if o.text() == "1" {
		s.bad(o, "is 1; goike does not do IKEv1 yet: use version = 2, or 0, which is IKEv2 here")
		return
	}
	choose(s, o, &c.conn.Version, choice[conf.Version]{"0", conf.VersionAuto}, choice[conf.Version]{"2", conf.IKEv2})
}

// readLocalAddrs takes one address, or any.
func readLocalAddrs(s *scope, o *Option, c *connection) {
	const allowed = "one address, or %any"
	list := o.list()
	if len(list) > 1 {
		s.bad(o, "has %d addresses; goike does not take several yet: write %s", len(list), allowed)
		return
	}
	if anyAddr(list[0]) {
		return
	}
	addr, err := conf.ParseHostAddr(list[0])
	if err != nil {
		s.bad(o, "%s %s; goike does not take networks and names here: write %s", show(list[0]), err, allowed)
		return
	}
	c.conn.LocalAddr = addr
}

func anyAddr(s string) bool { return s == "%any" || s == "0.0.0.0" || s == "::" }

// readRemoteAddrs takes addresses, host names and networks, or any.
func readRemoteAddrs(s *scope, o *Option, c *connection) {
	const allowed = "addresses, host names and networks in CIDR notation, or %any"
	c.conn.Gateways = nil
	for _, text := range o.list() {
		g, err := gateway(text)
		if err != nil {
			s.bad(o, "%s %s; allowed: %s", show(text), err, allowed)
			continue
		}
		c.conn.Gateways = append(c.conn.Gateways, g)
	}
}

func gateway(text string) (conf.Gateway, error) {
	switch {
	case anyAddr(text):
		return conf.Gateway{Any: true}, nil
	case text == "%any4":
		return conf.Gateway{Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)}, nil
	case text == "%any6":
		return conf.Gateway{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}, nil
	}
	return conf.ParseGateway(text)
}

func readFragmentation(s *scope, o *Option, c *connection) {
	switch strings.ToLower(o.text()) {
	case "accept":
		s.bad(o, "is accept; goike does not announce fragmentation without using it: use yes, or no")
	case "force":
		s.warn(o.At, "fragmentation of %s is force, which is for IKEv1: with IKEv2 it is yes", s.what)
	default:
		choose(s, o, &c.conn.Fragmentation, choice[bool]{"yes", true}, choice[bool]{"no", false})
	}
}

// proposals reads a list of proposals; byDefault tells that it is the default ones.
func (s *scope) proposals(proto crypto.Proto, o *Option) (ps []crypto.Proposal, byDefault bool) {
	list := o.list()
	for _, text := range list {
		if strings.EqualFold(text, "default") {
			ps = append(ps, crypto.DefaultProposals(proto)...)
			continue
		}
		p, err := crypto.ParseProposal(proto, text)
		if err != nil {
			s.bad(o, "%s: %v; allowed: %s", show(text), err, allowedProposals(proto))
			continue
		}
		ps = append(ps, p)
	}
	return ps, len(list) == 1 && strings.EqualFold(list[0], "default")
}

func allowedProposals(proto crypto.Proto) string {
	example := "aes256gcm16-prfsha384-ecp384"
	switch proto {
	case crypto.AH:
		example = "sha256-modp2048"
	case crypto.ESP:
		example = "aes256gcm16-ecp384"
	}
	return fmt.Sprintf(`proposals such as "%s", or "default"`, example)
}
