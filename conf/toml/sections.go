package toml

import (
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/conf"
)

var ipsecKeys = []key[*conf.Config]{
	{"configuration_mode", readMode},
	{"conf_files", readConfFiles},
	word("unique_ids", func(c *conf.Config) *conf.UniqueIDs { return &c.UniqueIDs },
		served(conf.UniqueReplace), []choice[conf.UniqueIDs]{{word: "replace", is: conf.UniqueReplace}},
		served(conf.UniqueNo, conf.UniqueNever, conf.UniqueKeep)),
	{"ipcomp", func(s scope, _ *conf.Config, it *item) { s.ipcomp, _ = s.boolean(it) }},
	flag("exclude_my_network", func(c *conf.Config) *bool { return &c.ExcludeMyNetwork }),
	laterFlag[*conf.Config]("cisco_extensions", false),
	laterFlag[*conf.Config]("unencrypted_main_mode", false),
	{"mss_clamp", readClamp},
	laterWord[*conf.Config]("strict_crl", "no", "yes", "ifuri"),
	flag("make_before_break", func(c *conf.Config) *bool { return &c.MakeBeforeBreak }),
}

var networkKeys = []key[*conf.Config]{
	{"interface", readInterface},
	flag("route_based", func(c *conf.Config) *bool { return &c.Network.RouteBased }),
	flag("install_routes", func(c *conf.Config) *bool { return &c.Network.InstallRoutes }),
}

var firewallKeys = []key[*conf.Config]{
	laterFlag[*conf.Config]("manage", false),
}

var dataplaneKeys = []key[*conf.Config]{
	word("backend", func(c *conf.Config) *conf.Backend { return &c.Dataplane },
		served(conf.BackendAuto, conf.BackendKernel, conf.BackendUserspace, conf.BackendNone)),
}

var controlKeys = []key[*conf.Config]{
	{"socket", readSocket},
}

var metricsKeys = []key[*conf.Config]{
	{"listen", func(s scope, c *conf.Config, it *item) {
		c.Metrics.Listen, _ = s.text(it.name, it.value, conf.AllowedListen)
	}},
}

var logKeys = []key[*conf.Config]{
	word("level", func(c *conf.Config) *string { return &c.Log.Level }, logLevels),
	word("format", func(c *conf.Config) *bool { return &c.Log.JSON }, []choice[bool]{{word: "text"}, {word: "json", is: true}}),
	{"levels", readLevels},
}

var retransmitKeys = []key[*conf.Config]{
	{"timeout", func(s scope, c *conf.Config, it *item) {
		if d, ok := s.duration(it, conf.MinRetransmitTimeout, false); ok {
			c.Retransmit.Timeout = d
		}
	}},
	{"base", func(s scope, c *conf.Config, it *item) {
		if f, ok := s.number(it, "a number from 1 to 10"); ok {
			c.Retransmit.Base = f
		}
	}},
	number("tries", 0, conf.MaxRetransmitTries, func(c *conf.Config) *int { return &c.Retransmit.Tries }),
}

const maxHalfOpen = 10_000_000

var limitsKeys = []key[*conf.Config]{
	number("cookie", 1, maxHalfOpen, func(c *conf.Config) *int { return &c.Limits.Cookie }),
	number("per_address", 1, maxHalfOpen, func(c *conf.Config) *int { return &c.Limits.PerAddress }),
	number("total", 1, maxHalfOpen, func(c *conf.Config) *int { return &c.Limits.Total }),
}

// daemonSections are the sections that say something about the whole daemon.
var daemonSections = []struct {
	name string
	keys []key[*conf.Config]
}{
	{"ipsec", ipsecKeys}, {"network", networkKeys}, {"firewall", firewallKeys}, {"dataplane", dataplaneKeys},
	{"control", controlKeys}, {"metrics", metricsKeys}, {"log", logKeys}, {"retransmit", retransmitKeys}, {"limits", limitsKeys},
}

// sections are all sections with the names of their keys. It is filled in by init,
// since keys look there for the section that a misplaced key belongs in.
var sections []sectionKeys

type sectionKeys struct {
	label string
	keys  []string
}

func init() {
	sections = append(sections, sectionKeys{"[[phase1]]", names(phase1Keys)}, sectionKeys{"[[phase1.phase2]]", names(phase2Keys)},
		sectionKeys{"[[secret]]", names(secretKeys)})
	for _, d := range daemonSections {
		sections = append(sections, sectionKeys{"[" + d.name + "]", names(d.keys)})
	}
}

// document reads the tree of a whole document.
func (r *reader) document(root *table) {
	for _, it := range root.keys {
		switch {
		case it.name == "phase1":
			for i, t := range r.tables(it, "[[phase1]]") {
				r.phase1(i, t)
			}
		case it.name == "secret":
			for _, t := range r.tables(it, "[[secret]]") {
				r.sharedSecret(t)
			}
		case !r.daemonSection(it):
			r.unknownSection(it)
		}
	}
	r.compress()
	if at, ok := r.places[conf.Daemon("ipsec.conf_files")]; ok && len(r.conf.ConfFiles) > 0 && !r.advanced && !r.spoiled[conf.Daemon("ipsec.conf_files")] {
		r.error(at, `ipsec.conf_files is there, but configuration_mode is "normal"; allowed with it: "advanced"`)
	}
}

func (r *reader) daemonSection(it *item) bool {
	for _, d := range daemonSections {
		if d.name != it.name {
			continue
		}
		s := scope{reader: r, label: "[" + d.name + "]", prefix: d.name + ".", place: conf.Place{Conn: -1, Child: -1}}
		if it.kind != unstable.InlineTable {
			r.error(it.at, "%s is %s; allowed: a section %s", d.name, kindWord(it.kind), s.label)
			return true
		}
		fill(s, d.keys, it.table, r.conf)
		return true
	}
	return false
}

func (r *reader) unknownSection(it *item) {
	if it.kind != unstable.InlineTable && it.kind != unstable.ArrayTable {
		r.misplaced(it)
		return
	}
	if it.name == "phase2" {
		r.error(it.at, "section phase2 belongs to no phase1; allowed: [[phase1.phase2]] behind its [[phase1]]")
		return
	}
	known := []string{"phase1", "secret"}
	for _, d := range daemonSections {
		known = append(known, d.name)
	}
	if near := nearest(it.name, known); near != "" {
		r.error(it.at, "unknown section %s; did you mean %s?", keyWord(it.name), near)
		return
	}
	r.error(it.at, "unknown section %s; allowed: %s", keyWord(it.name), strings.Join(known, ", "))
}

// misplaced reports a key before the first section.
func (r *reader) misplaced(it *item) {
	if r.full() {
		r.unsaid++
		return
	}
	for _, sec := range sections {
		if near := nearest(it.name, sec.keys); near != "" {
			r.error(it.at, "key %s stands before the first section; allowed there: no key; did you mean %s in %s?", keyWord(it.name), near, sec.label)
			return
		}
	}
	r.error(it.at, "key %s stands before the first section; allowed there: no key", keyWord(it.name))
}

// tables are the tables of a list of sections, in either of TOML's two forms.
func (r *reader) tables(it *item, label string) []*table {
	switch it.kind {
	case unstable.ArrayTable:
		return it.tables
	case unstable.InlineTable:
		r.error(it.at, "%s is written as one section; allowed: %s, once for each", it.name, label)
		return nil
	case unstable.Array:
	default:
		r.error(it.at, "%s is %s; allowed: sections %s", it.name, kindWord(it.kind), label)
		return nil
	}
	var ts []*table
	for _, v := range it.list {
		if v.kind != unstable.InlineTable {
			r.error(v.at, "%s holds %s; allowed: sections %s", it.name, kindWord(v.kind), label)
			continue
		}
		ts = append(ts, v.table)
	}
	return ts
}

// readMode reads whether files in strongSwan's syntax belong to the configuration.
func readMode(s scope, c *conf.Config, it *item) {
	word("configuration_mode", func(*conf.Config) *bool { return &s.advanced },
		[]choice[bool]{{word: "normal"}, {word: "advanced", is: true}}).read(s, c, it)
}

// readConfFiles reads names of files. Relative ones begin at the directory of this one.
func readConfFiles(s scope, c *conf.Config, it *item) {
	const allowed = "names of files, in which * and ? stand for any characters"
	if it.kind == unstable.Array && len(it.list) == 0 {
		return
	}
	list, ok := s.list(it, allowed)
	if !ok {
		return
	}
	for _, v := range list {
		path, ok := s.text(it.name, v, allowed)
		if !ok {
			continue
		}
		if _, err := filepath.Match(path, ""); err != nil || path == "" {
			s.bad(it.name, v.at, "holds %s; allowed: %s", show(v.text), allowed)
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(s.file), path)
		}
		c.ConfFiles = append(c.ConfFiles, path)
	}
}

func readClamp(s scope, _ *conf.Config, it *item) {
	if it.kind == unstable.String && string(it.text) == "auto" {
		s.bad(it.name, it.value.at, `= "auto" is not supported yet; allowed: 0`)
		return
	}
	if n, ok := s.integer(it.name, it.value, 0, 65495, "0 (off)"); ok && n != 0 {
		s.bad(it.name, it.value.at, "= %d is not supported yet; allowed: 0 (off)", n)
	}
}

func readInterface(s scope, _ *conf.Config, it *item) {
	if text, ok := s.text(it.name, it.value, `"none"`); ok && text != "none" {
		s.bad(it.name, it.value.at, `= %s is not supported yet; allowed: "none"`, show(it.text))
	}
}

func readSocket(s scope, c *conf.Config, it *item) {
	const allowed = "an absolute path"
	text, ok := s.text(it.name, it.value, allowed)
	if ok && text == "" {
		s.bad(it.name, it.value.at, "is empty; allowed: "+allowed)
		return
	}
	c.Control.Socket = text
}

var logLevels = []choice[string]{{word: "debug", is: "debug"}, {word: "info", is: "info"}, {word: "warn", is: "warn"}, {word: "error", is: "error"}}

// readLevels reads the log levels of subsystems.
func readLevels(s scope, c *conf.Config, it *item) {
	if it.kind != unstable.InlineTable {
		s.wrongType(it.name, it.value, `levels of subsystems, such as { ike = "debug" }`)
		return
	}
	c.Log.Levels = make(map[string]string)
	var keys []key[map[string]string]
	for _, name := range conf.Subsystems {
		level := new(string)
		k := word(name, func(map[string]string) *string { return level }, logLevels)
		keys = append(keys, key[map[string]string]{name, func(s scope, m map[string]string, it *item) {
			k.read(s, m, it)
			if *level != "" {
				m[name] = *level
			}
		}})
	}
	s.label, s.prefix = s.prefix+it.name, s.prefix+it.name+"."
	fill(s, keys, it.table, c.Log.Levels)
}
