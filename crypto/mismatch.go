package crypto

import (
	"fmt"
	"strings"
)

// Mismatch tells an administrator why no proposal was chosen.
type Mismatch struct {
	Offered    []Proposal // the peer's
	Configured []Proposal // ours
	// NearestOffered and NearestConfigured index the pair of proposals that differs
	// in the fewest transform types; -1 if one side has none for the protocol.
	NearestOffered, NearestConfigured int
	Differs                           []Difference
}

// Difference is a transform type in which the nearest proposals have nothing in
// common. An empty list means that the side has no transform of that type.
type Difference struct {
	Type                Type
	Offered, Configured []Alg
}

// What is printed of an offer is bounded: it comes from strangers.
const (
	maxListedProposals = 4
	maxListedAlgs      = 12
)

// diagnose finds the nearest pair of proposals.
func diagnose(mine, theirs []Proposal) *Mismatch {
	miss := &Mismatch{Offered: theirs, Configured: mine, NearestOffered: -1, NearestConfigured: -1}
	for i, m := range mine {
		for j, t := range theirs {
			if m.Proto != t.Proto {
				continue
			}
			d := differences(m, t)
			if miss.NearestOffered < 0 || len(d) < len(miss.Differs) {
				miss.NearestConfigured, miss.NearestOffered, miss.Differs = i, j, d
			}
		}
	}
	return miss
}

// differences lists the transform types that keep two proposals apart.
func differences(mine, theirs Proposal) []Difference {
	var ds []Difference
	for _, t := range typesOf(mine, theirs) {
		if t == Integ && integFollows(mine, theirs) {
			continue
		}
		_, ok := pickType(mine, theirs, t)
		if ok && t >= Encr && t <= ESN || t > ESN && optional0(theirs.Of(t)) {
			continue
		}
		ds = append(ds, Difference{Type: t, Offered: theirs.Of(t), Configured: mine.Of(t)})
	}
	return ds
}

// typesOf lists the transform types of either proposal: the known ones in the
// order of words, then those that only strangers use.
func typesOf(mine, theirs Proposal) []Type {
	types := append([]Type(nil), wordOrder[:]...)
	var seen [256]bool
	for _, a := range append(append([]Alg(nil), mine.Algs...), theirs.Algs...) {
		if (a.Type < Encr || a.Type > ESN) && !seen[a.Type] {
			seen[a.Type] = true
			types = append(types, a.Type)
		}
	}
	return types
}

func optional0(as []Alg) bool {
	for _, a := range as {
		if a.ID == 0 {
			return true
		}
	}
	return len(as) == 0
}

// integFollows says whether a difference in integrity is only the consequence of
// combined-mode ciphers on one side: then the encryption is what differs.
func integFollows(mine, theirs Proposal) bool {
	return onlyCombined(mine) || onlyCombined(theirs)
}

func onlyCombined(p Proposal) bool {
	encr := p.Of(Encr)
	return len(encr) > 0 && countCombined(encr) == len(encr)
}

// String says it in one line of bounded length: "peer offers
// aes128-sha1-modp1024; configured aes256-sha256-modp2048; nearest differs in
// encryption (aes128 / aes256) and ...". The peer's side stands first.
func (m *Mismatch) String() string {
	s := "peer offers " + listProposals(m.Offered) + "; configured " + listProposals(m.Configured)
	if m.NearestOffered < 0 {
		return s
	}
	if len(m.Differs) == 0 {
		return s + "; nearest has no usable combination of encryption and integrity"
	}
	parts := make([]string, 0, len(m.Differs))
	for i, d := range m.Differs {
		if i == maxListedAlgs {
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%s / %s)", d.Type, listAlgs(d.Offered), listAlgs(d.Configured)))
	}
	return s + "; nearest differs in " + joinAnd(parts)
}

func listProposals(ps []Proposal) string {
	if len(ps) == 0 {
		return "nothing"
	}
	var words []string
	for i, p := range ps {
		if i == maxListedProposals {
			words = append(words, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		words = append(words, shorten(p))
	}
	return strings.Join(words, ", ")
}

// shorten writes a proposal with at most maxListedAlgs words a type.
func shorten(p Proposal) string {
	q := Proposal{Proto: p.Proto}
	var n [256]int
	cut := false
	for _, a := range p.Algs {
		if n[a.Type]++; n[a.Type] > maxListedAlgs || a.Type > ESN && n[a.Type] > 1 {
			cut = true
			continue
		}
		q.Algs = append(q.Algs, a)
	}
	s := q.String()
	if s == "" {
		s = "an empty proposal"
	}
	if cut {
		s += "-..."
	}
	return s
}

func listAlgs(as []Alg) string {
	if len(as) == 0 {
		return "none"
	}
	words := make([]string, 0, min(len(as), maxListedAlgs+1))
	for i, a := range as {
		if i == maxListedAlgs {
			words = append(words, "...")
			break
		}
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

func joinAnd(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}
