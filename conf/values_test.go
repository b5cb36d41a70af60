package conf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "9m": 9 * time.Minute, "3h": 3 * time.Hour, "2d": 48 * time.Hour, "1y": 365 * 24 * time.Hour,
		"500ms": 500 * time.Millisecond, "0s": 0, "007s": 7 * time.Second, "100y": 100 * 365 * 24 * time.Hour,
	} {
		if d, err := ParseDuration(text); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "s", "90", "-1s", "+1s", "1.5h", "1 h", "h1", "1H", "1w", "1h30m", "forever", "101y", "99999999999999999999s", "1_0s", "٣s"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, d)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"90s", "9m", "3h", "2d", "1y", "500ms", "forever", "18446744073709551616s", "100y", "0ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 || d > maxDuration {
			t.Errorf("%q: %v", text, d)
		}
		if again, err := ParseDuration(FormatDuration(d)); d != 0 && (err != nil || again != d) {
			t.Errorf("%q is written %q and read again as %v, %v", text, FormatDuration(d), again, err)
		}
	})
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		Forever: "forever", 90 * time.Second: "90s", time.Hour: "1h", 24 * time.Hour: "1d", 365 * 24 * time.Hour: "1y", 3 * time.Millisecond: "3ms",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestGateway(t *testing.T) {
	for text, want := range map[string]Gateway{
		"any": {Any: true}, "%any": {Any: true},
		"192.0.2.1":      {Prefix: netip.MustParsePrefix("192.0.2.1/32")},
		"2001:db8::1":    {Prefix: netip.MustParsePrefix("2001:db8::1/128")},
		"192.0.2.0/24":   {Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		"vpn.example.o":  {Host: "vpn.example.o"},
		"gw_1":           {Host: "gw_1"},
		"4.example.org.": {Host: "4.example.org."},
	} {
		g, err := ParseGateway(text)
		if err != nil || g != want {
			t.Errorf("%s: %+v, %v", text, g, err)
		}
		if _, single := g.Single(); single != (g.Prefix.IsValid() && g.Prefix.IsSingleIP()) || g.Dialable() != (single || g.Host != "") {
			t.Errorf("%s: single %v, dialable %v", text, single, g.Dialable())
		}
		if text != "%any" && g.String() != text {
			t.Errorf("%s is written %s", text, g)
		}
	}
	for text, want := range map[string]string{
		"": "is no address", "192.0.2.300": "is no address", "1.2.3": "is no address", "::g": "is no address",
		"192.0.2.1/24": "the network is 192.0.2.0/24", "192.0.2.0/33": "bad prefix length",
		"0.0.0.0": `every address is "any"`, "::": `every address is "any"`, "224.0.0.1": "multicast", "fe80::1%eth0": "zone", "::ffff:1.2.3.4": "write 1.2.3.4",
		"a..b": "neither an address nor a host name", "-a.b": "neither", "a b": "neither", "a,b": "neither", "ä.org": "neither",
		strings.Repeat("a", 64): "neither", strings.Repeat("a.", 127): "longer than a host name",
	} {
		if g, err := ParseGateway(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, g, err, want)
		}
	}
}

func TestGatewayID(t *testing.T) {
	for text, want := range map[string]string{"192.0.2.1": "1 c0000201", "2001:db8::1": "5 20010db8000000000000000000000001", "any": "0 ", "192.0.2.0/24": "0 ", "a.b": "0 "} {
		g, err := ParseGateway(text)
		i := GatewayID(Gateways{g})
		if got := fmt.Sprintf("%d %x", i.Kind, i.Data); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestSecret(t *testing.T) {
	for text, want := range map[string]string{
		"text": "text", "0x00ff": "\x00\xff", "0xAbCd": "\xab\xcd", "0sAAEC": "\x00\x01\x02", "0sAAE=": "\x00\x01", "0sAAE": "\x00\x01",
		"0": "0", "0y": "0y", " 0xzz": " 0xzz", "ü": "\xc3\xbc", "0X00": "0X00",
	} {
		b := []byte(text)
		s, err := ParseSecret(b)
		clear(b)
		if err != nil || string(s) != want {
			t.Errorf("%s: %x, %v", text, []byte(s), err)
		}
		if shown := fmt.Sprintf("%v %x %q %#v", s, s, s, s); shown != "[redacted] [redacted] [redacted] [redacted]" {
			t.Errorf("%s is shown as %s", text, shown)
		}
	}
	for _, text := range []string{"", "0x", "0s", "0x123", "0xsecret", "0sse*ret", "0sA"} {
		s, err := ParseSecret([]byte(text))
		if err == nil {
			t.Errorf("%q: %d octets", text, len(s))
		} else if len(text) > 3 && strings.Contains(err.Error(), text[2:]) {
			t.Errorf("%q: the error shows it: %v", text, err)
		}
	}
}

func TestWords(t *testing.T) {
	got := fmt.Sprint(UniqueReplace, UniqueNo, UniqueNever, UniqueKeep, BackendAuto, BackendKernel, BackendUserspace, BackendNone,
		VersionAuto, IKEv1, IKEv2, Start, OnDemand, ResponderOnly, DPDRestart, DPDClear, DPDHold, DPDNone, ChildlessAllow, ChildlessPrefer, ChildlessForce, ChildlessNever,
		AuthPSK, Tunnel, Transport, Mode(9))
	want := "yes no never keep auto kernel userspace none auto ikev1 ikev2 start on-demand responder-only restart clear hold none allow prefer force never psk tunnel transport unknown (9)"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestErrors(t *testing.T) {
	es := Errors{{"b", 1, 1, "x"}, {"a", 10, 2, "y"}, {"a", 9, 3, "z"}, {"a", 9, 2, "w"}, {"a", 0, 0, "whole"}}
	es.Sort()
	if got, want := es.Error(), "a: whole\na:9:2: w\na:9:3: z\na:10:2: y\nb:1:1: x"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	ws := []Warning{{"a", 2, 1, "x"}, {"a", 1, 1, "y"}}
	SortWarnings(ws)
	if fmt.Sprint(ws) != "[a:1:1: y a:2:1: x]" {
		t.Error(ws)
	}
}

// Several gateways are called in their order, are no single address, and cover what each
// of them covers.
func TestGateways(t *testing.T) {
	gateways := func(words ...string) (gs Gateways) {
		for _, w := range words {
			g, err := ParseGateway(w)
			if err != nil {
				t.Fatal(err)
			}
			gs = append(gs, g)
		}
		return gs
	}
	for _, c := range []struct {
		gs                    Gateways
		text                  string
		dialable, covers, any bool
	}{
		{gateways("192.0.2.1"), "192.0.2.1", true, true, false},
		{gateways("198.51.100.0/24", "gw.example.org"), "198.51.100.0/24, gw.example.org", true, false, false},
		{gateways("198.51.100.0/24", "192.0.2.0/24"), "198.51.100.0/24, 192.0.2.0/24", false, true, false},
		{gateways("198.51.100.1", "any"), "198.51.100.1, any", true, true, true},
		{nil, "", false, false, false},
	} {
		if c.gs.String() != c.text || c.gs.Dialable() != c.dialable || c.gs.Covers(netip.MustParseAddr("192.0.2.1")) != c.covers || c.gs.Any() != c.any {
			t.Errorf("%s: %v", c.text, c.gs)
		}
		if a, ok := c.gs.Single(); ok != (c.text == "192.0.2.1") || ok && a.String() != c.text {
			t.Errorf("%s is the single address %s, %v", c.text, a, ok)
		}
	}
	if i := GatewayID(gateways("192.0.2.1", "192.0.2.2")); i.Kind != 0 {
		t.Errorf("of two addresses one is expected as identity: %s", i)
	}
}
