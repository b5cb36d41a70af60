package toml

import (
	"slices"
	"strings"

	"github.com/goike/goike/conf"
)

// unknown reports a key that its section does not have.
func (s scope) unknown(name string, at int, known []string) {
	if s.full() {
		s.unsaid++
		return
	}
	switch near := nearest(name, known); {
	case near != "":
		s.spoiled[s.at(near)] = true
		s.error(at, "unknown key %s in %s; did you mean %s?", keyWord(name), s.label, near)
	case s.home(name) != "":
		s.error(at, "%s is no key of %s: it belongs in %s", keyWord(name), s.label, s.home(name))
	default:
		s.error(at, "unknown key %s in %s; allowed: %s", keyWord(name), s.label, strings.Join(known, ", "))
	}
}

// home is the section that has a key of that name, the first if there are several.
func (s scope) home(name string) string {
	for _, sec := range sections {
		for _, k := range sec.keys {
			if k == name && sec.label != s.label {
				return sec.label
			}
		}
	}
	return ""
}

// foreign are words for the same in the configuration files of other daemons.
var foreign = map[string]string{
	"psk": "pre_shared_key", "secret": "pre_shared_key", "password": "pre_shared_key", "version": "key_exchange", "keyexchange": "key_exchange",
	"remote_addrs": "remote_gateway", "right": "remote_gateway", "gateway": "remote_gateway", "peer": "remote_gateway",
	"local_addrs": "local_address", "left": "local_address", "local_ts": "local_network", "leftsubnet": "local_network",
	"remote_ts": "remote_network", "rightsubnet": "remote_network", "esp_proposals": "proposals", "esp": "proposals", "ike": "proposals",
	"id": "identifier", "leftid": "identifier", "local_id": "identifier", "rightid": "peer_identifier", "remote_id": "peer_identifier",
	"encap": "force_udp_encapsulation", "forceencaps": "force_udp_encapsulation", "auto": "connection_behavior", "start_action": "connection_behavior",
	"auth": "authentication", "authby": "authentication", "pfs": "dh_group", "over_time": "margintime", "uniqueids": "unique_ids", "unique": "unique_ids",
	"life_time": "lifetime", "ikelifetime": "lifetime", "rekey_time": "lifetime", "reauth": "reauthenticate",
}

// nearest is the known key that a wrong one stands for or most resembles; empty if none
// does.
func nearest(name string, known []string) string {
	if k := foreign[strings.ToLower(name)]; slices.Contains(known, k) {
		return k
	}
	return conf.Nearest(name, known)
}
