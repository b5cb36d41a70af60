package ke

import (
	"bytes"
	"errors"
	"testing"

	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/internal/vectors"
)

// vector is a test vector of a key exchange.
type vector struct {
	KE      string // the word of proposals
	Private vectors.Hex
	Own     vectors.Hex // the public value of Private, where the source gives it
	Peer    vectors.Hex
	Shared  vectors.Hex
	Bad     bool // Peer must be refused
	Comment string
}

func method(t testing.TB, word string) Method {
	t.Helper()
	for _, m := range methods {
		if m.Name() == word {
			return m
		}
	}
	t.Fatalf("no method %q", word)
	return nil
}

// TestVectors gives a private key as the source of randomness.
func TestVectors(t *testing.T) {
	for _, v := range vectors.Load[vector](t) {
		c := v.Test
		o, err := method(t, c.KE).Offer(bytes.NewReader(c.Private))
		if err != nil {
			t.Errorf("%s: %s: %x: %v", v.Source, c.KE, c.Private, err)
			continue
		}
		if c.Own != nil && !bytes.Equal(o.Public(), c.Own) {
			t.Errorf("%s: %s: public value %x, not %x", v.Source, c.KE, o.Public(), c.Own)
		}
		shared, err := o.Finish(c.Peer)
		if c.Bad {
			if !errors.Is(err, ErrPublic) || shared != nil {
				t.Errorf("%s: %s: %x accepted: %s", v.Source, c.KE, c.Peer, c.Comment)
			}
			continue
		}
		if err != nil || !bytes.Equal(shared, c.Shared) {
			t.Errorf("%s: %s: secret %x (%v), not %x: %s", v.Source, c.KE, shared, err, c.Shared, c.Comment)
		}
		if c.Own == nil { // the many
			continue
		}
		answer, shared, err := method(t, c.KE).Answer(bytes.NewReader(c.Private), c.Peer)
		if err != nil || !bytes.Equal(shared, c.Shared) || !bytes.Equal(answer, o.Public()) {
			t.Errorf("%s: %s: answer %x, secret %x (%v)", v.Source, c.KE, answer, shared, err)
		}
	}
}

// TestEveryMethod asserts that all key exchange methods of the registry are built in
// and have an outside vector, public value included.
func TestEveryMethod(t *testing.T) {
	has, own := map[string]bool{}, map[string]bool{}
	for _, v := range vectors.Load[vector](t) {
		has[v.Test.KE] = has[v.Test.KE] || !v.Test.Bad
		own[v.Test.KE] = own[v.Test.KE] || v.Test.Own != nil
	}
	for _, a := range crypto.Algorithms(crypto.KE) {
		m, ok := Get(a.ID)
		if !ok || m.ID() != a.ID || m.Name() != a.String() {
			t.Errorf("%s is not built in", a)
		}
		if !has[a.String()] || !own[a.String()] {
			t.Errorf("%s has no test vector (%v), or none with a public value (%v)", a, has[a.String()], own[a.String()])
		}
	}
	if n := len(crypto.Algorithms(crypto.KE)); n != len(methods) {
		t.Errorf("%d methods, %d in the registry", len(methods), n)
	}
}

// TestLengths has the lengths of public values as IANA's registry implies them.
func TestLengths(t *testing.T) {
	want := map[uint16]int{
		2: 128, 5: 192, 14: 256, 15: 384, 16: 512, 17: 768, 18: 1024, 19: 64, 20: 96, 21: 132,
		22: 128, 23: 256, 24: 256, 25: 48, 26: 56, 31: 32, 32: 56,
	}
	for id, n := range want {
		m, ok := Get(id)
		if !ok || m.PublicLen() != n {
			t.Errorf("group %d: public values of other than %d octets", id, n)
			continue
		}
		o, err := m.Offer(source(9))
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []int{0, 1, n - 1, n + 1, 2 * n, 65535} {
			if _, err := o.Finish(make([]byte, bad)); !errors.Is(err, ErrPublic) {
				t.Errorf("group %d: Finish takes %d octets", id, bad)
			}
			if _, _, err := m.Answer(source(9), make([]byte, bad)); !errors.Is(err, ErrPublic) {
				t.Errorf("group %d: Answer takes %d octets", id, bad)
			}
		}
	}
}
