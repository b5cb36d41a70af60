package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
)

func TestStatesThatCannotBeWritten(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, tc := range []struct {
		change func(*State)
		want   string
	}{
		{func(s *State) { s.ID.Dst, s.Src = netip.Addr{}, netip.Addr{} }, "SA: neither address is given"},
		{func(s *State) { s.Src = addr("2001:db8::1") }, "SA: addresses of IPv4 and of IPv6"},
		{func(s *State) { s.CoAddr = addr("2001:db8::1") }, "SA: addresses of IPv4 and of IPv6"},
		{func(s *State) { s.Encap = &Encap{Original: addr("2001:db8::1")} }, "SA: addresses of IPv4 and of IPv6"},
		{func(s *State) { s.Src = addr("::ffff:192.0.2.1") }, "SA: the address ::ffff:192.0.2.1 is IPv4 in IPv6"},
		{func(s *State) { s.Sel = Selector{Src: prefix("10.0.0.0/8"), Dst: prefix("::/0")} }, "SA: selector: addresses of IPv4 and of IPv6"},
		{func(s *State) { s.Sel = Selector{Src: prefix("10.0.0.0/8"), Family: 10} }, "SA: selector: addresses of IPv4 and of IPv6"},
		{func(s *State) { s.Sel.Family = 7 }, "SA: selector: address family 7"},
		{func(s *State) { s.Window = 4097 }, "SA: a replay window of 4097 packets, at most 4096 are possible"},
		{func(s *State) { s.Window, s.Replay = 64, &Replay{Bitmap: []uint32{1}} }, "SA: a replay window of 64 packets has a bitmap of 2 words, not 1"},
		{func(s *State) { s.Replay = &Replay{Bitmap: []uint32{1, 2}} }, "SA: a replay window of 0 packets has a bitmap of 1 words, not 2"},
		{func(s *State) { s.Encr = &Alg{} }, `SA: algorithm "": a name has 1 to 63 octets`},
		{func(s *State) { s.Auth = &Alg{Name: long} }, `SA: algorithm "` + long + `": a name has 1 to 63 octets`},
		{func(s *State) { s.AEAD = &Alg{Name: "a\x00b"} }, `SA: algorithm "a\x00b": a name has 1 to 63 octets`},
		{func(s *State) { s.Comp = &Alg{Name: "deflate", Key: key(513)} }, "SA: algorithm deflate: a key of 513 octets, at most 512 are possible"},
	} {
		s := esp4(1, tc.change)
		if b, err := AppendState([]byte{1}, s); err == nil || err.Error() != tc.want || b != nil {
			t.Errorf("got %v, want %s", err, tc.want)
		}
		if b, err := AppendAllocSPI([]byte{1}, s, 1, 2); err == nil || err.Error() != tc.want || b != nil {
			t.Errorf("AllocSPI: got %v, want %s", err, tc.want)
		}
	}
	if _, err := AppendAllocSPI(nil, esp4(0, func(*State) {}), 2, 1); err == nil || err.Error() != "SPIs from 0x2 to 0x1" {
		t.Error(err)
	}
	if _, err := AppendSAID(nil, ID{SPI: 1, Proto: 50}, nil); err == nil || err.Error() != "SA: neither address is given" {
		t.Error(err)
	}
	if _, err := AppendSAID(nil, ID{Dst: addr("::ffff:192.0.2.1")}, nil); err == nil {
		t.Error("an address of IPv4 in IPv6 is written")
	}
}

func TestPoliciesThatCannotBeWritten(t *testing.T) {
	for _, tc := range []struct {
		p    Policy
		want string
	}{
		{Policy{}, "policy: selector: neither address is given"},
		{Policy{Sel: Selector{Src: prefix("10.0.0.0/8"), Dst: prefix("::/0")}}, "policy: selector: addresses of IPv4 and of IPv6"},
		{Policy{Sel: Selector{Family: 2}, Templates: make([]Template, 7)}, "policy: 7 templates, at most 6 are possible"},
		{Policy{Sel: Selector{Family: 2}, Templates: []Template{{}, {Family: 3}}}, "policy: template 2: address family 3"},
		{Policy{Sel: Selector{Family: 2}, Templates: []Template{{Src: addr("::1"), Dst: addr("192.0.2.1")}}}, "policy: template 1: addresses of IPv4 and of IPv6"},
	} {
		if _, err := AppendPolicy(nil, &tc.p); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	if _, err := AppendPolicyID(nil, &PolicyID{}); err == nil {
		t.Error("a policy without a family is written")
	}
}

// everything has each field that is written, and what is read for it.
func everything() *State {
	return &State{
		ID: ID{Dst: addr("2001:db8::2"), SPI: 0xc0000001, Proto: 50}, Src: addr("2001:db8::1"),
		Sel:    Selector{Src: prefix("10.0.0.0/8"), Dst: prefix("0.0.0.0/0"), SrcPorts: Ports{0x1200, 0xff00}, Proto: 17, IfIndex: -1, User: 1000, Family: 2},
		Limits: Limits{1, 2, 3, 4, 5, 6, 7, 8}, Seq: 9, ReqID: 10, Mode: Tunnel, Flags: ESN | AFUnspec, ExtraFlags: DontEncapDSCP,
		Window: 40, Replay: &Replay{OutSeq: 1, InSeq: 2, OutSeqHigh: 3, InSeqHigh: 4, Bitmap: []uint32{5, 6}},
		Encr: &Alg{Name: "cbc(aes)", Key: key(16)}, Auth: &Alg{Name: "hmac(sha256)", Key: key(32), ICVBits: 128},
		AEAD: gcm(128), Comp: &Alg{Name: "deflate", Key: crypto.Secret{}},
		Encap: &Encap{SrcPort: 1, DstPort: 2, Original: addr("2001:db8::3")}, CoAddr: addr("2001:db8::4"),
		Mark: &Mark{1, 2}, SetMark: &Mark{3, 4}, IfID: 5, Dir: SADirIn, TFCPad: 6,
		Offload: &OffloadDev{IfIndex: 7, Flags: OffloadPacket | OffloadInbound},
	}
}

func TestEverythingOfAStateComesBack(t *testing.T) {
	want := everything()
	for i, v := 0, reflect.ValueOf(*want); i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && name != "Used" && name != "Stats" && name != "LastUsed" {
			t.Errorf("%s is not tested", name)
		}
	}
	b, err := AppendState([]byte("head"), want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseState(b[4:])
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "SA", got, want)
}

func TestReadOnlyFields(t *testing.T) {
	b, err := AppendState(nil, everything())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		native.PutUint64(b[160+8*i:], uint64(i+1))
	}
	for i := range 3 {
		native.PutUint32(b[192+4*i:], uint32(i+5))
	}
	b, p := attribute(b, attrLastUsed, 8)
	native.PutUint64(p, 8)
	got, err := ParseState(b)
	if err != nil {
		t.Fatal(err)
	}
	want := everything()
	want.Used, want.Stats, want.LastUsed = Used{1, 2, 3, 4}, Stats{5, 6, 7}, 8
	wantSame(t, "SA", got, want)
}

// Keys are in one buffer only: it does not move while it is written.
func TestStateIsWrittenInPlace(t *testing.T) {
	s := everything()
	s.Window, s.Replay = 4096, nil
	s.Encr.Key = key(512)
	s.Auth.Name = strings.Repeat("x", 63)
	b := make([]byte, 0, s.size())
	got, err := AppendState(b, s)
	if err != nil {
		t.Fatal(err)
	}
	if &got[0] != &b[:1][0] {
		t.Errorf("%d octets do not fit into the %d that were thought to be enough", len(got), cap(b))
	}
}

// The window of ESN is always written as a whole, the other way only if it is large.
func TestReplayWindows(t *testing.T) {
	for _, tc := range []struct {
		window  uint32
		flags   Flags
		replay  *Replay
		inInfo  byte
		octets  int // of the attribute, 0: none
		isLarge bool
	}{
		{0, 0, nil, 0, 0, false},
		{32, 0, nil, 32, 0, false},
		{32, 0, &Replay{OutSeq: 7}, 32, 12, false},
		{33, 0, nil, 0, 24 + 8, true},
		{0, ESN, nil, 0, 24, true},
		{32, ESN, nil, 0, 24 + 4, true},
		{4096, 0, nil, 0, 24 + 512, true},
	} {
		b, err := AppendState(nil, esp4(1, func(s *State) { s.Window, s.Flags, s.Replay = tc.window, tc.flags, tc.replay }))
		if err != nil {
			t.Fatal(err)
		}
		old, large := attributesOf(t, b[sizeState:], nil)[attrReplay], attributesOf(t, b[sizeState:], nil)[attrReplayESN]
		if b[215] != tc.inInfo || len(old)+len(large) != tc.octets || (large != nil) != tc.isLarge {
			t.Errorf("window %d, flags %d: %d in the structure, attributes %x, %x", tc.window, tc.flags, b[215], old, large)
		}
		s, err := ParseState(b)
		if err != nil || s.Window != tc.window {
			t.Errorf("window %d is read as %d (%v)", tc.window, s.Window, err)
		}
	}
}

// The zero value of Ports is any, whatever the kernel keeps beside a mask of 0.
func TestPorts(t *testing.T) {
	p := make([]byte, 4)
	putPorts(p, Ports{Port: 500})
	if !bytes.Equal(p, make([]byte, 4)) {
		t.Errorf("port 500 without a mask is written as %x", p)
	}
	if got := getPorts([]byte{1, 0xf4, 0, 0}); got != (Ports{}) {
		t.Errorf("port 500 without a mask is read as %v", got)
	}
}

func TestNothingPrintsAKey(t *testing.T) {
	secret := []byte("open sesame")
	s := everything()
	for _, a := range []*Alg{s.Encr, s.Auth, s.AEAD, s.Comp} {
		a.Key = bytes.Clone(secret)
	}
	b, err := AppendState(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseState(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for _, v := range []any{got, *got, got.AEAD, *got.AEAD, &Deleted{State: got}, Expire{State: *got}} {
		out += fmt.Sprintf("%v %+v %#v %s %x", v, v, v, v, v)
	}
	for _, form := range []string{"open", "6f70656e", "111 112", "0x6f"} {
		if strings.Contains(out, form) {
			t.Errorf("%q is printed", form)
		}
	}
	_, err = ParseState(append(b, 0xff))
	if err == nil || strings.Contains(err.Error(), "open") {
		t.Error(err)
	}
}
