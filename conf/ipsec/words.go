package ipsec

import (
	"slices"
	"strings"

	"github.com/goike/goike/conf"
)

// refused are keywords that goike has nothing for, with what to do. A value that says no
// is let pass.
var refused = map[string]string{
	"sourceip": "goike does not give or ask for virtual addresses yet: give the host its inner address yourself, and write it into the subnet",
	"dns":      "goike does not hand out name servers yet", "modecfgdns": "goike does not hand out name servers yet", "addresspool": "goike does not give virtual addresses yet",
	"cert": "goike does not use certificates yet: use authby=secret", "cert2": "goike does not use certificates yet: use authby=secret",
	"sigkey": "goike does not use public keys yet: use authby=secret", "rsasigkey": "goike does not use public keys yet: use authby=secret", "ckaid": "goike does not use public keys yet: use authby=secret",
	"auth2": "goike does one round of authentication", "id2": "goike does one round of authentication",
	"xauth": "goike does not do XAUTH yet", "xauth_identity": "goike does not do XAUTH yet", "eap_identity": "goike does not do EAP yet", "aaa_identity": "goike does not do EAP yet",
	"xauthserver": "goike does not do XAUTH yet", "xauthclient": "goike does not do XAUTH yet", "modecfgserver": "goike does not do mode config yet", "modecfgclient": "goike does not do mode config yet",
	"modeconfig": "goike does not do mode config yet", "mediation": "goike does not do the mediation extension", "mediated_by": "goike does not do the mediation extension", "me_peerid": "goike does not do the mediation extension",
	"ikeport": "goike uses ports 500 and 4500", "reqid": "goike gives each child a request ID of its own", "ppk": "goike does not do postquantum keys (RFC 8784)",
	"installpolicy": "goike installs the policies of each tunnel", "sha2_96": "goike does not cut SHA-256 to 96 bits", "sha2-truncbug": "goike does not cut SHA-256 to 96 bits",
	"narrowing": "goike narrows what it is offered as responder only", "cat": "goike does not do address translation in clients", "sec-label": "goike does not do security labels", "policy-label": "goike does not do security labels",
	"vti-interface": "use [network] route_based, or if_id_in and if_id_out", "ipsec-interface": "use [network] route_based, or if_id_in and if_id_out",
}

// idle are keywords that change nothing here.
var idle = map[string]string{
	"ca": "goike does not use certificates yet", "ca2": "goike does not use certificates yet", "cert-policy": "goike does not use certificates yet", "certpolicy": "goike does not use certificates yet",
	"sendcert": "goike does not use certificates yet", "sendca": "goike does not use certificates yet", "groups": "goike does not use certificates yet", "groups2": "goike does not use certificates yet",
	"updown": "goike runs no scripts; it installs routes itself", "firewall": "goike runs no scripts", "hostaccess": "goike runs no scripts", "allowany": "a peer is told by its identity",
	"nexthop": "the routes of the host decide", "dpdtimeout": "with IKEv2 a peer is dead when requests were repeated in vain", "metric": "goike's routes are in a table of their own",
	"modeconfigpull": "it is for mode config", "keep-alive": "keepalives are sent when there is a NAT", "nat-keepalive": "keepalives are sent when there is a NAT", "nat_keepalive": "keepalives are sent when there is a NAT",
	"retransmit-interval": "use [retransmit]", "retransmit-timeout": "use [retransmit]", "ikepad": "it is for old peers", "esn": "write esn into esp=", "decap-dscp": "use copy_dscp", "nopmtudisc": "use copy_df",
	"initial-contact": "goike sends INITIAL_CONTACT when it has no other IKE SA with the peer", "hostaddrfamily": "addresses tell it", "clientaddrfamily": "networks tell it", "connalias": "it names the conn only",
	"overlapip": "policies of several peers may overlap", "failureshunt": "what policy says to protect never leaves in the clear", "negotiationshunt": "what policy says to protect never leaves in the clear",
	"nic-offload": "use hw_offload", "mtu": "the routes of the host decide", "accept-redirect": "use follow_redirects", "send-redirect": "use goikectl redirect", "redirect-to": "use goikectl redirect",
	"cisco-unity": "it is for IKEv1", "ike_frag": "it is for IKEv1", "remote-peer-type": "it is for IKEv1", "remote_peer_type": "it is for IKEv1", "fake-strongswan": "goike sends no such vendor ID",
	"send-vendorid": "goike sends its own", "debug": "use [log]", "plutodebug": "use [log]", "ms-dh-downgrade": "write the groups into the proposals", "dns-match-id": "give the peer an identity",
	"intermediate": "goike does not do IKE_INTERMEDIATE", "require-id-on-certificate": "goike does not use certificates yet", "xauthby": "goike does not do XAUTH yet", "xauthfail": "goike does not do XAUTH yet",
	"labeled-ipsec": "goike does not do security labels", "labeled_ipsec": "goike does not do security labels", "authby2": "goike does one round of authentication",
}

// rest goes through what has not been read: each keyword is refused, changes nothing, or is
// unknown.
func (r *reading) rest() {
	known := []string{"auto"}
	for key := range r.used {
		known = append(known, key)
	}
	for key, x := range r.given {
		if r.used[key] || key == "also" || strings.HasPrefix(key, "x-") || strings.HasPrefix(key, "x_") {
			continue
		}
		name := key
		for _, prefix := range []string{"left", "right"} {
			if rest, is := strings.CutPrefix(key, prefix); is {
				name = rest
			}
		}
		no := slices.Contains([]string{"", "no", "never", "none", "off", "0"}, x.value)
		switch {
		case refused[name] != "" && no, idle[name] != "" && no:
		case refused[name] != "":
			r.error(x.at, "%s of conn %s: %s", key, word(r.sec.name), refused[name])
		case idle[name] != "":
			r.warn(x.at, "%s of conn %s changes nothing: %s", key, word(r.sec.name), idle[name])
		default:
			near := ""
			if n := conf.Nearest(key, known); n != "" {
				near = "; did you mean " + n + "?"
			}
			r.error(x.at, "%s of conn %s is a keyword of neither strongSwan nor libreswan%s", word(key), word(r.sec.name), near)
		}
	}
}
