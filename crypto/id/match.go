package id

import "strings"

// What Match returns: an exact match, less one for every wildcard, but never
// less than matchLeast unless the pattern is Any.
const (
	matchNone  = 0
	matchAny   = 1
	matchLeast = 2
	matchExact = 20
)

// IsWildcard says whether the ID is a pattern that matches more than one identity.
func (i ID) IsWildcard() bool {
	switch i.Kind {
	case Any:
		return true
	case FQDN, Email:
		return strings.HasPrefix(i.Data, "*")
	case DN:
		rdns, err := parseDN([]byte(i.Data))
		if err != nil {
			return false
		}
		for _, rdn := range rdns {
			for _, a := range rdn {
				if a.isWildcard() {
					return true
				}
			}
		}
	}
	return false
}

// Match compares a pattern of the configuration with the identity that a peer has
// shown: 0 if they do not match, and the more the closer they do. An exact match
// is the most, each wildcard takes away from it, and Any, which matches
// everything, is the least. Domain names, email addresses and the values of
// distinguished names are compared without regard to ASCII case; the parts of a
// distinguished name must stand in the same order.
func (i ID) Match(peer ID) int {
	switch {
	case i.Kind == Any:
		return matchAny
	case i.Kind != peer.Kind:
		return matchNone
	case i.Kind == FQDN || i.Kind == Email:
		return matchName(i.Data, peer.Data)
	case i.Kind == DN:
		return matchDN(i.Data, peer.Data)
	case i.Data == peer.Data:
		return matchExact
	}
	return matchNone
}

// matchName compares names. The wildcard stands for at least one octet.
func matchName(pattern, name string) int {
	tail, wild := strings.CutPrefix(pattern, "*")
	switch {
	case !wild && equalFold(pattern, name):
		return matchExact
	case !wild || len(name) <= len(tail) || !equalFold(tail, name[len(name)-len(tail):]):
		return matchNone
	case tail == "":
		return matchLeast
	}
	return matchExact - 1
}

// equalFold compares without regard to the case of ASCII letters, and of these
// only: Unicode has letters that fold to ASCII ones.
func equalFold(a, b string) bool { return lower(a) == lower(b) }

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// matchDN compares distinguished names part by part.
func matchDN(pattern, name string) int {
	ps, err1 := parseDN([]byte(pattern))
	ns, err2 := parseDN([]byte(name))
	if err1 != nil || err2 != nil || len(ps) != len(ns) {
		return matchNone
	}
	wildcards := 0
	for i := range ps {
		n, ok := matchRDN(ps[i], ns[i])
		if !ok {
			return matchNone
		}
		wildcards += n
	}
	return max(matchExact-wildcards, matchLeast)
}

// matchRDN compares parts, whose attributes have no order, and counts the
// wildcards that were needed.
func matchRDN(pattern, name []attribute) (wildcards int, ok bool) {
	if len(pattern) != len(name) {
		return 0, false
	}
	used := make([]bool, len(name))
	take := func(fits func(a attribute) bool) bool {
		for i, a := range name {
			if !used[i] && fits(a) {
				used[i] = true
				return true
			}
		}
		return false
	}
	for _, p := range pattern {
		if !p.isWildcard() && !take(p.equal) {
			return 0, false
		}
	}
	for _, p := range pattern {
		if !p.isWildcard() {
			continue
		}
		if !take(func(a attribute) bool { return a.oid == p.oid }) {
			return 0, false
		}
		wildcards++
	}
	return wildcards, true
}
