package crypto

import (
	"errors"
	"fmt"
	"strings"
)

// wordOrder is the order in which the words of a proposal are written.
var wordOrder = [...]Type{Encr, Integ, PRF, KE, ESN}

// Of returns the alternatives of one transform type, in order of preference.
func (p Proposal) Of(t Type) []Alg {
	var as []Alg
	for _, a := range p.Algs {
		if a.Type == t {
			as = append(as, a)
		}
	}
	return as
}

// Has says whether the proposal holds that very algorithm.
func (p Proposal) Has(a Alg) bool {
	for _, b := range p.Algs {
		if a == b {
			return true
		}
	}
	return false
}

// Without returns a copy that lacks a transform type: a child SA negotiated by
// IKE_AUTH has no key exchange of its own (RFC 7296, 1.2).
func (p Proposal) Without(t Type) Proposal {
	q := Proposal{Proto: p.Proto, Algs: make([]Alg, 0, len(p.Algs))}
	for _, a := range p.Algs {
		if a.Type != t {
			q.Algs = append(q.Algs, a)
		}
	}
	return q
}

// String writes the proposal in the words that ParseProposal reads. What the
// words leave unsaid is left out: PRFs that follow from the integrity
// algorithms, and "noesn".
func (p Proposal) String() string {
	var words []string
	for _, t := range wordOrder {
		as := p.Of(t)
		if t == PRF && impliedPRFs(p, as) || t == ESN && len(as) == 1 && as[0].ID == ESNNo {
			continue
		}
		words = appendWords(words, as)
	}
	for _, a := range p.Algs {
		if a.Type < Encr || a.Type > ESN {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, "-")
}

func appendWords(words []string, as []Alg) []string {
	for _, a := range as {
		words = append(words, a.String())
	}
	return words
}

// impliedPRFs says whether prfs is what p would mean if it named no PRF.
func impliedPRFs(p Proposal, prfs []Alg) bool {
	implied := derivePRFs(p.Of(Integ))
	if len(implied) != len(prfs) {
		return false
	}
	for i := range prfs {
		if prfs[i] != implied[i] {
			return false
		}
	}
	return true
}

func derivePRFs(integ []Alg) []Alg {
	var prfs []Alg
	for _, a := range integ {
		if prf, ok := ImpliedPRF(a); ok {
			prfs = append(prfs, prf)
		}
	}
	return prfs
}

// Validate checks a proposal of ours: every algorithm known and allowed for the
// protocol, none twice, and every transform type present that the protocol asks
// for (RFC 7296, 3.3.3). Combined-mode and classic ciphers do not go together,
// and ESP without integrity protection is refused (RFC 8221, 5).
func (p Proposal) Validate() error {
	seen := make(map[Alg]bool, len(p.Algs))
	for _, a := range p.Algs {
		r, ok := lookup(a)
		if !ok {
			return fmt.Errorf("unknown algorithm %q", a)
		}
		if !r.serves(p.Proto) {
			return fmt.Errorf("%q cannot be used for %s", a, p.Proto)
		}
		if seen[a] {
			return fmt.Errorf("%q appears twice", a)
		}
		seen[a] = true
	}
	switch p.Proto {
	case IKE:
		return p.validateIKE()
	case ESP:
		return p.validateESP()
	case AH:
		if len(p.Of(Integ)) == 0 {
			return errors.New("AH proposals need an integrity algorithm, such as sha256")
		}
		return p.validateESN()
	}
	return fmt.Errorf("no proposals for %s", p.Proto)
}

func (p Proposal) validateIKE() error {
	if err := p.validateCipher(); err != nil {
		return err
	}
	if len(p.Of(PRF)) == 0 {
		return errors.New("IKE proposals with combined-mode encryption need a pseudorandom function, such as prfsha256")
	}
	if len(p.Of(KE)) == 0 {
		return errors.New("IKE proposals need a key exchange group, such as curve25519")
	}
	return nil
}

func (p Proposal) validateESP() error {
	if err := p.validateCipher(); err != nil {
		return err
	}
	return p.validateESN()
}

func (p Proposal) validateESN() error {
	if len(p.Of(ESN)) == 0 {
		return fmt.Errorf("%s proposals need esn or noesn", p.Proto)
	}
	return nil
}

// validateCipher checks encryption and integrity against each other.
func (p Proposal) validateCipher() error {
	encr, integ := p.Of(Encr), p.Of(Integ)
	if len(encr) == 0 {
		return fmt.Errorf("%s proposals need an encryption algorithm, such as aes256gcm16", p.Proto)
	}
	n := countCombined(encr)
	switch {
	case n != 0 && n != len(encr):
		return fmt.Errorf("%s and %s cannot stand in one %s proposal: combined-mode and classic encryption need separate proposals",
			firstCipher(encr, true), firstCipher(encr, false), p.Proto)
	case n != 0 && len(integ) != 0:
		return fmt.Errorf("combined-mode encryption takes no integrity algorithm, but %s is given", integ[0])
	case n == 0 && len(integ) == 0:
		return fmt.Errorf("%s needs an integrity algorithm beside it, such as sha256", encr[0])
	}
	return nil
}

func countCombined(encr []Alg) int {
	n := 0
	for _, a := range encr {
		if Combined(a) {
			n++
		}
	}
	return n
}

func firstCipher(encr []Alg, combined bool) Alg {
	for _, a := range encr {
		if Combined(a) == combined {
			return a
		}
	}
	return Alg{}
}

// Algs returns the transforms of the suite that are set.
func (s Suite) Algs() []Alg {
	var as []Alg
	for _, a := range [...]Alg{s.Encr, s.PRF, s.Integ, s.KE, s.ESN} {
		if a != (Alg{}) {
			as = append(as, a)
		}
	}
	return as
}

// Proposal returns the suite as a proposal with one transform of each type.
func (s Suite) Proposal() Proposal { return Proposal{Proto: s.Proto, Algs: s.Algs()} }

// String writes the suite in the words of proposals, every algorithm named
// except "noesn": "aes128-sha256-prfsha256-modp2048".
func (s Suite) String() string {
	var words []string
	for _, a := range [...]Alg{s.Encr, s.Integ, s.PRF, s.KE, s.ESN} {
		if a != (Alg{}) && a != (Alg{Type: ESN, ID: ESNNo}) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, "-")
}
