package id

import (
	"strings"
	"testing"
)

// The inputs and types of strongSwan's page "Identity Parsing" and of its unit
// tests of identities, as far as both agree on what an identity is.
func TestParse(t *testing.T) {
	const ch = "300d310b3009060355040613024348"
	for in, want := range map[string]ID{
		"": {}, "%any": {}, "%any6": {}, "0.0.0.0": {}, "0::0": {}, "::": {}, "*": {},
		"any":                   {FQDN, "any"},
		"any6":                  {FQDN, "any6"},
		"0":                     {FQDN, "0"},
		"192.168.1.1":           {IPv4, "\xc0\xa8\x01\x01"},
		"fec0::1":               {IPv6, "\xfe\xc0" + strings.Repeat("\x00", 13) + "\x01"},
		"fec0::":                {IPv6, "\xfe\xc0" + strings.Repeat("\x00", 14)},
		"alice@strongswan.org":  {Email, "alice@strongswan.org"},
		"alice@strongswan":      {Email, "alice@strongswan"},
		"alice@":                {Email, "alice@"},
		"alice":                 {FQDN, "alice"},
		"moon.strongswan.org":   {FQDN, "moon.strongswan.org"},
		"@strongswan.org":       {FQDN, "strongswan.org"},
		"@192.0.2.1":            {FQDN, "192.0.2.1"},
		"@@strongswan.org":      {Email, "strongswan.org"},
		"@#deadbeef":            {KeyID, "\xde\xad\xbe\xef"},
		"@#deadbee":             {KeyID, "\x0d\xea\xdb\xee"},
		"@#DE:AD:BE:EF":         {KeyID, "\xde\xad\xbe\xef"},
		"C=":                    {DN, unhex(t, "300b3109300706035504061300")},
		"C=CH":                  {DN, unhex(t, ch)},
		"C=CH,":                 {DN, unhex(t, ch)},
		"C=CH, ":                {DN, unhex(t, ch)},
		"c = CH":                {DN, unhex(t, ch)},
		"/C=CH":                 {DN, unhex(t, ch)},
		" / C = CH / ":          {DN, unhex(t, ch)},
		"2.5.4.6=CH":            {DN, unhex(t, ch)},
		"C=#13024348":           {DN, unhex(t, ch)},
		`C="CH"`:                {DN, unhex(t, ch)},
		`C=\43\48`:              {DN, unhex(t, ch)},
		"asn1dn:C=CH":           {DN, unhex(t, ch)},
		"asn1dn:#" + ch:         {DN, unhex(t, ch)},
		"IPv4:#c0a80101":        {IPv4, "\xc0\xa8\x01\x01"},
		"ipv4:192.168.1.1":      {IPv4, "\xc0\xa8\x01\x01"},
		"ipv4:0.0.0.0":          {IPv4, "\x00\x00\x00\x00"},
		"ipv6:fec0::":           {IPv6, "\xfe\xc0" + strings.Repeat("\x00", 14)},
		"email:tester":          {Email, "tester"},
		"rfc822:tester":         {Email, "tester"},
		"userfqdn:a@b":          {Email, "a@b"},
		"fqdn:tester":           {FQDN, "tester"},
		"dns:tester":            {FQDN, "tester"},
		"fqdn:#00ff":            {FQDN, "\x00\xff"},
		"keyid:foo=bar":         {KeyID, "foo=bar"},
		"keyid:#deadbeef":       {KeyID, "\xde\xad\xbe\xef"},
		"asn1gn:#82046d6f6f6e":  {GN, "\x82\x04moon"},
		"{1}:#c0a80101":         {IPv4, "\xc0\xa8\x01\x01"},
		"{0x02}:tester":         {FQDN, "tester"},
		"{99}:somedata":         {99, "somedata"},
		"{11}:some:data":        {KeyID, "some:data"},
		"*.example.org":         {FQDN, "*.example.org"},
		"*@example.org":         {Email, "*@example.org"},
		"@*.example.org":        {FQDN, "*.example.org"},
		"  moon.example.org\t ": {FQDN, "moon.example.org"},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("%q: %d %x (%v), not %d %x", in, got.Kind, got.Data, err, want.Kind, want.Data)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, reason := range map[string]string{
		"192.168.1.300":                      "not an IP address",
		"192.168.":                           "not an IP address",
		"192.168.1.0/24":                     "networks and ranges",
		"192.168.1.1-192.168.1.9":            "networks and ranges",
		"fec0:":                              "not an IP address",
		"fec0::1/64":                         "networks and ranges",
		"fe80::1%eth0":                       "no zone",
		"ipv4:fec0::1":                       "no ID_IPV4_ADDR address",
		"ipv6:192.0.2.1":                     "no ID_IPV6_ADDR address",
		"ipv4:#c0a801":                       "3 octets, not 4",
		"ipv4net:10.0.0.0/8":                 "networks and ranges",
		"xmppaddr:bob@strongswan.org":        "not supported",
		"@":                                  "is empty",
		"@@":                                 "is empty",
		"@#":                                 "is empty",
		"keyid:":                             "is empty",
		"@#xyz":                              "not hexadecimal",
		"asn1dn:#3001":                       "malformed DER",
		"asn1gn:x":                           "in hexadecimal",
		"{0}:x":                              "no ID type",
		"{256}:x":                            "no ID type",
		"{x}:x":                              "no ID type",
		"{9}:#00":                            "malformed DER",
		"**":                                 "a wildcard stands at the start only",
		"*@*":                                "a wildcard stands at the start only",
		"vpn.*.org":                          "a wildcard stands at the start only",
		"moon\x00":                           "control characters",
		"moon\nsun":                          "control characters",
		"m\xf6n":                             "control characters",
		"foo=bar":                            `unknown attribute "foo"`,
		"=bar":                               `unknown attribute ""`,
		"C=CH, O":                            `"O" has no "="`,
		"C=CH, , O=x":                        `"" has no "="`,
		"C=CH, AsdF=asdf":                    `unknown attribute "AsdF"`,
		"C=CH, AsdF":                         `"AsdF" has no "="`,
		`CN="moon`:                           "quote is not closed",
		`CN=moon\`:                           "last backslash",
		`CN=m\f6n`:                           "is not text",
		"CN=#13":                             "malformed DER",
		"CN=#xy":                             "not hexadecimal",
		"2.999999999999=x":                   "unknown attribute",
		"3.1=x":                              "unknown attribute",
		"1.40=x":                             "unknown attribute",
		strings.Repeat("x", maxText+1):       "is longer than",
		strings.Repeat("x", maxData+1):       "more than 4096",
		"CN=" + strings.Repeat("x", maxData): "more than 4096",
		strings.Repeat("CN=x,", maxAttributes) + "CN=x": "more than 64 attributes",
	} {
		i, err := Parse(in)
		if err == nil || i != (ID{}) {
			t.Errorf("%q: accepted as %v", in, i)
			continue
		}
		if !strings.Contains(err.Error(), reason) || strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 600 {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestParseDN(t *testing.T) {
	for in, shown := range map[string]string{
		"C=CH, O=strongSwan, CN=strongswan.org":    "C=CH, O=strongSwan, CN=strongswan.org",
		"cn=strongswan.org,o=strongSwan,c=CH":      "CN=strongswan.org, O=strongSwan, C=CH",
		"/C=CH/O=strongSwan/CN=strongswan.org":     "C=CH, O=strongSwan, CN=strongswan.org",
		"C=CH, email=moon@strongswan.org, CN=moon": "C=CH, E=moon@strongswan.org, CN=moon",
		"emailAddress=moon@strongswan.org":         "E=moon@strongswan.org",
		"C= , ":                                    "C=",
		"C=, O=strongSwan":                         "C=, O=strongSwan",
		"S=Bern, ST=Bern":                          "ST=Bern, ST=Bern",
		"C=CH/E=moon@strongswan.org/CN=moon":       "C=CH/E=moon@strongswan.org/CN=moon",
		"/O=a, b/CN=x":                             `O=a\, b, CN=x`,
		`O=a\, b, CN=x`:                            `O=a\, b, CN=x`,
		`O="a, b", CN=x`:                           `O=a\, b, CN=x`,
		`O=" a ", CN=x`:                            `O=\20a\20, CN=x`,
		`CN=a\22\5c`:                               `CN=a\"\\`,
		`CN=\#1`:                                   `CN=\#1`,
		"CN=a+b":                                   `CN=a\+b`,
		"CN=a+OU=b":                                "CN=a + OU=b",
		"C=DE, CN=moon + serialNumber=42":          "C=DE, serialNumber=42 + CN=moon",
		"O=Müller & Söhne":                         "O=Müller & Söhne",
		`CN=a\0ab`:                                 `CN=a\0ab`,
		`CN=a` + "\n" + `b`:                        `CN=a\0ab`,
		"1.2.840.113549.1.9.1=a@b":                 "E=a@b",
		"1.3.6.1.4.1.99999.7=x":                    "1.3.6.1.4.1.99999.7=x",
		"2.999.3=x":                                "2.999.3=x",
		"CN=#0500":                                 "CN=#0500",
		"CN=*":                                     "CN=*",
	} {
		i, err := Parse(in)
		if err != nil || i.Kind != DN || i.String() != shown {
			t.Errorf("%q: %v (%v), not %s", in, i, err, shown)
		}
		if again, err := Parse(shown); err != nil || again != i {
			t.Errorf("%q: shown as %q, which is %v (%v)", in, i, again, err)
		}
	}
}

// TestParseLikeOpenSSL compares with the encodings of OpenSSL, which differ in
// string types only.
func TestParseLikeOpenSSL(t *testing.T) {
	for in, der := range map[string]string{
		"C=CH, O=Linux strongSwan, CN=moon.strongswan.org":                                moonDN,
		"DC=org, DC=strongswan, O=Accounting, UID=1234, CN=carol, E=carol@strongswan.org": carolDN,
		"C=DE, CN=moon + serialNumber=42":                                                 multiDN,
	} {
		i, err := Parse(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if peer := (ID{DN, unhex(t, der)}); i.Match(peer) != matchExact || peer.Match(i) != matchExact {
			t.Errorf("%q is not what OpenSSL encodes: %x", in, i.Data)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "%any", "192.0.2.1", "2001:db8::1", "moon.example.org", "@moon", "@@carol", "@#6d6f", "carol@example.org",
		"C=DE, O=Example, CN=moon", "/C=DE/O=Example", `CN="a, b"+OU=\20x`, "CN=#0c0178", "keyid:#00", "{11}:x", "*.example.org",
		"asn1dn:#3000", "1.2.3=x", "CN=*, C=DE",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		i, err := Parse(s)
		if err != nil {
			if i != (ID{}) || len(err.Error()) > 800 {
				t.Fatalf("%v beside %v", i, err)
			}
			return
		}
		if len(i.Data) > maxData {
			t.Fatalf("%d octets", len(i.Data))
		}
		if shown := i.String(); len(shown) > maxShown || !printable(shown) {
			t.Fatalf("%q is shown as %q", s, shown)
		}
		if i.Kind == Any {
			return
		}
		kind, data := i.Wire()
		if again, err := FromWire(kind, data); err != nil || again != i {
			t.Fatalf("%q: %x is refused on the wire: %v", s, data, err)
		}
		if !i.IsWildcard() && i.Match(i) != matchExact {
			t.Fatalf("%q does not match itself", s)
		}
	})
}
