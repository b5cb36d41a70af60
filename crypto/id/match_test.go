package id

import "testing"

func mustParse(t *testing.T, s string) ID {
	t.Helper()
	i, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// The cases and the order of strongSwan's unit tests of matching.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		peer, pattern string
		want          int
	}{
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH, E=moon@strongswan.org, CN=moon", matchExact},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=ch, E=moon@STRONGSWAN.ORG, CN=Moon", matchExact},
		{"C=CH, E=moon@strongswan.org, CN=moon", " / C=CH / E=moon@strongswan.org / CN=moon", matchExact},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH, E=*@strongswan.org, CN=moon", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH, E=*, CN=moon", matchExact - 1},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH, E=*, CN=*", matchExact - 2},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=*, E=*, CN=*", matchExact - 3},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=*, E=*, CN=*, O=BADInc", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=*, E=*", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=*, E=a@b.c, CN=*", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "E=moon@strongswan.org, C=CH, CN=moon", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH/E=moon@strongswan.org/CN=moon", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "C=CH E=moon@strongswan.org CN=moon", matchNone},
		{"C=CH, E=moon@strongswan.org, CN=moon", "%any", matchAny},
		{"%any", "%any", matchAny},
		{"%any", "moon@strongswan.org", matchNone},
		{"%any", "vpn.strongswan.org", matchNone},
		{"keyid:foo=bar", "keyid:foo=bar", matchExact},
		{"keyid:foo=bar", "keyid:bar=foo", matchNone},
		{"keyid:foo=bar", "keyid:foo=*", matchNone},
		{"keyid:foo", "keyid:FOO", matchNone},
		{"keyid:foo", "fqdn:foo", matchNone},
		{"192.168.1.1", "192.168.1.1", matchExact},
		{"192.168.1.1", "192.168.1.2", matchNone},
		{"192.168.1.1", "@192.168.1.1", matchNone},
		{"192.168.1.1", "%any", matchAny},
		{"fec0::1", "fec0::1", matchExact},
		{"fec0::1", "fec0::2", matchNone},
		{"moon@strongswan.org", "moon@strongswan.org", matchExact},
		{"moon@strongswan.org", "Moon@strongSwan.ORG", matchExact},
		{"moon@strongswan.org", "*@strongswan.org", matchExact - 1},
		{"moon@strongswan.org", "email:*", matchLeast},
		{"moon@strongswan.org", "*strongswan.org", matchNone},
		{"@@strongswan.org", "*@strongswan.org", matchNone},
		{"moon@strongswan.org", "moon.strongswan.org", matchNone},
		{"vpn.strongswan.org", "vpn.strongswan.org", matchExact},
		{"vpn.strongswan.org", "*.strongswan.org", matchExact - 1},
		{"vpn.strongswan.org", "*.strongSwan.ORG", matchExact - 1},
		{"vpn.strongswan.org", "*strongswan.org", matchExact - 1},
		{"vpn.strongswan.org", "*.org", matchExact - 1},
		{"vpn.strongswan.org", "*vpn.strongswan.org", matchNone},
		{"vpn.strongswan.org", "strongswan.org", matchNone},
		{"strongswan.org", "*.strongswan.org", matchNone},
		{"vpn.strongswan.org", "*", matchAny},
		{"strongswan.org", "\u017ftrongswan.org", matchNone}, // long s, which Unicode folds to s
		{"*.strongswan.org", "vpn.strongswan.org", matchNone},
		{"O=a  b", "O= A b ", matchExact},
		{"O=ab", "O=a b", matchNone},
		{"C=DE, CN=moon + serialNumber=42", "C=DE, serialNumber=42 + CN=moon", matchExact},
		{"C=DE, CN=moon + serialNumber=42", "C=DE, serialNumber=* + CN=moon", matchExact - 1},
		{"C=DE, CN=moon + serialNumber=42", "C=DE, CN=moon, serialNumber=42", matchNone},
		{"C=DE, CN=moon + serialNumber=42", "C=DE, CN=moon", matchNone},
		{"C=DE, CN=moon + CN=sun", "C=DE, CN=* + CN=sun", matchExact - 1},
		{"C=DE, CN=moon + CN=sun", "C=DE, CN=* + CN=stars", matchNone},
		{"C=DE, CN=moon + OU=sun", "C=DE, CN=moon + C=*", matchNone},
		{"CN=#0500", "CN=#0500", matchExact},
		{"CN=#0500", "CN=#050100", matchNone},
		{"CN=#0c016d", "CN=#13014d", matchExact},             // UTF8String m, PrintableString M
		{"CN=#1e02006d", "CN=m", matchExact},                 // BMPString
		{"CN=#1c040000006d", "CN=m", matchExact},             // UniversalString
		{"CN=#1402f66d", "CN=\u00f6m", matchExact},           // T61String
		{"CN=#1e02d800", "CN=\ufffd", matchNone},             // a surrogate
		{"CN=#1302f66d", "CN=\u00f6m", matchNone},            // no PrintableString
		{"0.9.2342.19200300.100.1.1=x", "UID=x", matchExact}, // RFC 4519, 2.39
	} {
		pattern, err := Parse(c.pattern)
		peer, err2 := Parse(c.peer)
		if err != nil || err2 != nil {
			t.Errorf("%v %v", err, err2)
			continue
		}
		if got := pattern.Match(peer); got != c.want {
			t.Errorf("pattern %s, peer %s: %d, not %d", c.pattern, c.peer, got, c.want)
		}
	}
}

func TestManyWildcards(t *testing.T) {
	s, p := "CN=x", "CN=*"
	for range 30 {
		s, p = s+", OU=x", p+", OU=*"
	}
	if got := mustParse(t, p).Match(mustParse(t, s)); got != matchLeast {
		t.Errorf("%d", got)
	}
}

func TestIsWildcard(t *testing.T) {
	for s, want := range map[string]bool{
		"%any": true, "C=*, O=strongSwan, CN=gw": true, "C=CH, O=strongSwan, CN=*": true, "*@strongswan.org": true,
		"*.strongswan.org": true, "vpn.strongswan.org": false, "moon@strongswan.org": false, "192.168.1.1": false,
		"fec0::1": false, "keyid:*": false, "C=CH, O=strongSwan, CN=gw": false, "C=CH, CN=*.example.org": false,
	} {
		if got := mustParse(t, s).IsWildcard(); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if (ID{DN, "x"}).IsWildcard() || (ID{DN, "x"}).Match(ID{DN, "x"}) != 0 {
		t.Error("malformed DN")
	}
}

// TestUsableAsKey asserts that IDs from different sources are equal.
func TestUsableAsKey(t *testing.T) {
	wire, err := FromWire(2, []byte("moon"))
	if err != nil || map[ID]bool{mustParse(t, "@moon"): true}[wire] != true {
		t.Error("not found")
	}
}
