package wire

import (
	"fmt"
	"net/netip"
	"testing"
)

func selector(proto uint8, from, to uint16, start, end string) Selector {
	return Selector{Proto: proto, StartPort: from, EndPort: to, Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end)}
}

const (
	net4   = "07000010 0000ffff 0a010000 0a01ffff"
	net6   = "08000028 0000ffff fd010000000000010000000000000000 fd01000000000001ffffffffffffffff"
	l2tp4  = "07110010 06a506a5 c0000202 c0000202"
	opaque = "07000010 ffff0000 0a010000 0a01ffff"
)

func TestTS(t *testing.T) {
	any4 := selector(0, 0, 65535, "10.1.0.0", "10.1.255.255")
	any6 := selector(0, 0, 65535, "fd01:0:0:1::", "fd01:0:0:1:ffff:ffff:ffff:ffff")
	testPayloads(t, []payloadCase{
		{name: "both families", kind: PayloadTSi, body: "02000000" + net4 + net6, want: &TS{Selectors: []Selector{any4, any6}}},
		{name: "ports", kind: PayloadTSr, body: "01000000" + l2tp4, want: &TS{Responder: true, Selectors: []Selector{selector(17, 1701, 1701, "192.0.2.2", "192.0.2.2")}}},
		{name: "OPAQUE", kind: PayloadTSi, body: "01000000" + opaque, want: &TS{Selectors: []Selector{selector(0, 65535, 0, "10.1.0.0", "10.1.255.255")}}},
		{name: "IPv4 in IPv6 stays", kind: PayloadTSi, body: "01000000 08000028 0000ffff 00000000000000000000ffff0a010000 00000000000000000000ffff0a01ffff",
			want: &TS{Selectors: []Selector{selector(0, 0, 65535, "::ffff:10.1.0.0", "::ffff:10.1.255.255")}}},
		{name: "none", kind: PayloadTSr, body: "00000000", want: &TS{Responder: true}},
		{name: "reserved", kind: PayloadTSi, body: "01ffffff" + net4, canon: "01000000" + net4, want: &TS{Selectors: []Selector{any4}}},
		{name: "unknown type", kind: PayloadTSi, body: "02000000 0911000c 0102030405060708" + net4, canon: "01000000" + net4, want: &TS{Selectors: []Selector{any4}}},
		{name: "unknown types alone", kind: PayloadTSi, body: "02000000 09110004 0a110008 01020304", canon: "00000000", want: &TS{}},
		{name: "short", kind: PayloadTSi, body: "010000", err: "TSi payload: 3 octets"},
		{name: "fewer than counted", kind: PayloadTSr, body: "02000000" + net4, err: "TSr payload: selector cut off after 0 octets"},
		{name: "more than counted", kind: PayloadTSi, body: "01000000" + net4 + net4, err: "16 octets behind the last of 1 selectors"},
		{name: "255 counted", kind: PayloadTSi, body: "ff000000", err: "selector cut off"},
		{name: "length 0", kind: PayloadTSi, body: "02000000 09000000 09000000", err: "selector of length 0"},
		{name: "length 3", kind: PayloadTSi, body: "02000000 09000003 09000000", err: "selector of length 3"},
		{name: "length beyond the end", kind: PayloadTSi, body: "01000000 09000005", err: "selector of length 5, 4 octets are left"},
		{name: "IPv4 with length 40", kind: PayloadTSi, body: "01000000 07000028" + repeat("00", 36), err: "selector of type 7 has length 40"},
		{name: "IPv6 with length 16", kind: PayloadTSi, body: "01000000 08000010" + repeat("00", 12), err: "selector of type 8 has length 16"},
		{name: "IPv4 with length 4", kind: PayloadTSi, body: "01000000 07000004", err: "selector of type 7 has length 4"},
		{name: "addresses the wrong way round", kind: PayloadTSi, body: "01000000 07000010 0000ffff 0a01ffff 0a010000", err: "addresses from 10.1.255.255 to 10.1.0.0"},
		{name: "IPv6 addresses the wrong way round", kind: PayloadTSr, body: "01000000 08000028 0000ffff" + repeat("ff", 16) + repeat("00", 16), err: "to ::"},
		{name: "ports the wrong way round", kind: PayloadTSi, body: "01000000 07110010 00020001 0a010000 0a01ffff", err: "ports from 2 to 1"},
	})
}

func TestTSLimits(t *testing.T) {
	for _, c := range []struct{ count, limit int }{{255, 0}, {3, 3}, {4, 3}} {
		b := unhex(t, fmt.Sprintf("%02x000000", c.count)+repeat(net4, c.count))
		ps, err := Parse(PayloadTSi, chain(t, b), Limits{Selectors: c.limit})
		if c.limit > 0 && c.count > c.limit {
			wantSyntax(t, err, "more than 3 selectors")
		} else if err != nil || len(ps[0].(*TS).Selectors) != c.count {
			t.Error(c, err)
		}
	}
}

func TestTSEncodable(t *testing.T) {
	many := make([]Selector, 256)
	for i := range many {
		many[i] = selector(0, 0, 65535, "10.0.0.0", "10.0.0.0")
	}
	for name, list := range map[string][]Selector{
		"no address":      {{}},
		"mixed families":  {selector(0, 0, 65535, "10.0.0.0", "fd00::")},
		"wrong way round": {selector(0, 0, 65535, "10.0.0.1", "10.0.0.0")},
		"ports":           {selector(0, 2, 1, "10.0.0.0", "10.0.0.0")},
		"256":             many,
	} {
		if _, _, err := AppendPayloads(nil, &TS{Selectors: list}); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
}

func TestGoldenTS(t *testing.T) {
	ps := readGolden(t, "psk-03-auth-request").inner(t)
	for responder, want := range map[bool]string{
		false: "[{0 0 65535 10.1.0.0 10.1.255.255} {0 0 65535 fd01:0:0:1:: fd01::1:ffff:ffff:ffff:ffff}]",
		true:  "[{0 0 65535 10.2.0.0 10.2.255.255} {0 0 65535 fd02:0:0:1:: fd02::1:ffff:ffff:ffff:ffff}]",
	} {
		ts := FindTS(ps, responder)
		if ts == nil || ts.Responder != responder || fmt.Sprint(ts.Selectors) != want {
			t.Errorf("responder %v: %+v, want %s", responder, ts, want)
		}
	}
	ts := FindTS(readGolden(t, "transport-03-auth-request").inner(t), false)
	if fmt.Sprint(ts.Selectors) != "[{17 1701 1701 192.0.2.2 192.0.2.2}]" {
		t.Errorf("transport mode: %+v", ts)
	}
}
