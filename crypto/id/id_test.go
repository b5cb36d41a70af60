package id

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// moonDN is C=CH, O=Linux strongSwan, CN=moon.strongswan.org as OpenSSL 3.0 encodes
// the subject of a certificate (openssl req -subj).
const moonDN = "3046310b300906035504061302434831193017060355040a0c104c696e7578207374726f6e67" +
	"5377616e311c301a06035504030c136d6f6f6e2e7374726f6e677377616e2e6f7267"

// carolDN is DC=org, DC=strongswan, O=Accounting, UID=1234, CN=carol, E=..., and
// multiDN is C=DE, serialNumber=42 + CN=moon, both by OpenSSL 3.0.
const (
	carolDN = "30819131133011060a0992268993f22c64011916036f7267311a3018060a0992268993f22c640119160a" +
		"7374726f6e677377616e31133011060355040a0c0a4163636f756e74696e6731143012060a0992268993f22c" +
		"6401010c0431323334310e300c06035504030c056361726f6c3123302106092a864886f70d01090116146361" +
		"726f6c407374726f6e677377616e2e6f7267"
	multiDN = "3027310b300906035504061302444531183009060355040513023432300b06035504030c046d6f6f6e"
)

func TestFromWire(t *testing.T) {
	for name, c := range map[string]struct {
		kind  uint8
		data  string
		shown string // "" if it is refused
	}{
		"reserved type":        {0, "moon", ""},
		"IPv4":                 {1, "\xc0\x00\x02\x01", "192.0.2.1"},
		"any IPv4 address":     {1, "\x00\x00\x00\x00", "0.0.0.0"},
		"short IPv4":           {1, "\xc0\x00\x02", ""},
		"long IPv4":            {1, "\xc0\x00\x02\x01\x00", ""},
		"IPv6":                 {5, "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01", "2001:db8::1"},
		"IPv4 address as IPv6": {5, "\xc0\x00\x02\x01", ""},
		"FQDN":                 {2, "moon.example.org", "moon.example.org"},
		"FQDN of two lines":    {2, "moon\nsun\x00\\", `moon\x0asun\x00\x5c`},
		"FQDN not in UTF-8":    {2, "m\xf6n", `m\xf6n`},
		"FQDN turned around":   {2, "a\u202eb", `a\xe2\x80\xaeb`},
		"empty FQDN":           {2, "", ""},
		"email":                {3, "carol@example.org", "carol@example.org"},
		"empty email":          {3, "", ""},
		"key ID":               {11, "\xde\xad\xbe\xef", "de:ad:be:ef"},
		"printable key ID":     {11, "gateway 1", "gateway 1"},
		"key ID like SHA-1":    {11, "ABCDEFGHIJKLMNOPQRST", "41:42:43:44:45:46:47:48:49:4a:4b:4c:4d:4e:4f:50:51:52:53:54"},
		"empty key ID":         {11, "", ""},
		"general name":         {10, "\x82\x04moon", "(ASN.1 general name)"},
		"null":                 {13, "", "ID_NULL"},
		"null with data":       {13, "x", ""},
		"unknown":              {255, "x", "(unknown ID type: 255)"},
		"DN":                   {9, unhex(t, moonDN), "C=CH, O=Linux strongSwan, CN=moon.strongswan.org"},
		"DN of many kinds": {9, unhex(t, carolDN),
			"DC=org, DC=strongswan, O=Accounting, UID=1234, CN=carol, E=carol@strongswan.org"},
		"DN with two attributes in a part": {9, unhex(t, multiDN), "C=DE, serialNumber=42 + CN=moon"},
		"empty DN":                         {9, "\x30\x00", "asn1dn:#3000"},
		"DN of no octets":                  {9, "", ""},
		"DN with a tail":                   {9, unhex(t, moonDN) + "\x00", ""},
		"DN cut":                           {9, unhex(t, moonDN)[:40], ""},
		"DN with empty set":                {9, "\x30\x02\x31\x00", ""},
		"DN in BER":                        {9, "\x30\x80\x00\x00", ""},
		// C=CH, O=strongSwan, the second with the tag of NULL for its type (from strongSwan's tests).
		"DN without OID": {9, unhex(t, "3020311e3009060355040613024348301105035504"+"0a130a7374726f6e675377616e"), ""},
		"too long":       {2, strings.Repeat("a", maxData+1), ""},
	} {
		i, err := FromWire(c.kind, []byte(c.data))
		if (err == nil) != (c.shown != "") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err != nil {
			if i != (ID{}) {
				t.Errorf("%s: an ID beside an error", name)
			}
			continue
		}
		if s := i.String(); s != c.shown {
			t.Errorf("%s: shown as %s, not %s", name, s, c.shown)
		}
		if kind, data := i.Wire(); kind != c.kind || string(data) != c.data {
			t.Errorf("%s: comes back as %d %x", name, kind, data)
		}
	}
}

func TestStringIsBounded(t *testing.T) {
	for _, i := range []ID{
		{FQDN, strings.Repeat("a", maxData)},
		{FQDN, strings.Repeat("\n", maxData)},
		{Email, strings.Repeat("ö", maxData/2)},
		{KeyID, strings.Repeat("\x00", maxData)},
		{DN, strings.Repeat("\x00", maxData)},
	} {
		if s := i.String(); len(s) > maxShown || !strings.HasSuffix(s, "...") && i.Kind != DN {
			t.Errorf("%d octets: %s", len(s), s)
		}
	}
}

func TestFromAddr(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1",
		"::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1":      "2001:db8::1",
		"fe80::1%eth0":     "fe80::1",
	} {
		if s := FromAddr(netip.MustParseAddr(addr)).String(); s != want {
			t.Errorf("%s: %s", addr, s)
		}
	}
	if i := FromAddr(netip.Addr{}); i != (ID{}) {
		t.Errorf("no address: %v", i)
	}
}

func TestKindNames(t *testing.T) {
	// IANA, IKEv2 Identification Payload ID Types.
	for k, want := range map[Kind]string{
		1: "ID_IPV4_ADDR", 2: "ID_FQDN", 3: "ID_RFC822_ADDR", 5: "ID_IPV6_ADDR", 9: "ID_DER_ASN1_DN",
		10: "ID_DER_ASN1_GN", 11: "ID_KEY_ID", 13: "ID_NULL", 99: "ID type 99", Any: "%any",
	} {
		if k.String() != want {
			t.Errorf("%d: %s", uint8(k), k)
		}
	}
}

func FuzzFromWire(f *testing.F) {
	f.Add(uint8(1), []byte{192, 0, 2, 1})
	f.Add(uint8(2), []byte("moon.example.org"))
	f.Add(uint8(3), []byte("*@example.org"))
	f.Add(uint8(11), []byte{0xde, 0xad, 0xbe, 0xef})
	f.Add(uint8(13), []byte{})
	for _, dn := range []string{moonDN, carolDN, multiDN} {
		f.Add(uint8(9), []byte(unhex(f, dn)))
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		i, err := FromWire(kind, data)
		if err != nil {
			return
		}
		if k, d := i.Wire(); k != kind || string(d) != string(data) {
			t.Fatal("comes back changed")
		}
		shown := i.String()
		if len(shown) > maxShown || !printable(shown) {
			t.Fatalf("shown as %q", shown)
		}
		if i.Match(i) == matchNone && !i.IsWildcard() {
			t.Fatalf("%s does not match itself", i)
		}
		if i.Kind != DN || len(i.text()) > maxShown {
			return
		}
		// What is shown of a distinguished name reads as the same name.
		again, err := Parse(shown)
		if err != nil || !i.IsWildcard() && again.Match(i) != matchExact {
			t.Fatalf("%x: %s reads as %v (%v)", data, shown, again, err)
		}
	})
}
