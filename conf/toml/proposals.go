package toml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/goike/goike/crypto"
)

// algorithms are the keys that say which algorithms to propose: proposals, or the
// other four. nil: not there.
type algorithms struct {
	proposals, encryption, keyLength, hash, group *item
}

// What the separate keys are when only some of them are there.
const (
	defaultEncryption = "aes"
	defaultKeyLength  = 256
	defaultHash       = "sha256"
	defaultGroup      = 14
)

const (
	allowedProposals  = `proposals such as "aes256gcm16-prfsha384-ecp384" or "default"`
	allowedAH         = `proposals such as "sha256", "sha512-modp2048-esn" or "default"`
	allowedEncryption = `"aes", "aesgcm16", "aesccm16", "aesctr", "chacha20poly1305"`
	allowedKeyLength  = "128, 192, 256"
	allowedHash       = `"sha256", "sha384", "sha512", "sha1", "aesxcbc", "aescmac"`
	allowedGroup      = `the number or name of a group, such as 14, "modp2048", 31, "curve25519"`
)

// byDefault tells whether the algorithms are those that goike chooses.
func (a *algorithms) byDefault() bool {
	if a.proposals == nil {
		return len(a.separate()) == 0
	}
	isDefault := func(v value) bool { return v.kind == unstable.String && string(v.text) == "default" }
	if a.proposals.kind == unstable.Array {
		return len(a.proposals.list) == 1 && isDefault(a.proposals.list[0])
	}
	return isDefault(a.proposals.value)
}

func (a *algorithms) separate() []*item {
	var its []*item
	for _, it := range [...]*item{a.encryption, a.keyLength, a.hash, a.group} {
		if it != nil {
			its = append(its, it)
		}
	}
	return its
}

// proposals reads what a phase 1 or phase 2 proposes.
func (s scope) proposals(proto crypto.Proto, a *algorithms) []crypto.Proposal {
	separate := a.separate()
	switch {
	case a.proposals != nil && len(separate) > 0:
		for _, it := range separate {
			s.bad(it.name, it.at, "and proposals say the same in two ways; allowed: either proposals, or encryption, key_length, hash and dh_group")
		}
		return s.listed(proto, a.proposals)
	case a.proposals != nil:
		return s.listed(proto, a.proposals)
	case len(separate) == 0:
		return crypto.DefaultProposals(proto)
	}
	s.places[s.at("proposals")] = separate[0].value.at
	var ps []crypto.Proposal
	if proto == crypto.AH {
		ps = s.integrity(a)
	} else {
		ps = s.combined(proto, a)
	}
	if len(ps) == 0 {
		s.spoiled[s.at("proposals")] = true
	}
	return ps
}

// listed reads the proposals key.
func (s scope) listed(proto crypto.Proto, it *item) []crypto.Proposal {
	allowed := allowedFor(proto)
	values, ok := s.list(it, allowed)
	if !ok {
		return nil
	}
	var ps []crypto.Proposal
	for _, v := range values {
		text := string(v.text)
		var some []crypto.Proposal
		if text == "default" {
			some = crypto.DefaultProposals(proto)
		} else if p, err := crypto.ParseProposal(proto, text); err != nil {
			s.badProposal(it.name, v, err, allowed)
		} else {
			some = []crypto.Proposal{p}
		}
		for _, p := range some {
			at := s.at(it.name)
			at.Index = len(ps)
			s.places[at] = v.at
			ps = append(ps, p)
		}
	}
	return ps
}

// badProposal points at the word that is wrong, where it can be found in the file
// as it is in the text.
func (s scope) badProposal(key string, v value, err error, allowed string) {
	at := v.at
	var word *crypto.WordError
	if errors.As(err, &word) {
		if from := v.at + 1 + word.Offset; s.stands(from, word.Word) {
			at = from
		}
	}
	s.bad(key, at, "%s: %v; allowed: %s", show(v.text), err, allowed)
}

func allowedFor(proto crypto.Proto) string {
	if proto == crypto.AH {
		return allowedAH
	}
	return allowedProposals
}

// stands tells whether the document has a word at an offset.
func (s scope) stands(at int, word string) bool {
	data := s.lines.data
	return at <= len(data) && strings.HasPrefix(string(data[at:min(at+len(word), len(data))]), word)
}

// combined makes proposals of the four separate keys: one of combined-mode ciphers
// and one of classic ones, as far as there are such.
func (s scope) combined(proto crypto.Proto, a *algorithms) []crypto.Proposal {
	lengths, ok1 := s.keyLengths(a.keyLength)
	ciphers, ok2 := s.ciphers(proto, a.encryption, lengths, a.keyLength)
	hashes, ok3 := s.hashes(proto, a.hash)
	groups, ok4 := s.groups(proto, a.group)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil
	}
	var aead, classic []string
	for _, c := range ciphers {
		if c.combined {
			aead = append(aead, c.word)
		} else {
			classic = append(classic, c.word)
		}
	}
	if proto == crypto.ESP && len(classic) == 0 && a.hash != nil {
		s.bad("hash", a.hash.at, "goes with no cipher of encryption, all of which authenticate by themselves; allowed: no hash, or a cipher such as \"aes\"")
		return nil
	}
	var ps []crypto.Proposal
	for _, set := range [...]struct {
		ciphers []string
		prefix  string
	}{{aead, "prf"}, {classic, ""}} {
		if len(set.ciphers) == 0 {
			continue
		}
		words := append([]string(nil), set.ciphers...)
		for _, h := range hashes {
			words = append(words, set.prefix+h)
		}
		p, err := crypto.ParseProposal(proto, strings.Join(append(words, groups...), "-"))
		if err != nil {
			s.bad("proposals", a.separate()[0].value.at, "made of encryption, key_length, hash and dh_group: %v; allowed: %s", err, allowedProposals)
			return nil
		}
		ps = append(ps, p)
	}
	return ps
}

// integrity makes the proposal for AH of hash and dh_group.
func (s scope) integrity(a *algorithms) []crypto.Proposal {
	ok := true
	for _, it := range [...]*item{a.encryption, a.keyLength} {
		if it != nil {
			s.bad(it.name, it.at, "goes not with protocol ah, which encrypts nothing; allowed: hash, dh_group")
			ok = false
		}
	}
	hashes, ok1 := s.hashes(crypto.AH, a.hash)
	groups, ok2 := s.groups(crypto.AH, a.group)
	if !ok || !ok1 || !ok2 {
		return nil
	}
	p, err := crypto.ParseProposal(crypto.AH, strings.Join(append(hashes, groups...), "-"))
	if err != nil {
		s.bad("proposals", a.separate()[0].value.at, "made of hash and dh_group: %v; allowed: %s", err, allowedAH)
		return nil
	}
	return []crypto.Proposal{p}
}

// elements are the values of a key that may be one value or a list of them.
func (s scope) elements(it *item, allowed string) ([]value, bool) {
	if it.kind != unstable.Array {
		return []value{it.value}, true
	}
	if len(it.list) == 0 {
		s.bad(it.name, it.value.at, "is empty; allowed: %s, or a list of them", allowed)
		return nil, false
	}
	return it.list, true
}

func (s scope) keyLengths(it *item) ([]int, bool) {
	if it == nil {
		return []int{defaultKeyLength}, true
	}
	values, ok := s.elements(it, allowedKeyLength)
	var bits []int
	for _, v := range values {
		n, good := s.integer(it.name, v, 1, 1024, allowedKeyLength)
		if ok = ok && good; good {
			bits = append(bits, int(n))
		}
	}
	return bits, ok
}

// cipher is an encryption algorithm as a word of a proposal.
type cipher struct {
	word     string
	combined bool
}

func (s scope) ciphers(proto crypto.Proto, it *item, lengths []int, lengthKey *item) ([]cipher, bool) {
	if it == nil {
		it = &item{name: "encryption", value: value{kind: unstable.String, text: []byte(defaultEncryption)}}
		if lengthKey != nil {
			it.value.at = lengthKey.value.at
		}
	}
	values, ok := s.elements(it, allowedEncryption)
	used := false
	var cs []cipher
	for _, v := range values {
		text, good := s.text(it.name, v, allowedEncryption)
		if !good {
			ok = false
			continue
		}
		words, open := withLengths(text, lengths)
		used = used || open
		for _, w := range words {
			a, err := parseWord(proto, crypto.Encr, w)
			if err != nil {
				s.bad(it.name, v.at, "%s: %v; allowed: %s", show(v.text), err, allowedEncryption)
				ok = false
				break
			}
			cs = append(cs, cipher{w, crypto.Combined(a)})
		}
	}
	if ok && !used && lengthKey != nil {
		s.bad("key_length", lengthKey.at, "goes with no cipher of encryption; allowed: no key_length, or a cipher that takes one, such as \"aes\"")
		return nil, false
	}
	return cs, ok
}

// openFamilies are the ciphers with keys of several lengths.
var openFamilies = []string{"aes", "camellia", "blowfish", "twofish", "serpent"}

// withLengths puts key lengths into the word of a cipher that has none: "aesgcm16"
// becomes "aes256gcm16". A word of a fixed length stays as it is.
func withLengths(word string, lengths []int) (words []string, open bool) {
	for _, f := range openFamilies {
		rest, ok := strings.CutPrefix(strings.ToLower(word), f)
		if !ok || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			continue
		}
		for _, n := range lengths {
			words = append(words, f+strconv.Itoa(n)+rest)
		}
		return words, true
	}
	return []string{word}, false
}

func (s scope) hashes(proto crypto.Proto, it *item) ([]string, bool) {
	if it == nil {
		return []string{defaultHash}, true
	}
	values, ok := s.elements(it, allowedHash)
	var words []string
	for _, v := range values {
		text, good := s.text(it.name, v, allowedHash)
		if good {
			if _, err := parseWord(proto, crypto.Integ, text); err != nil {
				s.bad(it.name, v.at, "%s: %v; allowed: %s", show(v.text), err, allowedHash)
				good = false
			}
		}
		if ok = ok && good; good {
			words = append(words, strings.ToLower(text))
		}
	}
	return words, ok
}

// groups reads dh_group. A child without it has no perfect forward secrecy.
func (s scope) groups(proto crypto.Proto, it *item) ([]string, bool) {
	if it == nil {
		if proto == crypto.IKE {
			return []string{groupWord(defaultGroup)}, true
		}
		return nil, true
	}
	values, ok := s.elements(it, allowedGroup)
	var words []string
	for _, v := range values {
		w, good := s.group(proto, it.name, v)
		if ok = ok && good; good {
			words = append(words, w)
		}
	}
	return words, ok
}

func (s scope) group(proto crypto.Proto, key string, v value) (string, bool) {
	if v.kind == unstable.Integer {
		n, ok := s.integer(key, v, 1, 65535, allowedGroup)
		if ok && !(crypto.Alg{Type: crypto.KE, ID: uint16(n)}).Known() {
			s.bad(key, v.at, "%d is not supported; allowed: %s", n, allowedGroup)
			ok = false
		}
		return groupWord(n), ok
	}
	text, ok := s.text(key, v, allowedGroup)
	if !ok {
		return "", false
	}
	if _, err := parseWord(proto, crypto.KE, text); err != nil {
		s.bad(key, v.at, "%s: %v; allowed: %s", show(v.text), err, allowedGroup)
		return "", false
	}
	return text, true
}

func groupWord(n int64) string {
	return fmt.Sprint(crypto.Alg{Type: crypto.KE, ID: uint16(n)})
}
