// Package ipsec reads ipsec.conf and ipsec.secrets, those of strongSwan's starter and those
// of libreswan, so that they can be written as goike.toml.
//
// Every keyword of both programs is known by name: it is effective, or refused with what to
// do instead, or it changes nothing here and a warning says so. What the two programs do
// by default is carried over. Errors name file and line and never show a secret.
package ipsec

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

var errQuotes = errors.New("begins with a quotation mark, but no other one ends it")

// Load reads and validates an ipsec.conf and the ipsec.secrets that goes with it; secrets
// is empty for the one beside it, if that is there. Of the two sides of a connection this
// host is the one with an address of its own; left, where that tells nothing and right is
// not %defaultroute. Errors are of type conf.Errors; the warnings are there even then.
func Load(path, secrets string, own []netip.Addr) (*conf.Config, []conf.Warning, error) {
	p := newParser()
	p.own = own
	if secrets == "" {
		beside := filepath.Join(filepath.Dir(path), "ipsec.secrets")
		if _, err := os.Stat(beside); err == nil {
			secrets = beside
		}
	}
	return p.load(path, secrets)
}

func (p *parser) load(path, secrets string) (*conf.Config, []conf.Warning, error) {
	c := conf.Default()
	c.ExcludeMyNetwork = false // neither program does that without being told
	all := p.sections(path)
	if secrets != "" {
		c.Secrets = p.secrets(secrets)
	}
	l := &loader{parser: p, conf: c, conns: make(map[string]*section), libreswan: isLibreswan(all)}
	dialect := "strongSwan's"
	if l.libreswan {
		dialect = "libreswan's"
	}
	p.warn(place{file: path}, "read as %s, by its keywords", dialect)
	l.sections(all)
	if len(p.errs) == 0 {
		l.validate(path)
	}
	conf.SortWarnings(p.warnings)
	if len(p.errs) > 0 {
		p.errs.Sort()
		return nil, p.warnings, p.errs
	}
	return c, p.warnings, nil
}

// loader makes a configuration of sections.
type loader struct {
	*parser
	conf      *conf.Config
	conns     map[string]*section
	libreswan bool
	places    []place // of the connections
}

// libreswanWords are keywords that only libreswan has.
var libreswanWords = []string{
	"ikev2", "phase2alg", "phase2", "salifetime", "leftsubnets", "rightsubnets", "encapsulation", "narrowing", "decap-dscp", "esn", "ikepad", "nopmtudisc",
	"hostaddrfamily", "clientaddrfamily", "virtual-private", "protostack", "plutodebug", "logfile", "dumpdir", "leftrsasigkey", "rightrsasigkey", "initial-contact", "retransmit-interval",
}

func isLibreswan(all []*section) bool {
	return slices.ContainsFunc(all, func(s *section) bool {
		return slices.ContainsFunc(s.settings, func(x setting) bool { return slices.Contains(libreswanWords, x.key) })
	})
}

func (l *loader) sections(all []*section) {
	for _, s := range all {
		if s.kind != "conn" {
			continue
		}
		if first := l.conns[s.name]; first != nil { // both programs put them together
			first.settings = append(first.settings, s.settings...)
			continue
		}
		l.conns[s.name] = s
	}
	for _, s := range all {
		switch {
		case s.kind == "config":
			l.setup(s)
		case s.kind == "ca":
			l.error(s.at, "ca %s: goike does not use certificates yet: take the section out", word(s.name))
		case s.name != "%default" && l.conns[s.name] == s:
			l.connection(s)
		}
	}
}

// setup reads config setup, of which the daemon has one setting.
func (l *loader) setup(s *section) {
	for _, x := range s.settings {
		if x.key != "uniqueids" {
			l.warn(x.at, "%s is a setting of the other daemon: it changes nothing here", x.key)
			continue
		}
		unique, ok := map[string]conf.UniqueIDs{"yes": conf.UniqueReplace, "replace": conf.UniqueReplace, "no": conf.UniqueNo, "never": conf.UniqueNever, "keep": conf.UniqueKeep}[x.value]
		if !ok {
			l.error(x.at, "uniqueids is %s; allowed: yes, replace, no, never, keep", word(x.value))
		}
		l.conf.UniqueIDs = unique
	}
}

// effective are the settings of a connection with those that it takes from others: its
// own come first, then those of also=, then those of %default.
func (l *loader) effective(s *section) map[string]setting {
	t := taking{all: make(map[string]setting), state: make(map[*section]int)}
	l.take(t, s)
	if d := l.conns["%default"]; d != nil {
		l.take(t, d)
	}
	return t.all
}

// taking gathers settings; each section is taken once.
type taking struct {
	all   map[string]setting
	state map[*section]int // begun or taken
}

const (
	begun = iota + 1
	taken
)

func (l *loader) take(t taking, s *section) {
	switch t.state[s] {
	case begun:
		l.error(s.at, "also= of conn %s goes in a circle", word(s.name))
		return
	case taken:
		return
	}
	t.state[s] = begun
	defer func() { t.state[s] = taken }()
	own := make(map[string]setting)
	for _, x := range s.settings {
		if x.key != "also" {
			own[x.key] = x // of several in a section the last one counts
		}
	}
	for key, x := range own {
		if _, there := t.all[key]; !there {
			t.all[key] = x
		}
	}
	for _, x := range s.settings {
		if x.key != "also" {
			continue
		}
		other := l.conns[x.value]
		if other == nil {
			l.error(x.at, "also=%s: there is no such conn", word(x.value))
			continue
		}
		l.take(t, other)
	}
}

// merge adds a connection, or its child to the one that has the same peer and settings: the
// other programs have one IKE SA for both.
func (l *loader) merge(c *conf.Connection, at place) {
	for _, other := range l.conf.Connections {
		has := func(child *conf.Child) bool { _, there := other.Child(child.Name); return there }
		if slices.ContainsFunc(c.Children, has) || !sameIKE(other, c) {
			continue
		}
		for _, child := range c.Children {
			if c.Behavior != other.Behavior {
				child.Behavior = &c.Behavior
			}
			if c.DPDAction != other.DPDAction {
				child.DPDAction = &c.DPDAction
			}
			other.Children = append(other.Children, child)
		}
		return
	}
	l.conf.Connections = append(l.conf.Connections, c)
	l.places = append(l.places, at)
}

func sameIKE(a, b *conf.Connection) bool {
	if a.DPDAction == conf.DPDNone != (b.DPDAction == conf.DPDNone) {
		return false
	}
	x, y := *a, *b
	x.Name, x.Children, x.Behavior, x.DPDAction = y.Name, y.Children, y.Behavior, y.DPDAction
	return reflect.DeepEqual(x, y)
}

// validate checks what takes more than one setting to know.
func (l *loader) validate(path string) {
	for _, f := range conf.Validate(l.conf) {
		at := place{file: path}
		if f.Conn >= 0 && f.Conn < len(l.places) {
			at = l.places[f.Conn]
		}
		switch {
		case f.Key == "pre_shared_key":
		case f.Warning:
			l.warn(at, "%s", f.Text)
		default:
			l.error(at, "%s", f.Text)
		}
	}
	keyless := l.conf.Keyless()
	for i, c := range l.conf.Connections {
		if keyless[c] {
			l.warn(l.places[i], "conn %s: no PSK of ipsec.secrets is for its identities, so that it cannot authenticate", word(c.Name))
		}
	}
}

// proposals reads a list of them; a ! behind it, which makes it strict, is how it is here.
func (l *loader) proposals(x setting, proto crypto.Proto) []crypto.Proposal {
	var out []crypto.Proposal
	list, strict := strings.CutSuffix(strings.TrimSpace(x.value), "!")
	if !strict && !l.libreswan {
		l.warn(x.at, "%s has no ! at its end, so that strongSwan takes its defaults, too; goike takes what stands there: add \"default\" to it for both", x.key)
	}
	for _, text := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if l.libreswan {
			text = libreswanProposal(text, proto)
		}
		p, err := crypto.ParseProposal(proto, text)
		if err == nil {
			err = p.Validate()
		}
		if err != nil {
			l.error(x.at, "%s holds %s: %v", x.key, word(text), err)
			continue
		}
		out = append(out, p)
	}
	return out
}
