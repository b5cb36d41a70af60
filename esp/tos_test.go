package esp

import (
	"bytes"
	"errors"
	"testing"
)

// ecnNames are the code points of ECN (RFC 3168, 5).
var ecnNames = map[string]uint8{"NotECT": 0, "ECT1": 1, "ECT0": 2, "CE": 3}

// rfc6040 is figure 4 of RFC 6040, 4.2: arriving inner and outer header, and what
// leaves.
var rfc6040 = []struct{ inner, outer, leaves string }{
	{"NotECT", "NotECT", "NotECT"}, {"NotECT", "ECT0", "NotECT"}, {"NotECT", "ECT1", "NotECT"}, {"NotECT", "CE", "drop"},
	{"ECT0", "NotECT", "ECT0"}, {"ECT0", "ECT0", "ECT0"}, {"ECT0", "ECT1", "ECT1"}, {"ECT0", "CE", "CE"},
	{"ECT1", "NotECT", "ECT1"}, {"ECT1", "ECT0", "ECT1"}, {"ECT1", "ECT1", "ECT1"}, {"ECT1", "CE", "CE"},
	{"CE", "NotECT", "CE"}, {"CE", "ECT0", "CE"}, {"CE", "ECT1", "CE"}, {"CE", "CE", "CE"},
}

// withTOS returns the packet with another TOS octet or traffic class.
func withTOS(pkt []byte, tos uint8) []byte {
	pkt = bytes.Clone(pkt)
	if pkt[0]>>4 == 6 {
		pkt[0], pkt[1] = 6<<4|tos>>4, tos<<4|pkt[1]&15
		return pkt
	}
	pkt[1] = tos
	setHeaderChecksum(pkt[:20])
	return pkt
}

func TestDecapsulationRFC6040(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := newPair(t, suiteOf(t, "aes128gcm16").sa())
		plain := udp(t, v6, 77)
		if v6 {
			plain[2], plain[3] = 0xab, 0xcd // a flow label beside the traffic class
			plain[1] |= 5
		}
		for _, c := range rfc6040 {
			const dscp = 0xa8 // inside; outside it is another one, which is not taken over
			inner := withTOS(plain, dscp|ecnNames[c.inner])
			pkt, _ := p.seal(t, inner)
			got, err := p.open(pkt, Inbound{TOS: 0x50 | ecnNames[c.outer]})
			if c.leaves == "drop" {
				if !errors.Is(err, ErrDrop) {
					t.Errorf("inner %s, outer %s: %v", c.inner, c.outer, err)
				}
				continue
			}
			if want := withTOS(plain, dscp|ecnNames[c.leaves]); err != nil || !bytes.Equal(got, want) {
				t.Errorf("inner %s, outer %s: %x, %v\nwant %x", c.inner, c.outer, got, err, want)
				continue
			}
			parse(t, got)
		}
	}
}

// TestECNKeepsWrongChecksums: whoever forwards the packet is to see that it was broken.
func TestECNKeepsWrongChecksums(t *testing.T) {
	inner := withTOS(udp(t, false, 60), 2)
	inner[10] ^= 1
	h, err := parseHeader(inner)
	if err != nil {
		t.Fatal(err)
	}
	if err := (tosRules{decapDSCP: true}).decapsulate(inner, h, 0xfb); err != nil || finish(sum(0, inner[:20])) == 0 {
		t.Fatalf("%v; the checksum has been made good", err)
	}
}

// TestDecapsulationRules: what comes over from the outer header when it is asked to,
// or not to (RFC 2983, 4.1; RFC 6040, 4.2). The flow label of IPv6 stays.
func TestDecapsulationRules(t *testing.T) {
	for _, c := range []struct {
		name               string
		decapDSCP, noECN   bool
		inner, outer, want uint8
	}{
		{"DSCP", true, false, 0xa8, 0x50, 0x50},
		{"DSCP and congestion", true, false, 0xaa, 0x53, 0x53},
		{"DSCP, ECN stays", true, false, 0xaa, 0x50, 0x52},
		{"no ECN", false, true, 0xaa, 0x53, 0xaa},
		{"no ECN, nothing is dropped", false, true, 0xa8, 0x53, 0xa8},
		{"DSCP, no ECN", true, true, 0xaa, 0x53, 0x52},
		{"nothing changes", true, false, 0x51, 0x51, 0x51},
	} {
		for _, v6 := range []bool{false, true} {
			sa := suiteOf(t, "aes128gcm16").sa()
			sa.DecapDSCP, sa.NoECN = c.decapDSCP, c.noECN
			plain := udp(t, v6, 77)
			if v6 {
				plain[1], plain[2], plain[3] = plain[1]|5, 0xab, 0xcd
			}
			p := newPair(t, sa)
			pkt, _ := p.seal(t, withTOS(plain, c.inner))
			got, err := p.open(pkt, Inbound{TOS: c.outer})
			if want := withTOS(plain, c.want); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, IPv6 %t: %x, %v\nwant %x", c.name, v6, got, err, want)
				continue
			}
			parse(t, got)
		}
	}
}

func TestOuterHeader(t *testing.T) {
	for _, c := range []struct {
		name               string
		v6, df             bool
		copyDSCP, noCopyDF bool
		noECN              bool
		tos                uint8
		want               Outer
	}{
		{name: "ECN goes out, DSCP does not", tos: 0xba, want: Outer{TOS: 2}},
		{name: "CE goes out", tos: 0x03, want: Outer{TOS: 3}},
		{name: "DSCP copied", copyDSCP: true, tos: 0xb9, want: Outer{TOS: 0xb9}},
		{name: "ECN stays inside", noECN: true, tos: 0xbb, want: Outer{}},
		{name: "DSCP copied, ECN stays inside", noECN: true, copyDSCP: true, tos: 0xbb, want: Outer{TOS: 0xb8}},
		{name: "neither of IPv6", v6: true, noECN: true, tos: 0xbb, want: Outer{DF: true}},
		{name: "DF copied", df: true, want: Outer{DF: true}},
		{name: "DF not copied", df: true, noCopyDF: true},
		{name: "no DF inside, none outside", noCopyDF: true},
		{name: "IPv6 is never fragmented", v6: true, want: Outer{DF: true}},
		{name: "IPv6, DF not copied", v6: true, noCopyDF: true},
		{name: "traffic class", v6: true, copyDSCP: true, tos: 0xb9, want: Outer{TOS: 0xb9, DF: true}},
		{name: "ECN of IPv6", v6: true, tos: 0xb9, want: Outer{TOS: 1, DF: true}},
	} {
		sa := suiteOf(t, "aes128gcm16").sa()
		sa.CopyDSCP, sa.NoCopyDF, sa.NoECN = c.copyDSCP, c.noCopyDF, c.noECN
		inner := udp(t, c.v6, 80)
		if c.df {
			inner[6] |= flagDF >> 8
		}
		inner = withTOS(inner, c.tos)
		if _, out := newPair(t, sa).seal(t, inner); out != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, out, c.want)
		}
	}
}
