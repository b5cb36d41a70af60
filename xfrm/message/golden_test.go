package message

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goike/goike/crypto"
)

// captured is a message of testdata.
type captured struct {
	what  string // the comment above it
	typ   Type
	flags uint16
	body  []byte
}

// capturedIn reads a file of testdata. Its integers are little endian.
func capturedIn(t testing.TB, name string) []captured {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Fatal("the captured messages are of a little endian host")
	}
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var all []captured
	for _, block := range strings.Split(string(text), "\n\n")[1:] {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		if len(lines) < 2 {
			continue
		}
		c := captured{what: strings.TrimPrefix(lines[0], "# ")}
		if _, err := fmt.Sscanf(lines[1], "type %v flags %v", &c.typ, &c.flags); err != nil {
			t.Fatal(lines[1], err)
		}
		if c.body, err = hex.DecodeString(strings.Join(lines[2:], "")); err != nil {
			t.Fatal(c.what, err)
		}
		all = append(all, c)
	}
	return all
}

// one is the message whose comment has the words.
func one(t testing.TB, all []captured, words string) captured {
	t.Helper()
	var found []captured
	for _, c := range all {
		if strings.Contains(c.what, words) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d messages with %q", len(found), words)
	}
	return found[0]
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// key is 00 01 02 ... as in the commands.
func key(n int) crypto.Secret {
	k := make(crypto.Secret, n)
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

func gcm(icvBits uint32) *Alg { return &Alg{Name: "rfc4106(gcm(aes))", Key: key(20), ICVBits: icvBits} }

// esp4 is what most of the commands have.
func esp4(spi uint32, change func(*State)) *State {
	s := &State{ID: ID{Dst: addr("192.0.2.2"), SPI: spi, Proto: 50}, Src: addr("192.0.2.1"), Mode: Tunnel, Limits: NoLimits}
	change(s)
	return s
}

func esp6(spi uint32, change func(*State)) *State {
	return esp4(spi, func(s *State) {
		s.ID.Dst, s.Src = addr("2001:db8::2"), addr("2001:db8::1")
		change(s)
	})
}

// seqOfIproute2 is what iproute2 makes of a sequence number, which it takes for one in
// network order: the kernel does not.
func seqOfIproute2(seq uint32) uint32 {
	return native.Uint32(binary.BigEndian.AppendUint32(nil, seq))
}

// stateCommands are the SAs of the commands with the words. Without are attributes in
// which iproute2 says the same otherwise.
var stateCommands = []struct {
	words   string
	want    *State
	without []uint16
}{
	{"add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x12345678", esp4(0x12345678, func(s *State) {
		s.ReqID, s.Window = 7, 32
		s.Encr = &Alg{Name: "cbc(aes)", Key: key(16)}
		s.Auth = &Alg{Name: "hmac(sha256)", Key: key(32), ICVBits: 128}
	}), nil},
	{"0xc0000001", esp4(0xc0000001, func(s *State) {
		s.Mode, s.AEAD = Transport, gcm(128)
		s.Sel = Selector{Src: prefix("192.0.2.1/32"), Dst: prefix("192.0.2.2/32"), Proto: 6, SrcPorts: Ports{80, 0xffff}, DstPorts: Ports{1024, 0xffff}}
	}), nil},
	{"spi 0x1001", esp6(0x1001, func(s *State) {
		s.ReqID, s.Flags, s.Window = 4294967295, ESN, 128
		s.AEAD = &Alg{Name: "rfc7539esp(chacha20,poly1305)", Key: key(36), ICVBits: 128}
	}), []uint16{attrReplayESN}},
	{"spi 0x1002 mode", esp6(0x1002, func(s *State) {
		s.ID.Proto, s.Flags = 51, AFUnspec
		s.Auth = &Alg{Name: "hmac(sha512)", Key: crypto.Secret{0, 0x11, 0x22, 0x33}, ICVBits: 256}
		s.Sel = Selector{Src: prefix("10.0.0.0/8"), Dst: prefix("0.0.0.0/0")}
	}), nil},
	{"spi 0x1003", esp4(0x1003, func(s *State) {
		s.Mode, s.Flags, s.ExtraFlags = BEET, NoECN|DecapDSCP|NoPMTUD, DontEncapDSCP
		s.Encr = &Alg{Name: "cipher_null", Key: crypto.Secret{}}
		s.Auth = &Alg{Name: "hmac(sha1)", Key: key(20)}
	}), []uint16{attrAuth, attrAuthTrunc}},
	{"spi 0x1004", esp4(0x1004, func(s *State) {
		s.Encap = &Encap{SrcPort: 4500, DstPort: 32768}
		s.Mark, s.SetMark, s.IfID, s.AEAD = &Mark{0x2a, 0xff}, &Mark{0x2c, 0xffff}, 0x2b, gcm(64)
	}), nil},
	{"spi 0x1005", esp4(0x1005, func(s *State) {
		s.Mode, s.AEAD = Transport, gcm(96)
		s.Encap = &Encap{SrcPort: 4501, DstPort: 4500, Original: addr("203.0.113.9")}
		s.SetMark = &Mark{0x2c, 0xffffffff}
	}), []uint16{attrSetMarkMask}},
	{"spi 0x1006", esp4(0x1006, func(s *State) {
		s.ID.Proto, s.Comp = 108, &Alg{Name: "deflate", Key: crypto.Secret{}}
	}), nil},
	{"spi 0x1007", esp4(0x1007, func(s *State) {
		s.Limits, s.AEAD = Limits{1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000}, gcm(128)
	}), nil},
	{"spi 0x1008", esp4(0x1008, func(s *State) {
		s.Window, s.Replay, s.AEAD = 16, &Replay{OutSeq: 200, InSeq: 100, Bitmap: []uint32{0}}, gcm(128)
	}), nil},
	{"spi 0x1009", esp4(0x1009, func(s *State) {
		s.Flags, s.Window, s.AEAD = ESN, 4096, gcm(128)
		s.Replay = &Replay{OutSeq: 200, InSeq: 100, OutSeqHigh: 4, InSeqHigh: 3}
	}), []uint16{attrReplayESN}},
	{"spi 0x100a", esp4(0x100a, func(s *State) {
		s.Offload, s.AEAD = &OffloadDev{IfIndex: 1, Flags: OffloadInbound}, gcm(128)
	}), nil},
	{"spi 0x100b", esp4(0x100b, func(s *State) {
		s.Offload, s.AEAD = &OffloadDev{IfIndex: 1}, gcm(128)
	}), nil},
	{"spi 0x100c", esp4(0x100c, func(s *State) {
		s.Seq = seqOfIproute2(0x51)
		s.Encr = &Alg{Name: "cbc(des3_ede)", Key: key(24)}
		s.Auth = &Alg{Name: "xcbc(aes)", Key: key(16), ICVBits: 96}
	}), nil},
	{"proto route2", esp6(0, func(s *State) {
		s.ID.Proto, s.Mode, s.CoAddr = 43, 2, addr("2001:db8::3")
	}), nil},
}

func TestStatesOfIproute2(t *testing.T) {
	all := capturedIn(t, "iproute2.txt")
	for _, tc := range stateCommands {
		c := one(t, all, tc.words)
		got, err := AppendState(nil, tc.want)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		wantBody(t, c, got, sizeState, tc.without...)
		parsed, err := ParseState(c.body)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		want := asRead(tc.want)
		if want.extended() && tc.want.Replay == nil {
			want.Replay = &Replay{} // iproute2 sends no bitmap
		}
		wantSame(t, c.what, parsed, want)
	}
}

// asRead is an SA as it is read.
func asRead(s *State) *State {
	c := *s
	c.Sel = selectorAsRead(s.Sel)
	return &c
}

func selectorAsRead(s Selector) Selector {
	s.Family, _ = s.family()
	return s
}

func TestPoliciesOfIproute2(t *testing.T) {
	all := capturedIn(t, "iproute2.txt")
	net1, net2 := prefix("10.1.0.0/16"), prefix("10.2.0.0/16")
	gw1, gw2 := addr("192.0.2.1"), addr("192.0.2.2")
	six1, six2 := addr("2001:db8::1"), addr("2001:db8::2")
	for _, tc := range []struct {
		words string
		want  *Policy
	}{
		{"priority 371327", &Policy{
			Sel: Selector{Src: net1, Dst: net2}, Dir: Out, Priority: 371327, Limits: NoLimits,
			Templates: []Template{{Src: gw1, Dst: gw2, Proto: 50, Family: 2, ReqID: 7, Mode: Tunnel}},
		}},
		{"ptype sub", &Policy{
			Sel: Selector{Src: net1, Dst: net2}, Dir: In, Type: 1, Index: 0x100, Priority: 1,
			Limits: Limits{SoftBytes: 1000, HardBytes: Infinite, SoftPackets: Infinite, HardPackets: Infinite, HardAdd: 50},
			Templates: []Template{
				{Src: gw1, Dst: gw2, Proto: 108, Family: 2, ReqID: 7, Mode: Tunnel, Optional: true},
				{Src: addr("0.0.0.0"), Dst: addr("0.0.0.0"), Proto: 50, Family: 2, ReqID: 7},
			},
		}},
		{"add src 2001:db8::/32 dst ::/0 dir fwd", &Policy{
			Sel: Selector{Src: prefix("2001:db8::/32"), Dst: prefix("::/0")}, Dir: Forward, Flags: 3, Limits: NoLimits,
			Mark: &Mark{0x2a, 0xff}, IfID: 0x2b,
			Templates: []Template{{Src: six1, Dst: six2, SPI: 0x1234, Proto: 50, Family: 10, ReqID: 8, Mode: BEET}},
		}},
		{"action block", &Policy{Sel: Selector{Src: prefix("fd00::/8"), Dst: prefix("2001:db8::/32")}, Dir: Out, Action: Block, Limits: NoLimits}},
		{"sport 500", &Policy{
			Sel: Selector{Src: prefix("192.0.2.1/32"), Dst: prefix("0.0.0.0/0"), Proto: 17, SrcPorts: Ports{500, 0xffff}, DstPorts: Ports{1000, 0xffff}, IfIndex: 1},
			Dir: Out, Limits: NoLimits,
		}},
		{"proto icmp", &Policy{
			Sel: Selector{Src: prefix("192.0.2.1/32"), Dst: prefix("192.0.2.0/24"), Proto: 1, SrcPorts: Ports{8, 0xffff}, DstPorts: Ports{3, 0xffff}},
			Dir: In, Limits: NoLimits,
		}},
		{"policy update", &Policy{
			Sel: Selector{Src: net1, Dst: net2}, Dir: Out, Limits: NoLimits,
			Templates: []Template{{Src: six1, Dst: six2, Proto: 51, Family: 10, ReqID: 7, Mode: Tunnel}},
		}},
	} {
		c := one(t, all, tc.words)
		got, err := AppendPolicy(nil, tc.want)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		wantBody(t, c, got, sizePolicy)
		parsed, err := ParsePolicy(c.body)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		want := *tc.want
		want.Sel = selectorAsRead(want.Sel)
		wantSame(t, c.what, parsed, &want)
	}
}

func TestNamesOfIproute2(t *testing.T) {
	const attrSource = 13 // XFRMA_SRCADDR, which no SA with an SPI needs
	all := capturedIn(t, "iproute2.txt")
	id4 := ID{Dst: addr("192.0.2.2"), SPI: 0x12345678, Proto: 50}
	for _, tc := range []struct {
		words string
		id    ID
		mark  *Mark
	}{
		{"state delete src 192.0.2.1", id4, nil},
		{"state get", id4, nil},
		{"state delete src 2001:db8::1", ID{Dst: addr("2001:db8::2"), SPI: 0x1002, Proto: 51}, &Mark{0x2a, 0xff}},
	} {
		got, err := AppendSAID(nil, tc.id, tc.mark)
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, one(t, all, tc.words), got, sizeStateID, attrSource)
	}
	nets := Selector{Src: prefix("10.1.0.0/16"), Dst: prefix("10.2.0.0/16")}
	for _, tc := range []struct {
		words string
		id    PolicyID
	}{
		{"policy delete src 10.1", PolicyID{Sel: nets, Dir: Out}},
		{"policy get", PolicyID{Sel: nets, Dir: In}},
		{"policy delete src 2001", PolicyID{
			Sel: Selector{Src: prefix("2001:db8::/32"), Dst: prefix("::/0"), Proto: 6, DstPorts: Ports{22, 0xffff}},
			Dir: Forward, Mark: &Mark{0x2a, 0xff}, IfID: 0x2b,
		}},
	} {
		got, err := AppendPolicyID(nil, &tc.id)
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, one(t, all, tc.words), got, sizePolicyID)
	}
}

func TestAllocSPIOfIproute2(t *testing.T) {
	all := capturedIn(t, "iproute2.txt")
	four := esp4(0, func(s *State) { s.ReqID, s.Limits = 9, Limits{} })
	six := esp6(0, func(s *State) {
		s.Mode, s.Seq, s.Mark, s.Limits = Transport, seqOfIproute2(0x77), &Mark{0x2a, 0xff}, Limits{}
	})
	for _, tc := range []struct {
		words       string
		s           *State
		first, last uint32
	}{
		{"min 0xc0000000", four, 0xc0000000, 0xcfffffff},
		{"min 0x100 ", six, 0x100, 0x1ff},
	} {
		got, err := AppendAllocSPI(nil, tc.s, tc.first, tc.last)
		if err != nil {
			t.Fatal(err)
		}
		wantBody(t, one(t, all, tc.words), got, sizeAllocSPI)
	}
}

func TestDumpsOfIproute2(t *testing.T) {
	const attrFilter = 26 // XFRMA_ADDRESS_FILTER, an empty one
	all := capturedIn(t, "iproute2.txt")
	wantBody(t, one(t, all, "state list proto esp"), AppendDump(nil, GetSA, 50), 0, attrFilter)
	wantBody(t, one(t, all, "policy list"), AppendDump(nil, GetPolicy, 50), 0)
	if got := AppendDump([]byte{1}, GetSA, 0); !bytes.Equal(got, []byte{1}) {
		t.Errorf("a dump of all SAs has the body %x", got)
	}
}

// wantBody compares a body with the captured: the structure octet for octet, the
// attributes whatever their order.
func wantBody(t *testing.T, c captured, got []byte, size int, without ...uint16) {
	t.Helper()
	if len(got) < size || len(c.body) < size || !bytes.Equal(got[:size], c.body[:size]) {
		t.Errorf("%s:\n got %x\nwant %x", c.what, got, c.body)
		return
	}
	have, want := attributesOf(t, got[size:], without), attributesOf(t, c.body[size:], without)
	if !reflect.DeepEqual(have, want) {
		t.Errorf("%s: attributes\n got %x\nwant %x", c.what, have, want)
	}
}

func attributesOf(t *testing.T, b []byte, without []uint16) map[uint16][]byte {
	t.Helper()
	all := make(map[uint16][]byte)
	for len(b) > 0 {
		n, typ := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		if !slices.Contains(without, typ) {
			all[typ] = b[4:n]
		}
		b = b[(n+3)&^3:]
	}
	return all
}

func wantSame(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, show(got), show(want))
	}
}

// show prints what pointers lead to, and the keys, which are those of tests.
func show(v any) string {
	s, ok := v.(*State)
	if !ok {
		return fmt.Sprintf("%+v", v)
	}
	out := fmt.Sprintf("%+v", *s)
	for name, a := range map[string]*Alg{"encr": s.Encr, "auth": s.Auth, "aead": s.AEAD, "comp": s.Comp} {
		if a != nil {
			out += fmt.Sprintf("\n %s %+v %x", name, *a, []byte(a.Key))
		}
	}
	return out + fmt.Sprintf("\n %+v %+v %+v %+v", s.Replay, s.Encap, s.Mark, s.SetMark)
}
