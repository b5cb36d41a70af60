//go:build linux

package lab

import (
	"errors"
	"fmt"
	"strings"
)

// SA is an IKE SA as `swanctl --list-sas` shows it, by strongSwan's keys.
type SA struct {
	Conn     string
	Values   map[string]string
	Children []Child
}

// Child is a child SA of an SA.
type Child struct {
	Values map[string]string
	Lists  map[string][]string // local-ts, remote-ts
}

// Suite is the IKE suite in strongSwan's words: cipher and key size, integrity,
// PRF, key exchange.
func (s SA) Suite() string {
	return words(s.Values, "encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group")
}

// Suite is the ESP suite in strongSwan's words.
func (c Child) Suite() string {
	return words(c.Values, "encr-alg", "encr-keysize", "integ-alg", "dh-group")
}

func words(values map[string]string, keys ...string) string {
	var out []string
	for _, k := range keys {
		if v := values[k]; v != "" {
			out = append(out, v)
		}
	}
	return strings.Join(out, "-")
}

// SAs lists the IKE SAs of the daemon behind a VICI socket by the stock swanctl.
func (n *Namespace) SAs(uri string) ([]SA, error) {
	out, err := n.Swanctl(uri, "--list-sas", "--raw")
	if err != nil {
		return nil, err
	}
	return ParseSAs(out)
}

// ParseSAs reads what `swanctl --list-sas --raw` prints.
func ParseSAs(raw string) ([]SA, error) {
	var sas []SA
	for line := range strings.Lines(raw) {
		body, ok := strings.CutPrefix(strings.TrimSpace(line), "list-sa event ")
		if !ok {
			continue // the reply that ends the list
		}
		p := rawParser{rest: body}
		event, err := p.section()
		if err != nil {
			return nil, fmt.Errorf("%w in %q", err, line)
		}
		for name, s := range event.sections {
			sas = append(sas, newSA(name, s))
		}
	}
	return sas, nil
}

func newSA(name string, s *rawSection) SA {
	sa := SA{Conn: name, Values: s.values}
	if kids := s.sections["child-sas"]; kids != nil {
		for _, k := range kids.order {
			c := kids.sections[k]
			sa.Children = append(sa.Children, Child{Values: c.values, Lists: c.lists})
		}
	}
	return sa
}

type rawSection struct {
	values   map[string]string
	lists    map[string][]string
	sections map[string]*rawSection
	order    []string // of sections
}

// rawParser reads "{key=value name {...} list=[a b]}". Values may hold spaces:
// one ends before the next word that is a key, or a section, or the end.
type rawParser struct{ rest string }

var errRaw = errors.New("not the raw form of swanctl")

func (p *rawParser) section() (*rawSection, error) {
	s := &rawSection{values: map[string]string{}, lists: map[string][]string{}, sections: map[string]*rawSection{}}
	if !p.eat("{") {
		return nil, errRaw
	}
	for {
		p.rest = strings.TrimLeft(p.rest, " ")
		if p.eat("}") {
			return s, nil
		}
		end := strings.IndexAny(p.rest, " =")
		if end <= 0 {
			return nil, errRaw
		}
		key := p.rest[:end]
		p.rest = p.rest[end:]
		if err := p.value(s, key); err != nil {
			return nil, err
		}
	}
}

func (p *rawParser) value(s *rawSection, key string) error {
	if p.eat(" {") {
		p.rest = "{" + p.rest
		sub, err := p.section()
		s.sections[key] = sub
		s.order = append(s.order, key)
		return err
	}
	if p.eat("=[") {
		list, rest, ok := strings.Cut(p.rest, "]")
		for ok && strings.Count(list, "[") > 0 && strings.HasPrefix(rest, "]") { // 10.0.0.1/32[tcp/80]
			list, rest = list+"]", rest[1:]
		}
		if !ok {
			return errRaw
		}
		s.lists[key], p.rest = strings.Fields(list), rest
		return nil
	}
	if !p.eat("=") {
		return errRaw
	}
	s.values[key] = p.text()
	return nil
}

// text takes a value that may hold spaces.
func (p *rawParser) text() string {
	end := 0
	for end < len(p.rest) && p.rest[end] != '}' {
		if p.rest[end] == ' ' && startsItem(p.rest[end+1:]) {
			break
		}
		end++
	}
	v := p.rest[:end]
	p.rest = p.rest[end:]
	return v
}

// startsItem tells whether s begins with "key=" (strongSwan's keys are lower
// case, those of a distinguished name are not) or "name {".
func startsItem(s string) bool {
	i := strings.IndexAny(s, " =}")
	if i <= 0 {
		return false
	}
	if s[i] == '=' {
		return strings.Trim(s[:i], "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	}
	return strings.HasPrefix(s[i:], " {")
}

func (p *rawParser) eat(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}
