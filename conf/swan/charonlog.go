package swan

import (
	"slices"
	"strconv"

	"github.com/goike/goike/conf"
)

// loggerOptions say how and where log lines are written.
var loggerOptions = []string{"path", "append", "flush_line", "ike_name", "log_level", "time_add_ms", "time_format", "map_level", "identifier"}

// logSubsystems are strongSwan's; those that goike has levels for by their name there.
var logSubsystems = map[string]string{
	"dmn": "", "mgr": "", "ike": "ike", "chd": "child", "job": "", "cfg": "", "knl": "", "net": "", "asn": "", "enc": "", "lib": "", "esp": "", "tls": "", "tnc": "", "imc": "", "imv": "", "pts": "",
}

// levels are the levels of goike by strongSwan's, from -1 (silent) on.
var levels = [...]string{"error", "warn", "info", "debug", "debug", "debug"}

// loggers gathers the most verbose levels of all loggers: goike has one log.
func (s *scope) loggers(sec *Section, found map[string]int) {
	for _, logger := range sec.Sections {
		in := &scope{report: s.report, Section: logger, what: sec.Name + "." + word(logger.Name)}
		in.logger(found)
	}
	for _, o := range sec.Options {
		if !slices.Contains(loggerOptions, o.Name) {
			s.strangeSetting(o.At, sec.Name+"."+o.Name, nil)
		}
	}
	if len(sec.Sections) > 0 {
		s.warn(sec.At, "charon.%s: of log files and facilities goike takes the levels: it writes one log to standard error, which systemd gives to the journal", sec.Name)
	}
}

// setLevels sets the levels that loggers have named.
func setLevels(c *conf.Config, found map[string]int) {
	if len(found) == 0 {
		return
	}
	level := 1 // strongSwan's default
	if n, ok := found[""]; ok {
		level = n
	}
	c.Log.Level, c.Log.Levels = levels[level+1], make(map[string]string)
	for name, n := range found {
		if name != "" && n != level {
			c.Log.Levels[name] = levels[n+1]
		}
	}
}

// logger gathers the most verbose level of each subsystem; "" is that of all others.
func (s *scope) logger(found map[string]int) {
	for _, o := range s.Options {
		name, isSubsystem := logSubsystems[o.Name]
		switch {
		case slices.Contains(loggerOptions, o.Name):
		case o.Name == "default", isSubsystem && name != "":
			n, err := strconv.Atoi(o.text())
			if err != nil || n < -1 || n > 4 {
				s.bad(o, "is %s; allowed: -1 to 4", show(o.text()))
				continue
			}
			if was, ok := found[name]; !ok || n > was {
				found[name] = n
			}
		case isSubsystem:
			s.warn(o.At, "%s of %s has no counterpart here; goike has levels of ike and chd", o.Name, s.what)
		default:
			s.warn(o.At, "%s of %s is no setting of strongSwan 5.9.8: it has no effect", word(o.Name), s.what)
		}
	}
}
