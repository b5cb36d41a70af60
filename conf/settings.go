package conf

import (
	"crypto/subtle"
	"reflect"
	"slices"
)

// DiffSettings names the settings of the daemon that are different, as the configuration
// names them; connections are for Diff.
func DiffSettings(old, c *Config) []string {
	var keys []string
	for _, f := range settings {
		if !reflect.DeepEqual(f.of(old), f.of(c)) {
			keys = append(keys, f.key)
		}
	}
	if !slices.EqualFunc(old.Secrets, c.Secrets, sameSecret) {
		keys = append(keys, "secrets")
	}
	return keys
}

func sameSecret(a, b Secret) bool {
	return a.Name == b.Name && reflect.DeepEqual(a.Owners, b.Owners) && subtle.ConstantTimeCompare(a.Key, b.Key) == 1
}

var settings = []struct {
	key string
	of  func(c *Config) any
}{
	{"ipsec.unique_ids", func(c *Config) any { return c.UniqueIDs }},
	{"ipsec.conf_files", func(c *Config) any { return c.ConfFiles }},
	{"dataplane.backend", func(c *Config) any { return c.Dataplane }},
	{"[network]", func(c *Config) any { return c.Network }},
	{"ipsec.exclude_my_network", func(c *Config) any { return c.ExcludeMyNetwork }},
	{"ipsec.make_before_break", func(c *Config) any { return c.MakeBeforeBreak }},
	{"control.socket", func(c *Config) any { return c.Control }},
	{"[log]", func(c *Config) any { return c.Log }},
	{"[retransmit]", func(c *Config) any { return c.Retransmit }},
	{"[metrics]", func(c *Config) any { return c.Metrics }},
	{"[limits]", func(c *Config) any { return c.Limits }},
}
