package crypto

import (
	"fmt"
	"slices"
	"strings"
)

// WordError says which word of a proposal is wrong and why.
type WordError struct {
	Word   string
	Index  int // the first word is 1
	Offset int // octets from the start of the proposal
	Reason string
}

// Error implements error.
func (e *WordError) Error() string {
	return fmt.Sprintf("word %d: %s", e.Index, e.Reason)
}

// ParseProposal reads a proposal in strongSwan's words, joined by hyphens, such
// as "aes256gcm16-prfsha384-ecp384". As there, an IKE proposal without a PRF
// takes those of its integrity algorithms, integrity algorithms beside
// combined-mode ciphers are dropped, PRFs are dropped for ESP and AH, and ESP
// and AH without "esn" or "noesn" mean "noesn". Unlike there, ESP without any
// integrity protection is refused. A bad word is reported as *WordError.
func ParseProposal(p Proto, words string) (Proposal, error) {
	prop := Proposal{Proto: p}
	offset := 0
	for i, w := range strings.Split(words, "-") {
		name := strings.TrimSpace(w)
		a, reason := parseWord(p, name)
		if reason != "" {
			return Proposal{}, &WordError{Word: name, Index: i + 1, Offset: offset, Reason: reason}
		}
		offset += len(w) + 1
		if a != (Alg{}) && !prop.Has(a) {
			prop.Algs = append(prop.Algs, a)
		}
	}
	prop = complete(prop)
	if err := prop.Validate(); err != nil {
		return Proposal{}, err
	}
	return prop, nil
}

// parseWord returns the algorithm, or why there is none. The zero Alg means a
// word that says nothing for this protocol.
func parseWord(p Proto, word string) (Alg, string) {
	if word == "" {
		return Alg{}, "empty word"
	}
	a, ok := wordOf[strings.ToLower(word)]
	if !ok {
		return Alg{}, unknownWord(p, word)
	}
	if rowOf[rowKey{a.Type, a.ID}].serves(p) {
		return a, ""
	}
	if a.Type == PRF || p == IKE && a == (Alg{Type: KE, ID: KENone}) {
		return Alg{}, ""
	}
	return Alg{}, fmt.Sprintf("%q cannot be used for %s", word, p)
}

// complete adds what the words left unsaid and brings the types in order.
func complete(p Proposal) Proposal {
	encr := p.Of(Encr)
	if p.Proto == IKE && len(p.Of(PRF)) == 0 {
		p.Algs = append(p.Algs, derivePRFs(p.Of(Integ))...)
	}
	if len(encr) > 0 && countCombined(encr) == len(encr) {
		p = p.Without(Integ)
	}
	if p.Proto != IKE && len(p.Of(ESN)) == 0 {
		p.Algs = append(p.Algs, Alg{Type: ESN, ID: ESNNo})
	}
	slices.SortStableFunc(p.Algs, func(a, b Alg) int { return int(a.Type) - int(b.Type) })
	return p
}

// otherWords start the words that strongSwan knows and this registry does not.
var otherWords = []string{
	"3des", "des", "blowfish", "camellia", "cast128", "serpent", "twofish", "md5", "sha1_160", "sha256_96",
	"sha2_256_96", "prfmd5", "prfcamellia", "modp768", "modpnull", "ecp224bp", "ecp256bp", "ecp384bp", "ecp512bp",
	"ntru", "newhope", "mlkem", "kyber", "ke1_", "ke2_", "ke3_", "ke4_", "ke5_", "ke6_", "ke7_",
}

// unknownWord explains a word that is not in the registry.
func unknownWord(p Proto, word string) string {
	low := strings.ToLower(word)
	for _, o := range otherWords {
		if strings.HasPrefix(low, o) {
			return fmt.Sprintf("algorithm %q is not supported", word)
		}
	}
	if near := nearestWord(p, low); near != "" {
		return fmt.Sprintf("unknown algorithm %q: did you mean %q?", word, near)
	}
	return fmt.Sprintf("unknown algorithm %q; known for %s: %s", word, p, strings.Join(knownWords(p), ", "))
}

// nearestWord finds the word within two edits that is closest to what was
// written; among equals the first in alphabetical order.
func nearestWord(p Proto, word string) string {
	best, bestDist := "", 3
	for w, a := range wordOf {
		if !rowOf[rowKey{a.Type, a.ID}].serves(p) {
			continue
		}
		if d := editDistance(word, w, bestDist); d < bestDist || d == bestDist && d < 3 && w < best {
			best, bestDist = w, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of
// neighbours (optimal string alignment); lengths that differ by more than limit
// are not looked at.
func editDistance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff > limit || -diff > limit {
		return limit + 1
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			d := prev[j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, prev[j]+1, cur[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			cur[j] = d
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

// knownWords lists what a proposal may hold, without what is weak; key lengths
// are written together, as in "aes(128|192|256)gcm16".
func knownWords(p Proto) []string {
	var words []string
	for _, f := range families {
		for i := range f {
			r := &f[i]
			if r.weak != "" || !r.serves(p) {
				continue
			}
			var bits []string
			for _, b := range r.bits {
				bits = append(bits, fmt.Sprint(b))
			}
			words = append(words, strings.Replace(r.word, "#", "("+strings.Join(bits, "|")+")", 1))
		}
	}
	return words
}
