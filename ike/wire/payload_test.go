package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// payloadCase is a payload body and what it says.
type payloadCase struct {
	name string
	kind PayloadType
	body string // hexadecimal
	want Payload
	// canon is the body as it is written again, where that differs.
	canon string
	// cut are lengths at which the body can end and still be one.
	cut func(n int) bool
	// err is a part of the error of a body that is none.
	err string
}

// chain puts a generic payload header before a body.
func chain(t testing.TB, body []byte) []byte {
	t.Helper()
	if len(body)+genericLen > maxMessage {
		t.Fatal("body too long")
	}
	b := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(genericLen+len(body)))
	return append(b, body...)
}

// parseOne parses a message of one payload.
func parseOne(t testing.TB, kind PayloadType, body []byte) (Payload, error) {
	t.Helper()
	ps, err := Parse(kind, chain(t, body), Limits{})
	if err != nil {
		return nil, err
	}
	if len(ps) != 1 {
		t.Fatalf("%d payloads", len(ps))
	}
	return ps[0], nil
}

func testPayloads(t *testing.T, cases []payloadCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body := unhex(t, c.body)
			if c.err != "" {
				_, err := parseOne(t, c.kind, body)
				wantSyntax(t, err, c.err)
				return
			}
			c.good(t, body)
			c.truncated(t, body)
		})
	}
}

// wantSyntax wants an INVALID_SYNTAX that says why.
func wantSyntax(t testing.TB, err error, why string) {
	t.Helper()
	var perr *ProtocolError
	if !errors.As(err, &perr) || perr.Notify != NotifyInvalidSyntax || !strings.Contains(perr.Reason, why) {
		t.Errorf("error %v, want INVALID_SYNTAX with %q", err, why)
	}
}

// good parses, writes and clones the payload.
func (c payloadCase) good(t *testing.T, body []byte) {
	t.Helper()
	buf := chain(t, body)
	ps, err := Parse(c.kind, buf, Limits{})
	if err != nil || len(ps) != 1 || !reflect.DeepEqual(ps[0], c.want) {
		t.Fatalf("parsed %+v %v, want %+v", ps, err, c.want)
	}
	p := ps[0]
	if p.Type() != c.kind {
		t.Errorf("type %s, want %s", p.Type(), c.kind)
	}
	canon := body
	if c.canon != "" {
		canon = unhex(t, c.canon)
	}
	if b := p.AppendBody([]byte("x")); !bytes.Equal(b[1:], canon) || b[0] != 'x' {
		t.Errorf("body %x, want %x", b[1:], canon)
	}
	clone := p.Clone()
	clear(buf)
	if !reflect.DeepEqual(clone, c.want) || clone.Type() != c.kind || clone.Critical() != p.Critical() {
		t.Errorf("the clone shares memory with the message, or is another: %+v", clone)
	}
	if _, _, err := AppendPayloads(nil, clone); err != nil {
		t.Error(err)
	}
}

// truncated cuts the body at every octet.
func (c payloadCase) truncated(t *testing.T, body []byte) {
	t.Helper()
	whole := chain(t, body)
	for n := range whole {
		if _, err := Parse(c.kind, whole[:n], Limits{}); err == nil {
			t.Errorf("a payload that ends at %d of its %d octets is parsed", n, len(whole))
		}
	}
	for n := range body {
		_, err := parseOne(t, c.kind, body[:n:n])
		if fine := c.cut != nil && c.cut(n); fine != (err == nil) {
			t.Errorf("body of %d octets in place of %d: %v", n, len(body), err)
		}
	}
}

func atLeast(least int) func(int) bool { return func(n int) bool { return n >= least } }

func repeat(s string, n int) string { return strings.Repeat(s, n) }
