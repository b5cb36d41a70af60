package message

import (
	"reflect"
	"strings"
	"testing"
)

// bodyWith is an SA and one attribute.
func bodyWith(t uint16, value []byte) []byte {
	b, err := AppendState(nil, esp4(1, func(*State) {}))
	if err != nil {
		panic(err)
	}
	b, p := attribute(b, t, len(value))
	copy(p, value)
	return b
}

func TestMalformedStates(t *testing.T) {
	whole := bodyWith(attrIfID, []byte{1, 0, 0, 0})
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), whole...)) }
	badAlg := make([]byte, 72)
	for i := range 64 {
		badAlg[i] = 'x'
	}
	longKey := make([]byte, 72)
	native.PutUint32(longKey[64:], 0xffffffff)
	replay := make([]byte, 24)
	native.PutUint32(replay, 0x40000000)
	short := make([]byte, 28)
	native.PutUint32(short, 2)
	for _, tc := range []struct {
		b    []byte
		want string
	}{
		{nil, "0 octets, at least 224 are needed"},
		{whole[:223], "223 octets, at least 224 are needed"},
		{whole[:226], "attributes do not end at a word"},
		{change(func(b []byte) []byte { return append(b, 5, 0, 33, 0, 1) }), "attributes do not end at a word"},
		{change(func(b []byte) []byte { b[224] = 3; return b }), "attribute 31: length 3 with 8 octets left"},
		{change(func(b []byte) []byte { b[224] = 9; return b }), "attribute 31: length 9 with 8 octets left"},
		{change(func(b []byte) []byte { b[224] = 7; return b }), "attribute 31: 3 octets, at least 4 are needed"},
		{change(func(b []byte) []byte { b[212] = 3; return b }), "address family 3"},
		{change(func(b []byte) []byte { b[40], b[42] = 2, 33; return b }), "selector: 0.0.0.0 with a prefix of 33 bits"},
		{change(func(b []byte) []byte { b[40], b[43] = 10, 129; return b }), "selector: :: with a prefix of 129 bits"},
		{bodyWith(attrAEAD, badAlg), "attribute 18: the name of the algorithm does not end"},
		{bodyWith(attrAuthTrunc, longKey), `attribute 20: algorithm "": a key of 536870912 octets of which 0 are there`},
		{bodyWith(attrCrypt, longKey), `attribute 2: algorithm "": a key of 536870912 octets of which 4 are there`},
		{bodyWith(attrAuth, longKey), `attribute 1: algorithm "": a key of 536870912 octets of which 4 are there`},
		{bodyWith(attrReplayESN, replay), "attribute 23: a replay window of 1073741824 words"},
		{bodyWith(attrReplayESN, short), "attribute 23: the replay window: 4 octets, at least 8 are needed"},
	} {
		if s, err := ParseState(tc.b); err == nil || err.Error() != "XFRM message of an SA: "+tc.want || s != nil {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestMalformedPolicies(t *testing.T) {
	whole, err := AppendPolicy(nil, &Policy{Sel: Selector{Family: 10}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(n int) []byte {
		b, _ := attribute(append([]byte(nil), whole...), attrTemplates, n)
		return b
	}
	bad := append([]byte(nil), whole...)
	bad[42] = 129
	for _, tc := range []struct {
		b    []byte
		want string
	}{
		{whole[:167], "167 octets, at least 168 are needed"},
		{bad, "selector: :: with a prefix of 129 bits"},
		{with(63), "attribute 5: templates of 63 octets"},
		{with(7 * 64), "attribute 5: templates of 448 octets"},
	} {
		if p, err := ParsePolicy(tc.b); err == nil || err.Error() != "XFRM message of a policy: "+tc.want || p != nil {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestUnknownAttributesAreSkipped(t *testing.T) {
	for _, typ := range []uint16{0, 27, 34, 0x3fff} {
		s, err := ParseState(bodyWith(typ, []byte{1, 2, 3}))
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, "SA", s, esp4(1, func(*State) {}))
	}
	// Encapsulation in TCP is of no kind that Encap has; flags of a type are no part of it.
	s, err := ParseState(bodyWith(attrEncap, append([]byte{7}, make([]byte, 23)...)))
	if err != nil || s.Encap != nil {
		t.Errorf("%+v, %v", s.Encap, err)
	}
	if s, err = ParseState(bodyWith(attrIfID|0x8000, []byte{1, 2, 3, 4})); err != nil || s.IfID == 0 {
		t.Errorf("%d, %v", s.IfID, err)
	}
	// What grows is read as far as it is known.
	if s, err = ParseState(bodyWith(attrOffload, append([]byte{9, 0, 0, 0, 1}, make([]byte, 7)...))); err != nil || *s.Offload != (OffloadDev{9, 1}) {
		t.Errorf("%+v, %v", s.Offload, err)
	}
}

func TestTheLastOfEqualAttributesCounts(t *testing.T) {
	b := bodyWith(attrIfID, []byte{1, 0, 0, 0})
	b = attributeUint32(b, attrIfID, 2)
	b = appendAlgICV(b, attrAEAD, &Alg{Name: "a", Key: key(4)})
	b = appendAlgICV(b, attrAEAD, gcm(64))
	s, err := ParseState(b)
	if err != nil || s.IfID != 2 || !reflect.DeepEqual(s.AEAD, gcm(64)) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOtherMessages(t *testing.T) {
	for _, typ := range []Type{0, GetSA, AllocSPI, PolExpire, 0x1e, 0xffff} {
		if v, err := ParseNotice(typ, []byte{1}); v != nil || err != nil {
			t.Errorf("type %#x: %v, %v", typ, v, err)
		}
	}
	for _, typ := range []Type{NewSA, UpdSA, DelSA, NewPolicy, UpdPolicy, DelPolicy, AcquireMsg, ExpireMsg, MappingMsg, FlushSA} {
		v, err := ParseNotice(typ, nil)
		if v != nil || err == nil || !strings.HasSuffix(err.Error(), "are needed") {
			t.Errorf("type %#x: %v, %v", typ, v, err)
		}
	}
	if v, err := ParseNotice(FlushPolicy, nil); err != nil || *v.(*Flushed) != (Flushed{Policies: true}) {
		t.Errorf("%v, %v", v, err)
	}
}

// A notice without the nested structure has the name at least.
func TestDeletedByName(t *testing.T) {
	id := ID{Dst: addr("2001:db8::2"), SPI: 0x1234, Proto: 51}
	b, err := AppendSAID(nil, id, &Mark{1, 3})
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseNotice(DelSA, b)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "SA", v.(*Deleted).State, &State{ID: id, Mark: &Mark{1, 3}})

	sel := Selector{Src: prefix("2001:db8::/32"), Dst: prefix("::/0"), Family: 10}
	if b, err = AppendPolicyID(nil, &PolicyID{Sel: sel, Dir: Forward, IfID: 9}); err != nil {
		t.Fatal(err)
	}
	if v, err = ParseNotice(DelPolicy, b); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "policy", v.(*Deleted).Policy, &Policy{Sel: sel, Dir: Forward, IfID: 9})

	for typ, attr := range map[Type]uint16{DelSA: attrState, DelPolicy: attrPolicy} {
		nested, _ := attribute(make([]byte, 64), attr, 100)
		if typ == DelSA {
			nested = nested[64-sizeStateID:]
		}
		if v, err := ParseNotice(typ, nested); err == nil {
			t.Errorf("a nested structure of 100 octets gives %+v", v)
		}
	}
}
