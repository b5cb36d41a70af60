package crypto

import (
	"fmt"
	"slices"
	"strings"
)

// Mismatch tells an administrator why no proposal was chosen.
type Mismatch struct {
	Offered    []Proposal // the peer's
	Configured []Proposal // ours
	// NearestOffered and NearestConfigured index the pair of proposals that differs
	// in the fewest transform types; -1 if one side has none for the protocol.
	NearestOffered, NearestConfigured int
	Differences                       []Difference
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
	maxListedAlgs      = 12   // of one transform type
	maxListed          = 1024 // octets
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
			if miss.NearestOffered < 0 || len(d) < len(miss.Differences) {
				miss.NearestConfigured, miss.NearestOffered, miss.Differences = i, j, d
			}
		}
	}
	return miss
}

// differences lists the transform types that keep two proposals apart: the known
// ones in the order of words, then those that only strangers use.
func differences(mine, theirs Proposal) []Difference {
	var ds []Difference
	m, o := byType(mine), byType(theirs)
	compare := func(t Type) {
		_, ok := pick(m[t], o[t])
		if !knownType(t) {
			ok = len(o[t]) == 0 || slices.ContainsFunc(o[t], func(a Alg) bool { return a.ID == 0 })
		}
		if !ok {
			ds = append(ds, Difference{Type: t, Offered: o[t], Configured: m[t]})
		}
	}
	for _, t := range wordOrder {
		if t != Integ || !integFollows(mine, theirs) {
			compare(t)
		}
	}
	for t := range o {
		if !knownType(Type(t)) {
			compare(Type(t))
		}
	}
	return ds
}

// byType sorts the alternatives of all transform types in one pass.
func byType(p Proposal) *[256][]Alg {
	var as [256][]Alg
	for _, a := range p.Algs {
		as[a.Type] = append(as[a.Type], a)
	}
	return &as
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

// OfferedWords lists the peer's proposals, ConfiguredWords ours, in the words of
// ParseProposal and in at most some 1000 octets.
func (m *Mismatch) OfferedWords() string { return listProposals(m.Offered) }

// ConfiguredWords lists our proposals; see OfferedWords.
func (m *Mismatch) ConfiguredWords() string { return listProposals(m.Configured) }

// NearestWords is the one of our proposals that comes nearest; "" if there is none.
func (m *Mismatch) NearestWords() string {
	if m.NearestConfigured < 0 || m.NearestConfigured >= len(m.Configured) {
		return ""
	}
	return listProposals(m.Configured[m.NearestConfigured : m.NearestConfigured+1])
}

// Differs says in what the nearest proposals differ, the peer's side first:
// "encryption (aes128 / aes256)", several joined by "and".
func (m *Mismatch) Differs() string {
	switch {
	case len(m.Offered) == 0:
		return "the peer offers nothing"
	case len(m.Configured) == 0:
		return "nothing is configured"
	case m.NearestOffered < 0:
		return fmt.Sprintf("protocol (%s / %s)", m.Offered[0].Proto, m.Configured[0].Proto)
	case len(m.Differences) == 0:
		return "no usable combination of encryption and integrity"
	}
	parts := make([]string, 0, len(m.Differences))
	for _, d := range m.Differences[:min(len(m.Differences), maxListedAlgs)] {
		parts = append(parts, fmt.Sprintf("%s (%s / %s)", d.Type, listAlgs(d.Offered), listAlgs(d.Configured)))
	}
	return clip(joinAnd(parts))
}

// String says it in one line of bounded length: "peer offers
// aes128-sha1-modp1024; configured aes256-sha256-modp2048; nearest differs in
// encryption (aes128 / aes256) and ...". The peer's side stands first.
func (m *Mismatch) String() string {
	s := "peer offers " + m.OfferedWords() + "; configured " + m.ConfiguredWords()
	if m.NearestOffered < 0 {
		return s
	}
	if len(m.Differences) == 0 {
		return s + "; nearest has " + m.Differs()
	}
	return s + "; nearest differs in " + m.Differs()
}

// clip bounds what is printed; it is ASCII.
func clip(s string) string {
	if len(s) > maxListed {
		return s[:maxListed] + "..."
	}
	return s
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
	return clip(strings.Join(words, ", "))
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
