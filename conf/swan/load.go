package swan

import (
	"slices"
	"strings"

	"github.com/goike/goike/conf"
)

// IsTOML tells whether a file is goike's own format by its name, and not strongSwan's.
func IsTOML(file string) bool { return strings.HasSuffix(file, ".toml") }

// Load reads and validates a swanctl.conf and what it includes. Errors are of type
// conf.Errors; the warnings are there even then. Without the bypass-lan plugin strongSwan
// excludes no directly attached networks, so ExcludeMyNetwork is off. What further checks
// find in a configuration without errors is among the warnings.
func Load(file string, checks ...conf.Check) (*conf.Config, []Warning, error) {
	l := newLoader()
	l.checks = checks
	return l.load(file)
}

func (l *loader) load(file string) (*conf.Config, []Warning, error) {
	c := conf.Default()
	c.ExcludeMyNetwork = false
	if root := l.tree(file); root != nil {
		l.config(c, root, file)
	}
	if err := l.result(file); err != nil {
		return nil, l.warnings, err
	}
	return c, l.warnings, nil
}

// the sections of swanctl.conf.
var topSections = []string{"connections", "secrets", "pools", "authorities"}

func (l *loader) config(c *conf.Config, root *Section, file string) {
	for _, o := range root.Options {
		l.warn(o.At, "%s stands outside of all sections: it has no effect; allowed there: sections %s", word(o.Name), strings.Join(topSections, ", "))
	}
	for _, sec := range root.Sections {
		switch sec.Name {
		case "connections":
			l.connections(c, sec)
		case "secrets":
			c.Secrets = l.secrets(sec)
		case "pools":
			l.refuseAll(sec, "pool", noVirtual, poolOptions)
		case "authorities":
			l.refuseAll(sec, "authority", noCertificates+", and take the section out", authorityOptions)
		default:
			l.other(sec)
		}
	}
	if len(l.errs) == 0 {
		l.validate(c, root, file)
	}
}

func (l *loader) connections(c *conf.Config, sec *Section) {
	top := &scope{report: &l.report, Section: sec, what: "connections"}
	for _, o := range sec.Options {
		top.unknown(o, nil)
	}
	for _, sub := range sec.Sections {
		c.Connections = append(c.Connections, l.connection(sub.Name, sub))
	}
}

// The options of what is refused. Any other option of a pool is an attribute by its
// number.
var (
	poolOptions      = []string{"addrs", "dns", "nbns", "dhcp", "netmask", "server", "subnet", "split_include", "split_exclude"}
	authorityOptions = []string{"cacert", "file", "handle", "slot", "module", "crl_uris", "ocsp_uris", "cert_uri_base"}
)

// refuseAll refuses each section within one, and names what they do not have, too.
func (l *loader) refuseAll(sec *Section, what, sentence string, known []string) {
	for _, sub := range sec.Sections {
		s := &scope{report: &l.report, Section: sub, what: what + " " + word(sub.Name)}
		s.error(sub.At, "", "%s: %s", s.what, sentence)
		for _, o := range sub.Options {
			if !contains(known, o.Name) && strings.Trim(o.Name, "0123456789") != "" {
				s.unknown(o, known)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// other is a section of another name: others inherit from it, or it is a slip of the pen.
func (l *loader) other(sec *Section) {
	if l.referred[sec.Name] {
		return
	}
	near := ""
	if n := conf.Nearest(sec.Name, topSections); n != "" {
		near = "; did you mean " + n + "?"
	}
	l.warn(sec.At, "section %s has no effect: it is none of %s, and nothing inherits from it%s", word(sec.Name), strings.Join(topSections, ", "), near)
}

// validate checks what takes more than one option to know.
func (l *loader) validate(c *conf.Config, root *Section, file string) {
	list := root.Section("connections")
	found := conf.Validate(c)
	found = slices.DeleteFunc(found, func(f conf.Finding) bool { return f.Key == "pre_shared_key" }) // see HasKey below
	for _, check := range l.checks {
		found = append(found, check(c)...)
	}
	for _, f := range found {
		at, option := whereIs(list, f)
		if at.File == "" {
			at.File = file
		}
		if text := inSwanctl.Replace(f.Text); f.Warning {
			l.warn(at, "%s", text)
		} else {
			l.error(at, option, "%s", text)
		}
	}
	keyless := c.Keyless()
	for i, conn := range c.Connections {
		if keyless[conn] {
			l.warn(list.Sections[i].At, "connection %s: no secret of secrets.ike is for its identities, so that it cannot authenticate; a control client can load one (swanctl --load-creds)", word(conn.Name))
		}
	}
}

// keyNames are the names here of what conf.Validate calls as goike.toml does.
var keyNames = map[string]string{
	"remote_gateway": "remote_addrs", "local_address": "local_addrs", "local_network": "local_ts", "remote_network": "remote_ts",
	"connection_behavior": "start_action", "reauthenticate": "reauth_time", "force_udp_encapsulation": "encap",
	"peer_identifier": "remote.id", "identifier": "local.id", "[[secret]]": "section of secrets", "secret.owners": "id", "keying_tries": "keyingtries",
	"lifetime_bytes": "life_bytes", "lifetime_packets": "life_packets",
}

var inSwanctl = func() *strings.Replacer {
	pairs := []string{"phase1", "connection", "phase2", "child", "protocol is ah", "ah_proposals is set", "protocol = \"esp\"", "esp_proposals",
		"force_udp_encapsulation = false", "encap = no", "tfc_padding = 0", "tfc_padding = 0"}
	for from, to := range keyNames {
		pairs = append(pairs, from, to)
	}
	return strings.NewReplacer(pairs...)
}()

// whereIs finds where the setting stands that a finding is about, or the section.
func whereIs(list *Section, f conf.Finding) (Pos, string) {
	if list == nil || f.Conn < 0 || f.Conn >= len(list.Sections) {
		return Pos{}, ""
	}
	sec := list.Sections[f.Conn]
	if children := sec.Section("children"); f.Child >= 0 && children != nil && f.Child < len(children.Sections) {
		sec = children.Sections[f.Child]
	}
	candidates := []string{f.Key, keyNames[f.Key]}
	switch {
	case f.Key == "proposals" && f.Child >= 0:
		candidates = []string{"esp_proposals", "ah_proposals"}
	case f.Key == "lifetime" && f.Child >= 0:
		candidates = []string{"life_time", "rekey_time"}
	case f.Key == "lifetime":
		candidates = []string{"over_time", "rekey_time", "reauth_time"}
	case f.Key == "protocol":
		candidates = []string{"ah_proposals"}
	}
	for _, name := range candidates {
		if o := sec.Option(name); o != nil {
			return o.At, name
		}
	}
	return sec.At, ""
}
