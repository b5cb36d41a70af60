package crypto

import "slices"

// Select agrees on one suite: the first of my proposals, in the order of my
// preference, that one of theirs matches in every transform type, and of each
// type my most preferred alternative that they offer too (RFC 7296, 2.7). What
// they offer beyond the registry is passed over as an alternative and does not
// spoil the rest. A transform type that only one side has matches only if that
// side holds NONE (RFC 7296, 3.3.6); beside a combined-mode cipher integrity
// algorithms are passed over.
//
// theirIndex tells which of theirs was taken. If nothing matches it is -1 and
// miss says why; otherwise miss is nil.
func Select(mine, theirs []Proposal) (suite Suite, theirIndex int, miss *Mismatch) {
	for _, m := range mine {
		for i, t := range theirs {
			if s, ok := match(m, t); ok {
				return s, i, nil
			}
		}
	}
	return Suite{}, -1, diagnose(mine, theirs)
}

// Accepts says whether a suite that the peer chose is one of what mine offers.
func Accepts(mine []Proposal, s Suite) bool {
	chosen := s.Proposal()
	for _, m := range mine {
		if _, ok := match(m, chosen); ok {
			return true
		}
	}
	return false
}

// match agrees on a suite from one proposal of each side.
func match(mine, theirs Proposal) (Suite, bool) {
	s := Suite{Proto: mine.Proto}
	if mine.Proto != theirs.Proto || !onlyKnownTypes(theirs) {
		return s, false
	}
	ok := true
	choose := func(t Type) Alg {
		a, found := pickType(mine, theirs, t)
		ok = ok && found
		return a
	}
	s.PRF, s.KE, s.ESN = choose(PRF), choose(KE), choose(ESN)
	if !ok {
		return s, false
	}
	if len(mine.Of(Encr)) == 0 && len(theirs.Of(Encr)) == 0 {
		s.Integ, ok = pickType(mine, theirs, Integ)
		return s, ok
	}
	return matchCipher(s, mine, theirs)
}

// matchCipher picks encryption and integrity together: a cipher that both have
// is of no use if it needs an integrity algorithm and none is common.
func matchCipher(s Suite, mine, theirs Proposal) (Suite, bool) {
	for _, e := range mine.Algs {
		if e.Type != Encr || !theirs.Has(e) {
			continue
		}
		s.Encr, s.Integ = e, Alg{}
		if Combined(e) {
			return s, true
		}
		if integ, ok := pickType(mine, theirs, Integ); ok && integ != (Alg{}) {
			s.Integ = integ
			return s, true
		}
	}
	return s, false
}

// pickType agrees on one transform type. The zero Alg with true means that the
// type is not used.
func pickType(mine, theirs Proposal, t Type) (Alg, bool) { return pick(mine.Of(t), theirs.Of(t)) }

// pick agrees on one of the alternatives of a transform type.
func pick(mine, theirs []Alg) (Alg, bool) {
	switch {
	case len(mine) == 0 && len(theirs) == 0:
		return Alg{}, true
	case len(mine) == 0:
		return Alg{}, optional(theirs)
	case len(theirs) == 0:
		return Alg{}, optional(mine)
	}
	for _, a := range mine {
		if slices.Contains(theirs, a) {
			if isNone(a) {
				return Alg{}, true
			}
			return a, true
		}
	}
	return Alg{}, false
}

// optional says whether the alternatives hold NONE.
func optional(as []Alg) bool { return slices.ContainsFunc(as, isNone) }

// isNone says whether a transform is the NONE of its type (RFC 7296, 3.3.2).
func isNone(a Alg) bool { return a.ID == 0 && (a.Type == KE || a.Type == Integ) }

// onlyKnownTypes refuses proposals with transform types that are not understood
// (RFC 7296, 3.3.6), unless NONE is among their alternatives (RFC 9370, 2.2.2).
func onlyKnownTypes(p Proposal) bool {
	var none [256]bool
	for _, a := range p.Algs {
		none[a.Type] = none[a.Type] || a.ID == 0
	}
	for _, a := range p.Algs {
		if !knownType(a.Type) && !none[a.Type] {
			return false
		}
	}
	return true
}

func knownType(t Type) bool { return t >= Encr && t <= ESN }
