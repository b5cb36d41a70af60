package crypto

// MendHere is a proposal with which this host would agree with the peer: of each type
// what both have, else what the peer offers. ok is false when no change on this host is
// enough: what the peer offers is not known here.
func (m *Mismatch) MendHere() (p Proposal, ok bool) {
	if m.NearestOffered < 0 {
		return Proposal{}, false
	}
	return mend(m.Offered[m.NearestOffered], m.Configured[m.NearestConfigured])
}

// MendThere is a proposal with which the peer would agree with this host: of each type
// what both have, else what is configured here.
func (m *Mismatch) MendThere() (p Proposal, ok bool) {
	if m.NearestOffered < 0 {
		if len(m.Configured) == 0 {
			return Proposal{}, false
		}
		return mend(m.Configured[0], Proposal{})
	}
	return mend(m.Configured[m.NearestConfigured], m.Offered[m.NearestOffered])
}

// mend takes one algorithm of each type out of stays, which does not change: one that
// moves has too, else one that is not weak, else the first.
func mend(stays, moves Proposal) (Proposal, bool) {
	p := Proposal{Proto: stays.Proto}
	for _, t := range wordOrder {
		a, ok := prefer(stays, moves, t)
		if ok && (t != Integ || !onlyCombined(p)) {
			p.Algs = append(p.Algs, a)
		}
	}
	if p.Validate() != nil {
		return Proposal{}, false
	}
	_, ok := match(p, stays)
	return p, ok
}

// prefer picks the algorithm of a type; ok is false when there is none that is known
// here, or the type is not used.
func prefer(stays, moves Proposal, t Type) (best Alg, ok bool) {
	rank := 0
	for _, a := range stays.Of(t) {
		r, known := lookup(a)
		if !known || isNone(a) || !r.serves(stays.Proto) {
			continue
		}
		n := 1
		if _, weak := Weak(a); !weak {
			n = 2
		}
		if moves.Has(a) {
			n += 2
		}
		if n > rank {
			best, rank = a, n
		}
	}
	return best, rank > 0
}
