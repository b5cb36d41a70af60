package crypto

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const passphrase = "open sesame"

// holder is a struct as configurations and key sets are.
type holder struct {
	Name   string
	Key    Secret
	Keys   []Secret
	ByName map[string]Secret
	Any    any
	Ptr    *Secret
}

func newHolder() holder {
	s := Secret(passphrase)
	return holder{"moon", s, []Secret{s}, map[string]Secret{"moon": s}, s, &s}
}

// leaks says whether the passphrase is to be seen, as text, in hexadecimal, in base64
// or as numbers.
func leaks(s string) bool {
	low := strings.ToLower(s)
	for _, form := range []string{passphrase, fmt.Sprintf("%x", passphrase[:6]), "b3blbibzzxnhbwu", "111 112 101", "111,112,101", "0x6f, 0x70"} {
		if strings.Contains(low, form) {
			return true
		}
	}
	return false
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := Secret(passphrase)
	h := newHolder()
	for _, v := range []any{s, &s, []Secret{s}, map[string]Secret{"a": s}, h, &h, []any{h}, error(fmt.Errorf("key %v", s)), errors.Join(fmt.Errorf("%x", s))} {
		for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%t", "%T %[1]v", "%20v", "%.3s"} {
			if out := fmt.Sprintf(f, v); leaks(out) {
				t.Errorf("%T with %s: %s", v, f, out)
			}
		}
		if out := fmt.Sprint(v) + fmt.Sprintln(v); leaks(out) {
			t.Errorf("%T: %s", v, out)
		}
	}
	for _, f := range []string{"%v", "%s", "%x", "%#v", "%d"} {
		if out := fmt.Sprintf(f, s); out != redacted {
			t.Errorf("%s: %s", f, out)
		}
	}
	if s.String() != redacted {
		t.Error(s.String())
	}
}

func TestSecretIsNotMarshalled(t *testing.T) {
	h := newHolder()
	j, err := json.Marshal(h)
	if err != nil || leaks(string(j)) || !strings.Contains(string(j), redacted) {
		t.Errorf("%s (%v)", j, err)
	}
	type element struct{ Key Secret }
	x, err := xml.Marshal(element{h.Key})
	if err != nil || leaks(string(x)) {
		t.Errorf("%s (%v)", x, err)
	}
}

func TestSecretIsNotLogged(t *testing.T) {
	h := newHolder()
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		l := slog.New(handler).With("with", h.Key)
		l.Info("a", "key", h.Key, "holder", h, "pointer", &h, "list", h.Keys, slog.Group("g", "key", h.Key))
		l.Info("a", "error", fmt.Errorf("key %s", h.Key))
	}
	if leaks(out.String()) || !strings.Contains(out.String(), redacted) {
		t.Error(out.String())
	}
}

func TestZero(t *testing.T) {
	s := Secret(passphrase)
	s.Zero()
	if !bytes.Equal(s, make([]byte, len(passphrase))) {
		t.Error("not overwritten")
	}
	Secret(nil).Zero()
}
