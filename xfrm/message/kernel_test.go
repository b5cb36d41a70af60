package message

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"

	"github.com/goike/goike/crypto"
)

// parsed is the notice of the kernel with the words.
func parsed[T any](t *testing.T, words string) T {
	t.Helper()
	c := one(t, capturedIn(t, "kernel.txt"), words)
	v, err := ParseNotice(c.typ, c.body)
	if err != nil {
		t.Fatalf("%s: %v", c.what, err)
	}
	n, ok := v.(T)
	if !ok {
		t.Fatalf("%s: %T", c.what, v)
	}
	return n
}

func TestEveryMessageOfTheKernel(t *testing.T) {
	for _, c := range capturedIn(t, "kernel.txt") {
		v, err := ParseNotice(c.typ, c.body)
		if err != nil || v == nil {
			t.Errorf("%s: %v, %v", c.what, v, err)
		}
		if n := len(c.body); n > 4 { // without its end it is an error, or says less
			if cut, err := ParseNotice(c.typ, c.body[:n-4]); err == nil && reflect.DeepEqual(cut, v) && c.typ != FlushPolicy {
				t.Errorf("%s: its end is not read", c.what)
			}
		}
	}
}

// times are those of the day of the capture.
func withoutTimes(p *Policy) *Policy {
	c := *p
	c.Used = Used{}
	return &c
}

func TestPoliciesOfTheKernel(t *testing.T) {
	p := parsed[*Policy](t, "policy add src 10.1.0.0/16")
	if p.Used.AddTime == 0 || p.Index == 0 {
		t.Errorf("added at %d, index %d", p.Used.AddTime, p.Index)
	}
	want := &Policy{
		Sel: Selector{Src: prefix("10.1.0.0/16"), Dst: prefix("10.2.0.0/16"), Family: 2}, Dir: Out, Index: p.Index,
		Priority: 371327, Limits: NoLimits, Mark: &Mark{0x2a, 0xff}, IfID: 0x2b,
		Templates: []Template{{Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), Proto: 50, Family: 2, ReqID: 7, Mode: Tunnel}},
	}
	wantSame(t, "added", withoutTimes(p), want)

	d := parsed[*Deleted](t, "policy delete src 10.1.0.0/16")
	wantSame(t, "deleted", withoutTimes(d.Policy), want)
	if d.State != nil {
		t.Error("an SA was deleted")
	}

	// IPv6 prefixes with zeros at their end are no IPv4 prefixes.
	p = parsed[*Policy](t, "policy add src 2001:db8::/32")
	wantSame(t, "IPv6", withoutTimes(p), &Policy{
		Sel: Selector{Src: prefix("2001:db8::/32"), Dst: prefix("::/0"), Family: 10}, Dir: Forward, Index: p.Index, Limits: NoLimits,
		Templates: []Template{{Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), SPI: 0x1234, Proto: 50, Family: 10, ReqID: 8, Mode: BEET}},
	})
	wantSame(t, "get", parsed[*Policy](t, "policy get"), p)
	p = parsed[*Policy](t, "policy add src ::/0")
	wantSame(t, "block", withoutTimes(p), &Policy{
		Sel: Selector{Src: prefix("::/0"), Dst: prefix("fd00::/8"), Family: 10}, Dir: In, Index: p.Index, Limits: NoLimits, Action: Block,
	})

	p = parsed[*Policy](t, "policy update")
	limits := NoLimits
	limits.SoftBytes = 2000
	wantSame(t, "updated", withoutTimes(p), &Policy{
		Sel: Selector{Src: prefix("0.0.0.0/0"), Dst: prefix("192.0.2.0/24"), Proto: 1, SrcPorts: Ports{8, 0xffff}, DstPorts: Ports{3, 0xffff}, Family: 2},
		Dir: In, Index: p.Index, Limits: limits,
	})
}

func TestDumpOfPolicies(t *testing.T) {
	var got []netip.Prefix
	for _, c := range capturedIn(t, "kernel.txt") {
		if c.what != "ip xfrm policy list" {
			continue
		}
		p, err := ParsePolicy(c.body)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Sel.Dst)
	}
	want := []netip.Prefix{prefix("192.0.2.0/24"), prefix("fd00::/8"), prefix("::/0"), prefix("10.2.0.0/16")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the policies of the dump have %v", got)
	}
}

func TestAcquiresOfTheKernel(t *testing.T) {
	gw1, gw2 := addr("192.0.2.1"), addr("192.0.2.2")
	for _, tc := range []struct {
		words       string
		src, dst    string // of the packet
		wantSrc, at string // of the SA
		reqID       uint32
		mode        Mode
	}{
		{"ping 203.0.113.5", "192.0.2.1/32", "203.0.113.5/32", "192.0.2.1", "192.0.2.2", 7, Tunnel},
		// IPv6 in IPv4: the family of the SA is not that of the packet.
		{"ping 2001:db8:2::9", "2001:db8:1::1/128", "2001:db8:2::9/128", "192.0.2.1", "192.0.2.2", 9, Tunnel},
		{"a datagram", "192.0.2.1/32", "198.51.100.7/32", "192.0.2.1", "198.51.100.7", 10, Transport},
	} {
		a := parsed[*Acquire](t, tc.words)
		if want := (ID{Dst: addr(tc.at), Proto: 50}); a.ID != want || a.Src != addr(tc.wantSrc) {
			t.Errorf("%s: the SA %v from %s, want %v", tc.words, a.ID, a.Src, want)
		}
		if a.Packet.Src != prefix(tc.src) || a.Packet.Dst != prefix(tc.dst) || a.Packet.Proto != 17 || a.Packet.DstPorts.Mask != 0xffff {
			t.Errorf("%s: the packet %+v", tc.words, a.Packet)
		}
		if a.Seq == 0 || a.Policy.Index == 0 || a.Policy.Dir != Out {
			t.Errorf("%s: number %d, policy %+v", tc.words, a.Seq, a.Policy)
		}
		want := Template{Src: gw1, Dst: gw2, Proto: 50, Family: 2, ReqID: tc.reqID, Mode: tc.mode}
		if tc.mode == Transport {
			want.Src, want.Dst = addr("0.0.0.0"), addr("0.0.0.0")
		}
		if len(a.Policy.Templates) != 1 || a.Policy.Templates[0] != want {
			t.Errorf("%s: templates %+v", tc.words, a.Policy.Templates)
		}
	}
	a := parsed[*Acquire](t, "a datagram")
	if a.Packet.DstPorts != (Ports{53, 0xffff}) || a.Policy.Sel.Proto != 17 || a.Policy.Sel.Dst != prefix("198.51.100.0/24") {
		t.Errorf("the packet %+v, the policy %+v", a.Packet, a.Policy.Sel)
	}
}

func TestStatesOfTheKernel(t *testing.T) {
	s := parsed[*State](t, "state allocspi src 192.0.2.1")
	if s.ID.SPI < 0xc0000000 || s.ID.SPI > 0xcfffffff || s.Used.AddTime == 0 {
		t.Errorf("SPI %#x, added at %d", s.ID.SPI, s.Used.AddTime)
	}
	limits := NoLimits
	limits.HardAdd = 30
	want := esp4(s.ID.SPI, func(w *State) {
		w.ReqID, w.Limits, w.Used, w.Replay = 9, limits, s.Used, &Replay{Bitmap: []uint32{0}}
		// The selector of an SA without keys has addresses, but not their family.
	})
	wantSame(t, "allocated", s, want)
	six := parsed[*State](t, "state allocspi src 2001:db8::1")
	if six.ID.Dst != addr("2001:db8::2") || six.ID.SPI < 0x100 || six.ID.SPI > 0x1ff || *six.Mark != (Mark{0x2a, 0xff}) || six.Mode != Transport {
		t.Errorf("%+v", six)
	}
	for _, words := range []string{"ip xfrm state list", "ip xfrm state deleteall"} {
		var got []*State
		for _, c := range capturedIn(t, "kernel.txt") {
			if c.what != words {
				continue
			}
			v, err := ParseNotice(c.typ, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := v.(*Deleted); ok {
				v = d.State
			}
			got = append(got, v.(*State))
		}
		if len(got) != 2 {
			t.Fatalf("%d SAs in %s", len(got), words)
		}
		wantSame(t, words, got[0], six)
		wantSame(t, words, got[1], s)
	}
}

func TestExpiresOfTheKernel(t *testing.T) {
	n := 0
	for _, c := range capturedIn(t, "kernel.txt") {
		if c.typ != ExpireMsg {
			continue
		}
		n++
		v, err := ParseNotice(c.typ, c.body)
		if err != nil {
			t.Fatal(err)
		}
		e := v.(*Expire)
		if !e.Hard || e.State.Dir != SADirOut || e.State.Limits.HardAdd != 1 || e.State.ID.Proto != 50 || e.State.ReqID < 7 {
			t.Errorf("%+v", e)
		}
	}
	if n != 3 {
		t.Errorf("%d SAs expired", n)
	}
}

func TestFlushesOfTheKernel(t *testing.T) {
	for words, want := range map[string]Flushed{
		"state flush proto esp": {Proto: 50},
		"policy flush":          {Policies: true},
	} {
		if f := parsed[*Flushed](t, words); *f != want {
			t.Errorf("%s: %+v", words, f)
		}
	}
}

// A mapping is made by hand, after linux/xfrm.h: the kernel tells of one only when an
// SA in UDP carries packets.
func TestMapping(t *testing.T) {
	for _, tc := range []struct{ dst, from, to string }{
		{"192.0.2.1", "198.51.100.7:4500", "203.0.113.9:32768"},
		{"2001:db8::1", "[2001:db8::7]:4500", "[2001:db8::9]:1"},
	} {
		dst, from, to := addr(tc.dst), netip.MustParseAddrPort(tc.from), netip.MustParseAddrPort(tc.to)
		b := make([]byte, 64)
		copy(b, dst.AsSlice())
		binary.BigEndian.PutUint32(b[16:], 0xc0000001)
		native.PutUint16(b[20:], familyOf(dst))
		b[22] = 50
		native.PutUint32(b[24:], 7)
		copy(b[28:], from.Addr().AsSlice())
		copy(b[44:], to.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[60:], from.Port())
		binary.BigEndian.PutUint16(b[62:], to.Port())
		v, err := ParseNotice(MappingMsg, b)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, tc.dst, v, &Mapping{ID: ID{Dst: dst, SPI: 0xc0000001, Proto: 50}, ReqID: 7, Old: from, New: to})
	}
}

// The kernel sends an authentication algorithm twice, the first time without its
// truncation.
func TestAuthOfTheKernel(t *testing.T) {
	whole := &Alg{Name: "hmac(sha256)", Key: key(32), ICVBits: 128}
	s := esp4(1, func(*State) {})
	b, err := AppendState(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	b = appendAlg(b, attrAuth, &Alg{Name: "hmac(sha256)", Key: key(32)})
	for _, both := range []bool{false, true} {
		want := &Alg{Name: "hmac(sha256)", Key: key(32)}
		if both {
			b, want = appendAlgICV(b, attrAuthTrunc, whole), whole
		}
		got, err := ParseState(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Auth, want) {
			t.Errorf("%+v with the key %x", got.Auth, []byte(got.Auth.Key))
		}
	}
}

// An SA of a dump has its own copy of the keys, which Zero overwrites.
func TestKeysAreCopied(t *testing.T) {
	secret := bytes.Repeat([]byte{0xa5}, 20)
	s := esp4(1, func(s *State) {
		s.AEAD = &Alg{Name: "rfc4106(gcm(aes))", Key: crypto.Secret(bytes.Clone(secret)), ICVBits: 128}
	})
	b, err := AppendState(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseState(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(got.AEAD.Key, secret) {
		t.Errorf("the key went with the message: %x", []byte(got.AEAD.Key))
	}
	k := got.AEAD.Key
	got.Zero()
	if !bytes.Equal(k, make([]byte, 20)) || !bytes.Equal(s.AEAD.Key, secret) {
		t.Error("Zero overwrote the wrong key")
	}
	(&State{}).Zero()
}
