package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func FuzzParseHeader(f *testing.F) {
	for _, g := range allGolden(f) {
		f.Add(g.message)
	}
	f.Add(unhex(f, headerHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			wantSyntax(t, err, "header")
			return
		}
		if h.Length < HeaderLen || int(h.Length) > len(b) {
			t.Fatalf("length %d of %d octets", h.Length, len(b))
		}
		if again := h.append(nil); !bytes.Equal(again, b[:HeaderLen]) {
			t.Errorf("written again %x, was %x", again, b[:HeaderLen])
		}
	})
}

// addChains adds the payload chains of all golden messages as seeds.
func addChains(f *testing.F, add func(h Header, first PayloadType, b []byte)) {
	f.Helper()
	for _, g := range allGolden(f) {
		h, ps := g.outer(f)
		add(h, h.NextPayload, g.message[HeaderLen:])
		if g.plain != nil {
			add(h, firstInside(ps[len(ps)-1]), g.plain)
		}
	}
}

// What is parsed can be written, and what is written is parsed to the same; the
// second time it is written to the same octets.
func FuzzParse(f *testing.F) {
	addChains(f, func(_ Header, first PayloadType, b []byte) { f.Add(byte(first), b) })
	f.Add(byte(PayloadTSi), unhex(f, "2c000014 0200000009000004 08110004"))
	f.Add(byte(200), unhex(f, "2e800005 01 29000006 0000"))
	f.Add(byte(PayloadSA), unhex(f, "0000001c 00000018 01010001 00"+unknownTLV))
	f.Fuzz(func(t *testing.T, first byte, b []byte) {
		if len(b) > maxMessage {
			return
		}
		b = bytes.Clone(b) // to be overwritten below
		ps, err := Parse(PayloadType(first), b, Limits{})
		if err != nil {
			isProtocolError(t, err)
			return
		}
		if s := Summary(Header{}, ps); len(s) > summaryLen+100 {
			t.Errorf("summary of %d octets", len(s))
		}
		one, head, err := AppendPayloads(nil, ps...)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		if head != PayloadType(first) || len(one) > len(b) {
			t.Fatalf("written as %s of %d octets, was %s of %d", head, len(one), PayloadType(first), len(b))
		}
		again, err := Parse(head, one, Limits{})
		if err != nil {
			t.Fatalf("cannot be read again: %v", err)
		}
		if !reflect.DeepEqual(canonical(again), canonical(ps)) {
			t.Errorf("read again as %+v, was %+v", again, ps)
		}
		two, _, err := AppendPayloads(nil, again...)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("written twice: %x, %x %v", one, two, err)
		}
		clones(t, ps, b)
	})
}

// canonical returns the payloads without what is not written again.
func canonical(ps []Payload) (out []Payload) {
	for _, p := range ps {
		p = p.Clone()
		if sa, ok := p.(*SA); ok {
			for _, x := range sa.Proposals {
				for i := range x.Transforms {
					x.Transforms[i].Unknown = false
				}
			}
		}
		out = append(out, p)
	}
	return out
}

// clones wants clones to be equal, and to stay when the message b goes.
func clones(t *testing.T, ps []Payload, b []byte) {
	var before, after [][]byte
	cs := make([]Payload, len(ps))
	for i, p := range ps {
		cs[i] = p.Clone()
		if !reflect.DeepEqual(cs[i], p) {
			t.Errorf("clone %+v of %+v", cs[i], p)
		}
		before = append(before, cs[i].AppendBody(nil))
	}
	for i := range b {
		b[i] ^= 0xff
	}
	for _, c := range cs {
		after = append(after, c.AppendBody(nil))
	}
	if !reflect.DeepEqual(before, after) {
		t.Error("a clone shares memory with the message")
	}
}

func isProtocolError(t *testing.T, err error) {
	var perr *ProtocolError
	if !errors.As(err, &perr) || !perr.Notify.IsError() || perr.Reason == "" {
		t.Errorf("error %v", err)
	}
}

// A message that passes Check holds what its handler relies on.
func FuzzCheck(f *testing.F) {
	addChains(f, func(h Header, first PayloadType, b []byte) {
		f.Add(byte(h.Exchange), h.Flags&FlagResponse != 0, first != h.NextPayload, byte(first), b)
	})
	f.Fuzz(func(t *testing.T, exchange byte, response, protected bool, first byte, b []byte) {
		ps, err := Parse(PayloadType(first), b, Limits{})
		if err != nil {
			return
		}
		x := ExchangeType(exchange)
		if err := Check(x, response, protected, ps); err != nil {
			isProtocolError(t, err)
			return
		}
		relied(t, x, response, protected, ps)
	})
}

// relied wants what the documentation of Check promises.
func relied(t *testing.T, x ExchangeType, response, protected bool, ps []Payload) {
	for _, k := range []PayloadType{
		PayloadSA, PayloadKE, PayloadIDi, PayloadIDr, PayloadAuth, PayloadNonce, PayloadTSi, PayloadTSr, PayloadSK, PayloadCP, PayloadEAP, PayloadSKF,
	} {
		if n := count(ps, k); n > 1 {
			t.Errorf("%d %s payloads", n, k)
		}
	}
	if n, ok := Find[*Nonce](ps); ok && (len(n.Data) < 16 || len(n.Data) > 256) {
		t.Errorf("nonce of %d octets", len(n.Data))
	}
	if r, ok := Find[*Raw](ps); ok && r.CriticalFlag {
		t.Error("critical payload")
	}
	sa, ok := Find[*SA](ps)
	if ok && (len(sa.Proposals) == 0 || response && len(sa.Proposals) != 1) {
		t.Errorf("%d proposals", len(sa.Proposals))
	}
	if i, r := FindTS(ps, false), FindTS(ps, true); (i == nil) != (r == nil) || i != nil && !ok {
		t.Error("traffic selectors without an SA or each other")
	}
	if response && !protected && count(ps, PayloadSK)+count(ps, PayloadSKF) == 0 && !ok && FindNotify(ps, NotifyCookie) == nil && holdsError(ps) != "" {
		t.Error("an empty answer")
	}
	if x == CreateChildSA && ok && FindTS(ps, false) == nil {
		if sa.Proposals[0].Protocol != ProtocolIKE || len(sa.Proposals[0].SPI) != 8 {
			t.Error("rekeying of something else than an IKE SA")
		}
	}
}
