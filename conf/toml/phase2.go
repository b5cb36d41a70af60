package toml

import (
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/crypto"
)

// phase2 is a child in the making.
type phase2 struct {
	child *conf.Child
	algs  algorithms
}

var phase2Keys = []key[*phase2]{
	{"name", func(s scope, p *phase2, it *item) { p.child.Name = s.name(it) }},
	{"description", func(s scope, p *phase2, it *item) {
		p.child.Description, _ = s.text(it.name, it.value, "one line of text")
	}},
	word("mode", func(p *phase2) *conf.Mode { return &p.child.Mode }, served(conf.Tunnel, conf.Transport)),
	{"local_network", readNetworks(func(p *phase2) *[]conf.Selector { return &p.child.Local })},
	{"remote_network", readNetworks(func(p *phase2) *[]conf.Selector { return &p.child.Remote })},
	laterWord[*phase2]("protocol", "esp", "ah"),
	life("lifetime", func(p *phase2) *time.Duration { return &p.child.Lifetime }),
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
}

func (r *reader) phase2(i, j int, from *table, conn *conf.Connection) {
	p := &phase2{child: conf.DefaultChild()}
	s := scope{reader: r, label: "[[phase1.phase2]]", place: conf.Place{Conn: i, Child: j}}
	r.places[s.at("")] = from.at
	conn.Children = append(conn.Children, p.child)
	fill(s, phase2Keys, from, p)
	p.child.Proposals = s.proposals(crypto.ESP, &p.algs)
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
	sel, err := conf.ParseSelector(string(v.text))
	if err != nil {
		s.bad(key, v.at, "%s %s; allowed: %s", show(v.text), err, conf.AllowedNetwork)
	}
	return sel, err == nil
}
