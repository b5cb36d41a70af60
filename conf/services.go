package conf

import (
	"slices"
	"strings"
)

const (
	protoICMP   = 1
	protoICMPv6 = 58
)

func isICMP(proto uint8) bool { return proto == protoICMP || proto == protoICMPv6 }

// protocols are the names of IP protocols, by their IANA numbers. They stand here
// since a host need not have /etc/protocols, nor agree about what is in it.
var protocols = map[string]uint8{
	"icmp": protoICMP, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47,
	"esp": 50, "ah": 51, "icmpv6": protoICMPv6, "ipv6-icmp": protoICMPv6, "eigrp": 88, "ospf": 89, "pim": 103,
	"vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}

// services are the names of ports.
var services = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "dns": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
	"http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138,
	"netbios-ssn": 139, "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389, "https": 443,
	"microsoft-ds": 445, "isakmp": 500, "syslog": 514, "submission": 587, "ldaps": 636, "domain-s": 853, "imaps": 993,
	"pop3s": 995, "l2f": 1701, "l2tp": 1701, "radius": 1812, "radius-acct": 1813, "nfs": 2049, "mysql": 3306, "rdp": 3389,
	"ipsec-nat-t": 4500, "sip": 5060, "sips": 5061, "postgresql": 5432, "vnc": 5900, "bfd-control": 3784, "vxlan": 4789,
}

// protocolName is the first name, in alphabetical order, of a protocol.
func protocolName(proto uint8) (string, bool) {
	best := ""
	for name, n := range protocols {
		if n == proto && (best == "" || name < best) {
			best = name
		}
	}
	return best, best != ""
}

func protocolNames() string {
	names := make([]string, 0, len(protocols))
	for name := range protocols {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
