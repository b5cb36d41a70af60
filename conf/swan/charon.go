package swan

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goike/goike/conf"
)

// charon is what settings of the daemon change.
type charon struct {
	conf        *conf.Config
	unprotected bool // dos_protection is off
}

const maxHalfOpen = 10_000_000

// charonOptions are the settings of charon { } that have a counterpart here, or that need
// more to be said than that they have none. Sections are part of the name.
var charonOptions = []option[*charon]{
	effective("retransmit_tries", func(s *scope, o *Option, c *charon) {
		n := uint64(0)
		if s.number(o, 0, conf.MaxRetransmitTries, &n) {
			c.conf.Retransmit.Tries = int(n) //nolint:gosec // bounded
		}
	}),
	effective("retransmit_timeout", func(s *scope, o *Option, c *charon) {
		if f, ok := s.fraction(o, conf.MinRetransmitTimeout.Seconds(), 86400, "seconds from 0.01 to 86400"); ok {
			c.conf.Retransmit.Timeout = time.Duration(f * float64(time.Second))
		}
	}),
	effective("retransmit_base", func(s *scope, o *Option, c *charon) {
		if f, ok := s.fraction(o, 1, 10, "a number from 1 to 10"); ok {
			c.conf.Retransmit.Base = f
		}
	}),
	idle[*charon]("retransmit_jitter", "goike repeats requests without a random part", "0"),
	idle[*charon]("retransmit_limit", "goike has no upper limit of the time between repetitions: use a smaller retransmit_base", "0"),
	effective("cookie_threshold", func(s *scope, o *Option, c *charon) { s.halfOpen(o, &c.conf.Limits.Cookie) }),
	effective("cookie_threshold_ip", func(s *scope, o *Option, c *charon) { s.halfOpen(o, &c.conf.Limits.PerAddress) }),
	effective("init_limit_half_open", func(s *scope, o *Option, c *charon) { s.halfOpen(o, &c.conf.Limits.Total) }),
	idle[*charon]("block_threshold", "goike does not block an address with many half-open IKE SAs, but asks it for cookies: use cookie_threshold_ip"),
	effective("dos_protection", func(s *scope, o *Option, c *charon) {
		on := true
		s.flag(o, &on)
		c.unprotected = !on
	}),
	flagged("make_before_break", func(c *charon) *bool { return &c.conf.MakeBeforeBreak }),
	flagged("install_routes", func(c *charon) *bool { return &c.conf.Network.InstallRoutes }),
	effective("fragment_size", func(s *scope, o *Option, c *charon) {
		n := uint64(0)
		if o.text() == "0" || !s.number(o, 576, 65535, &n) {
			return
		}
		for _, conn := range c.conf.Connections {
			conn.FragmentSize = int(n) //nolint:gosec // bounded
		}
	}),
	effective("follow_redirects", func(s *scope, o *Option, c *charon) {
		on := true
		s.flag(o, &on)
		for _, conn := range c.conf.Connections {
			conn.FollowRedirects = on
		}
	}),
	effective("replay_window", readDefaultWindow),
	refusing[*charon]("port", "goike uses UDP port 500: leave it out", "500"),
	refusing[*charon]("port_nat_t", "goike uses UDP port 4500: leave it out", "4500"),
	idle[*charon]("keep_alive", "goike sends NAT keepalives every 20 seconds", "20", "20s"),
	idle[*charon]("interfaces_use", "goike uses all interfaces: name addresses in local_addrs"),
	idle[*charon]("interfaces_ignore", "goike uses all interfaces: name addresses in local_addrs"),
	idle[*charon]("routing_table", "goike has a routing table of its own: ip rule shows it"),
	idle[*charon]("routing_table_prio", "goike has a routing table of its own: ip rule shows it"),
	idle[*charon]("inactivity_close_ike", "goike closes an IKE SA with its last child when that is closed for inactivity", "yes"),
	idle[*charon]("reuse_ikesa", "goike sets up all children of a connection in one IKE SA", "yes"),
	idle[*charon]("retry_initiate_interval", "goike tries again by itself: set keyingtries", "0", "0s"),
	idle[*charon]("user", "goiked runs with the capabilities that its systemd unit leaves it", "root"),
	idle[*charon]("group", "goiked runs with the capabilities that its systemd unit leaves it", "root"),
	idle[*charon]("start-scripts", "goike runs no scripts: let systemd run them (ExecStartPost)"),
	idle[*charon]("stop-scripts", "goike runs no scripts: let systemd run them (ExecStopPost)"),
	idle[*charon]("prefer_configured_proposals", "goike prefers the order of its own proposals", "yes"),
	idle[*charon]("ikesa_limit", "goike limits half-open IKE SAs: use init_limit_half_open", "0"),
}

// charonOther are the settings of charon without a counterpart here. There is nothing to
// do about them.
var charonOther = strings.Fields(`accept_private_algs accept_unencrypted_mainmode_messages cache_crls cert_cache check_current_path
	cisco_flexvpn cisco_unity close_ike_on_child_failure delete_rekeyed delete_rekeyed_delay dh_exponent_ansi_x9_42 dlopen_use_rtld_now
	dns1 dns2 flush_auth_cfg force_eap_only_authentication half_open_timeout hash_and_url host_resolver.max_threads host_resolver.min_threads
	i_dont_care_about_security_and_use_aggressive_mode_psk ignore_acquire_ts ignore_routing_tables ikesa_table_segments ikesa_table_size
	init_limit_job_load initiator_only install_virtual_ip install_virtual_ip_on integrity_test keep_alive_dpd_margin load load_modular
	max_ikev1_exchanges max_packet multiple_authentication nbns1 nbns2 prefer_best_path prefer_temporary_addrs process_route rdn_matching
	receive_delay receive_delay_request receive_delay_response receive_delay_type rsa_pss rsa_pss_trailerfield send_delay send_delay_request
	send_delay_response send_delay_type send_vendor_id signature_authentication signature_authentication_constraints spi_label spi_mask spi_max
	spi_min threads piddir`)

// charonSections are sections of charon that are without a counterpart as a whole.
var charonSections = []string{"crypto_test", "host_resolver", "imcv", "leak_detective", "processor", "tls", "tnc", "x509", "plugins", "start-scripts", "stop-scripts"}

// LoadCharon reads the settings of charon { } of a strongswan.conf into a configuration
// whose connections are there already: some settings are theirs here. What has no
// counterpart is a warning; errors are of type conf.Errors.
func LoadCharon(file string, c *conf.Config) ([]Warning, error) {
	return newLoader().charon(file, c)
}

func (l *loader) charon(file string, c *conf.Config) ([]Warning, error) {
	root := l.tree(file)
	if root != nil && root.Section("charon") != nil {
		l.settings(root.Section("charon"), &charon{conf: c})
	}
	if root != nil && len(l.errs) == 0 {
		l.whole(c, file)
	}
	return l.warnings, l.result(file)
}

// settings reads the section charon.
func (l *loader) settings(sec *Section, c *charon) {
	s := &scope{report: &l.report, Section: sec, what: "charon"}
	loggers := make(map[string]int)
	known := append(names(charonOptions), charonOther...)
	for _, o := range sec.Options {
		i := slices.IndexFunc(charonOptions, func(k option[*charon]) bool { return k.name == o.Name })
		switch {
		case i >= 0:
			one := &scope{report: s.report, Section: &Section{Name: sec.Name, At: sec.At, Options: []*Option{o}}, what: s.what}
			fill(one, charonOptions[i:i+1], c)
		case slices.Contains(charonOther, o.Name):
			if o.Name != "load_modular" { // stands in every strongswan.conf
				s.warn(o.At, "charon.%s has no counterpart here; nothing to do", o.Name)
			}
		default:
			s.strangeSetting(o.At, o.Name, known)
		}
	}
	for _, sub := range sec.Sections {
		switch {
		case sub.Name == "filelog" || sub.Name == "syslog":
			s.loggers(sub, loggers)
		case sub.Name == "plugins":
			s.plugins(sub, c.conf)
		case slices.Contains(charonSections, sub.Name):
			s.warn(sub.At, "charon.%s has no counterpart here; nothing to do", sub.Name)
		default:
			s.strangeSetting(sub.At, sub.Name, append(charonSections, "filelog", "syslog"))
		}
	}
	setLevels(c.conf, loggers)
	limits := &c.conf.Limits
	if c.unprotected {
		limits.Cookie, limits.PerAddress = limits.Total, limits.Total
	}
	limits.Cookie, limits.PerAddress = min(limits.Cookie, limits.Total), min(limits.PerAddress, limits.Total)
}

// strangeSetting warns: strongSwan passes over what it does not know, and other programs
// may have settings there.
func (s *scope) strangeSetting(at Pos, name string, known []string) {
	near := ""
	if n := conf.Nearest(name, known); n != "" {
		near = "; did you mean " + n + "?"
	}
	s.warn(at, "charon.%s is no setting of strongSwan 5.9.8: it has no effect%s", word(name), near)
}

// plugins says which plugins have settings. That they are loaded says nothing here, but
// for the one that excludes attached networks.
func (s *scope) plugins(sec *Section, c *conf.Config) {
	for _, p := range sec.Sections {
		if o := p.Option("load"); p.Name == "bypass-lan" && o != nil {
			c.ExcludeMyNetwork, _ = boolean(o.text())
		}
		for _, o := range p.Options {
			if o.Name != "load" {
				s.warn(o.At, "charon.plugins.%s has no counterpart here; nothing to do", word(p.Name))
				break
			}
		}
	}
}

// halfOpen reads a number of half-open IKE SAs; 0 is no limit.
func (s *scope) halfOpen(o *Option, into *int) {
	n := uint64(0)
	if !s.number(o, 0, maxHalfOpen, &n) {
		return
	}
	if n == 0 {
		n = maxHalfOpen
	}
	*into = int(n) //nolint:gosec // bounded
}

func (s *scope) fraction(o *Option, least, most float64, allowed string) (float64, bool) {
	f, err := strconv.ParseFloat(o.text(), 64)
	if err != nil || math.IsNaN(f) || f < least || f > most {
		s.bad(o, "is %s; allowed: %s", show(o.text()), allowed)
		return 0, false
	}
	return f, true
}

// readDefaultWindow sets the window of children that have the default one.
func readDefaultWindow(s *scope, o *Option, c *charon) {
	k := &child{child: &conf.Child{}}
	readWindow(s, o, k)
	for _, conn := range c.conf.Connections {
		for _, child := range conn.Children {
			if child.Window == conf.DefaultWindow && !child.Mode.Shunt() {
				child.Window = k.child.Window
			}
		}
	}
}

// whole checks the settings together.
func (l *loader) whole(c *conf.Config, file string) {
	daemon := *c
	daemon.Connections = nil
	for _, f := range conf.Validate(&daemon) {
		if f.Warning {
			l.warn(Pos{File: file}, "%s", f.Text)
		} else {
			l.error(Pos{File: file}, "", "%s", f.Text)
		}
	}
}
