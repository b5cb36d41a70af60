package ipsec

import (
	"strings"

	"github.com/goike/goike/conf"
	"github.com/goike/goike/conf/file"
	"github.com/goike/goike/crypto"
	"github.com/goike/goike/crypto/id"
)

// otherSecrets are the types of secrets that goike has no use for yet.
var otherSecrets = map[string]string{
	"RSA": "a private key", "ECDSA": "a private key", "BLISS": "a private key", "PKCS8": "a private key", "P12": "a key store", "PIN": "a smart card",
	"XAUTH": "a password for XAUTH", "EAP": "a password for EAP", "NTLM": "a password for EAP", "PPK": "a postquantum key", "PPKS": "a postquantum key",
}

// secrets reads an ipsec.secrets. Lines that begin with a blank go on with the one before.
func (p *parser) secrets(path string) []conf.Secret {
	if data, mode, err := p.read(path); err == nil {
		if clear(data); file.Open(mode) {
			p.warn(place{file: path}, "the file holds secrets, but its mode is %04o, so that others can read it: chmod 600 %s", mode.Perm(), path)
		}
	}
	type entry struct {
		text string
		at   place
	}
	var entries []entry
	p.lines(path, place{file: path}, func(line string, at place) {
		if (line[0] == ' ' || line[0] == '\t') && len(entries) > 0 {
			entries[len(entries)-1].text += " " + strings.TrimSpace(line)
			return
		}
		entries = append(entries, entry{strings.TrimSpace(line), at})
	})
	var out []conf.Secret
	for _, e := range entries {
		if s, ok := p.secret(e.text, e.at); ok {
			out = append(out, s)
		}
	}
	return out
}

// secret reads one: selectors, a colon by itself, the type and the key. Errors show
// nothing of it.
func (p *parser) secret(text string, at place) (s conf.Secret, ok bool) {
	owners, rest, found := cutColon(text)
	if !found {
		p.error(at, "this line has no colon between selectors and secret; allowed: SELECTORS : PSK \"...\"")
		return s, false
	}
	kind, key := strings.TrimSpace(rest), ""
	if i := strings.IndexAny(kind, " \t"); i >= 0 {
		kind, key = kind[:i], kind[i:]
	}
	if what := otherSecrets[strings.ToUpper(kind)]; what != "" {
		p.warn(at, "%s is left out: goike does not use %s yet", strings.ToUpper(kind), what)
		return s, false
	}
	if !strings.EqualFold(kind, "PSK") {
		p.error(at, "this is a secret of another type than PSK; allowed: PSK \"...\"")
		return s, false
	}
	var err error
	if s.Key, err = pskOf(strings.TrimSpace(key)); err != nil {
		p.error(at, "the key %v; allowed: %s", err, conf.AllowedSecret)
		return s, false
	}
	for _, owner := range quotedFields(owners) {
		if owner == "%any" || owner == "%any6" || owner == "0.0.0.0" || owner == "::" {
			continue
		}
		i, err := id.Parse(owner)
		if err != nil {
			p.error(at, "selector %s: %v", word(owner), err)
			continue
		}
		s.Owners = append(s.Owners, i)
	}
	return s, true
}

// cutColon cuts at the first colon outside of quotes that has a blank, or nothing, on one
// side: addresses have colons within, and at their ends two.
func cutColon(text string) (before, after string, ok bool) {
	quote := byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ':' && (blank(text, i-1) || blank(text, i+1) && text[i-1] != ':'):
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

// quotedFields are the words of a text, those in quotes with their blanks.
func quotedFields(text string) (words []string) {
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			return words
		}
		if rest, is := strings.CutPrefix(text, `"`); is {
			word, rest, _ := strings.Cut(rest, `"`)
			words, text = append(words, word), rest
			continue
		}
		i := strings.IndexAny(text, " \t")
		if i < 0 {
			i = len(text)
		}
		words, text = append(words, text[:i]), text[i:]
	}
}

// blank tells whether there is a blank at a place of a text, or its end.
func blank(text string, i int) bool {
	return i < 0 || i >= len(text) || text[i] == ' ' || text[i] == '\t'
}

// pskOf reads a key: in quotes it is text, whatever it begins with.
func pskOf(s string) (crypto.Secret, error) {
	for _, quote := range []string{`"`, `'`} {
		if rest, is := strings.CutPrefix(s, quote); is {
			if text, whole := strings.CutSuffix(rest, quote); whole && text != "" {
				return crypto.Secret(text), nil
			}
			return nil, errQuotes
		}
	}
	return conf.ParseSecret([]byte(s))
}
