package swan

import (
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
)

// round is the authentication of one side in the making.
type round struct {
	auth   *conf.Auth
	method *Option
	own    bool
}

const allowedID = "an address, a domain name, an email address, a distinguished name, @#hex, or a type and a value such as keyid:name"

var localOptions = []option[*round]{
	idle[*round]("round", "there is one round", "0", "1"),
	refusing[*round]("certs", noCertificates),
	refusing[*round]("pubkeys", noCertificates),
	effective("auth", func(_ *scope, o *Option, r *round) { r.method = o }),
	effective("id", readID),
	refusing[*round]("eap_id", noEAP),
	refusing[*round]("aaa_id", noEAP),
	refusing[*round]("xauth_id", noEAP),
}

var remoteOptions = []option[*round]{
	idle[*round]("round", "there is one round", "0", "1"),
	effective("id", readID),
	refusing[*round]("eap_id", noEAP),
	refusing[*round]("groups", "goike does not know authorization groups yet: tell peers apart by id"),
	refusing[*round]("cert_policy", noCertificates),
	refusing[*round]("certs", noCertificates),
	refusing[*round]("cacerts", noCertificates),
	refusing[*round]("ca_id", noCertificates),
	refusing[*round]("pubkeys", noCertificates),
	idle[*round]("revocation", onlyCerts, "relaxed"),
	effective("auth", func(_ *scope, o *Option, r *round) { r.method = o }),
}

// certOptions are those of the sections that name a certificate.
var certOptions = []option[*round]{
	refusing[*round]("file", noCertificates), refusing[*round]("handle", noCertificates),
	refusing[*round]("slot", noCertificates), refusing[*round]("module", noCertificates),
}

// round reads a section local... or remote...; first is the one that came before.
func (s *scope) round(sec *Section, first **Section, side string, auth *conf.Auth) {
	what := side + " of " + s.what
	if *first != nil {
		s.error(sec.At, sec.Name, "%s has a second round of authentication, %s; goike does not do several: keep one section %s", what, word(sec.Name), side)
		return
	}
	*first = sec
	r := &round{auth: auth, own: side == "local"}
	in := &scope{report: s.report, Section: sec, what: what}
	prefixes, table := []string{"cert"}, localOptions
	if !r.own {
		prefixes, table = []string{"cert", "cacert"}, remoteOptions
	}
	fill(in, table, r)
	in.method(r)
	for _, sub := range sec.Sections {
		in.certificate(sub, prefixes, r)
	}
}

func (s *scope) certificate(sub *Section, prefixes []string, r *round) {
	for _, p := range prefixes {
		if strings.HasPrefix(sub.Name, p) {
			fill(&scope{report: s.report, Section: sub, what: word(sub.Name) + " of " + s.what}, certOptions, r)
			return
		}
	}
	s.strange(sub, strings.Join(prefixes, "..., ")+"...")
}

// method reads auth, which is pubkey where there is none.
func (s *scope) method(r *round) {
	if r.method == nil {
		s.error(s.At, "auth", "%s has no auth, which would be pubkey; %s", s.what, noCertificates)
		return
	}
	switch text := strings.ToLower(r.method.text()); {
	case text == "psk":
		r.auth.Method = conf.AuthPSK
	case strings.HasPrefix(text, "eap"), strings.HasPrefix(text, "xauth"):
		s.bad(r.method, "is %s; %s", show(text), noEAP)
	default:
		s.bad(r.method, "is %s; %s", show(text), noCertificates)
	}
}

func readID(s *scope, o *Option, r *round) {
	text, ok := s.value(o, allowedID)
	if !ok {
		return
	}
	i, err := id.Parse(text)
	switch {
	case err != nil:
		s.bad(o, "cannot be used: %v; allowed: %s", err, allowedID)
	case r.own && i.Kind != id.Any && i.IsWildcard():
		s.bad(o, "is %s, which has wildcards, but names this side; allowed: %s", show(text), allowedID)
	default:
		r.auth.ID = i
	}
}
