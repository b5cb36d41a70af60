package swan

import (
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto/id"
)

// secretKind is a kind of section within secrets, by how its name begins.
type secretKind struct {
	prefix  string
	refused string // why, and what to do; empty: a pre-shared key
	options []string
	ids     bool // it has options id...
}

const noPassphrase = "goike does not use private keys yet: take the section out, and use auth = psk"

var secretKinds = []secretKind{
	{"ike", "", []string{"secret"}, true},
	{"eap", noEAP, []string{"secret"}, true},
	{"xauth", noEAP, []string{"secret"}, true},
	{"ntlm", noEAP, []string{"secret"}, true},
	{"ppk", noPPK, []string{"secret"}, true},
	{"private", noPassphrase, []string{"file", "secret"}, false},
	{"rsa", noPassphrase, []string{"file", "secret"}, false},
	{"ecdsa", noPassphrase, []string{"file", "secret"}, false},
	{"pkcs8", noPassphrase, []string{"file", "secret"}, false},
	{"pkcs12", noPassphrase, []string{"file", "secret"}, false},
	{"token", noPassphrase, []string{"handle", "slot", "module", "pin"}, false},
}

func kindOf(name string) *secretKind {
	for i := range secretKinds {
		if strings.HasPrefix(name, secretKinds[i].prefix) {
			return &secretKinds[i]
		}
	}
	return nil
}

// SharedKey makes a pre-shared key of a section ike... of secrets. An error is of type
// Errors, and shows nothing of the key.
func SharedKey(name string, s *Section) (conf.Secret, error) {
	r := &report{}
	in := &scope{report: r, Section: s, what: "secret " + word(name)}
	key := in.sharedKey(name)
	if len(r.errs) > 0 {
		return conf.Secret{}, r.errs
	}
	return key, nil
}

func (s *scope) sharedKey(name string) conf.Secret {
	key := conf.Secret{Name: name}
	for _, o := range s.Options {
		switch {
		case o.Name == "secret":
			s.key(o, &key)
		case strings.HasPrefix(o.Name, "id"):
			s.owner(o, &key)
		default:
			s.unknown(o, []string{"secret", "id..."})
		}
	}
	s.noSections()
	if s.Option("secret") == nil {
		s.error(s.At, "secret", "%s has no option secret; allowed: %s", s.what, conf.AllowedSecret)
	}
	return key
}

// key never shows the value.
func (s *scope) key(o *Option, key *conf.Secret) {
	var err error
	if key.Key, err = conf.ParseSecret([]byte(strings.Join(o.Values, ","))); err != nil {
		s.bad(o, "%v; allowed: %s", err, conf.AllowedSecret)
	}
}

func (s *scope) owner(o *Option, key *conf.Secret) {
	text, ok := s.value(o, allowedID)
	if !ok {
		return
	}
	who, err := id.Parse(text)
	if err != nil {
		s.bad(o, "cannot be used: %v; allowed: %s, or %%any", err, allowedID)
		return
	}
	key.Owners = append(key.Owners, who)
}

// secrets reads the section secrets.
func (l *loader) secrets(sec *Section) []conf.Secret {
	var keys []conf.Secret
	top := &scope{report: &l.report, Section: sec, what: "secrets"}
	for _, o := range sec.Options {
		top.unknown(o, nil)
	}
	for _, sub := range sec.Sections {
		kind := kindOf(sub.Name)
		if kind == nil {
			var known []string
			for _, k := range secretKinds {
				known = append(known, k.prefix+"...")
			}
			top.strange(sub, strings.Join(known, ", "))
			continue
		}
		in := &scope{report: &l.report, Section: sub, what: "secret " + word(sub.Name)}
		if kind.refused != "" {
			in.refuseSecret(kind)
			continue
		}
		keys = append(keys, in.sharedKey(sub.Name))
		in.guarded(l)
	}
	return keys
}

func (s *scope) refuseSecret(kind *secretKind) {
	s.error(s.At, "", "%s: %s", s.what, kind.refused)
	for _, o := range s.Options {
		known := kind.ids && strings.HasPrefix(o.Name, "id")
		for _, name := range kind.options {
			known = known || name == o.Name
		}
		if !known {
			s.unknown(o, kind.options)
		}
	}
}

const shortKey = 16 // octets

// guarded checks that a secret is not for everyone to read, nor to guess.
func (s *scope) guarded(l *loader) {
	o := s.Option("secret")
	if o == nil {
		return
	}
	switch mode := l.modes[o.At.File].Perm(); {
	case mode&0o007 != 0:
		s.bad(o, "is in a file of mode %04o, which every user of this host can read; allowed: 0600 or 0640 (chmod 600 %s)", mode, o.At.File)
	case mode&0o070 != 0:
		s.warn(o.At, "secret of %s is in a file of mode %04o, which the group of the file can read", s.what, mode)
	}
	if key, err := conf.ParseSecret([]byte(o.text())); err == nil && len(key) < shortKey {
		s.warn(o.At, "secret of %s has %d octets: whoever records a failed attempt can guess it; goikectl genpsk prints a good one", s.what, len(key))
	}
}
